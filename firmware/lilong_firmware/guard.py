"""Local rules, composed: loaded only where the settings have some."""

from lilong_firmware.alarms import Alarms
from lilong_firmware.batcher import Batcher
from lilong_firmware.collection import Collection
from lilong_firmware.local_rules import LocalRules
from lilong_firmware.sampler import Sampler
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Shelf
    from lilong_firmware.journal import Journal
    from lilong_firmware.output import Output
    from lilong_firmware.rule_settings import RuleSettings
    from lilong_firmware.settings import Sampling
    from lilong_firmware.trace import Trace


class Guard:
    """`rules` act and tell at once; `states` repeats what they and the outputs are in.

    The repetition is ordinary data at the intervals of the states' channels: what a full journal
    or a lost batch took comes back with it.
    """

    def __init__(
        self,
        settings: "RuleSettings",
        sampling: "Sampling",
        outputs: "list[Output]",
        shelf: "Shelf",
        alarm_shelf: "Shelf",
        journal: "Journal",
        trace: "Trace",
        clock: "Clock",
        boot_id: int,
        log: "Callable[[str], None]",
    ) -> None:
        alarms = Alarms(alarm_shelf, sampling.channels, clock, boot_id)
        self.rules = LocalRules(settings, outputs, alarms, clock, log)
        source = Sampler(self.rules, settings.states, clock, boot_id, log)
        batcher = Batcher(shelf.put, sampling.batch_readings, sampling.batch_ms)
        self.states = Collection(source, batcher, journal, trace, clock)
