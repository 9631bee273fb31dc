"""What the objects of one adapter share."""

from dataclasses import dataclass

from lilong_tools.radio.bluez_faults import DaemonFaults
from lilong_tools.radio.bluez_radio import Radio
from lilong_tools.radio.bluez_tree import Tree
from lilong_tools.radio.bluez_work import Work


@dataclass(frozen=True)
class Parts:
    """The bus they are on, the work they start, the radio they use, the faults they play."""

    tree: Tree
    work: Work
    radio: Radio
    faults: DaemonFaults
