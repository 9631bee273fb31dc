"""What a virtual node needs of a radio."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol


class Wireless(Protocol):
    """A radio that lasts, whatever happens to the node's process."""

    @property
    def heap_kib(self) -> int:
        """Heap of a 32-bit machine that the node gets for what is in flash on a device."""

    @property
    def module_path(self) -> tuple[str, ...]:
        """Folders that come first where the node looks for modules."""

    @property
    def node_ends(self) -> tuple[int, ...]:
        """The descriptors that the process inherits which is about to start."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What that process finds in its environment."""

    async def begin(self) -> None:
        """Make ready for a process that is about to start."""

    def begun(self) -> None:
        """Leave `node_ends` to the process, which has started."""

    def end(self) -> None:
        """Lose power with the process, which has ended; nothing if there is none."""


class NoRadio:
    """The radio of a node that has none."""

    heap_kib = 0
    module_path: tuple[str, ...] = ()
    node_ends: tuple[int, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})

    async def begin(self) -> None:
        """Do nothing."""

    def begun(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
