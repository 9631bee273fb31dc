"""Counts the pulses at a pin where the chip has no counter of its own."""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Pulses:
    """Falling edges, by interrupt; several within one pass of the interpreter may count as one."""

    def __init__(self, pin: "Any") -> None:
        self._count = 0
        pin.irq(self._fell, pin.IRQ_FALLING)

    def value(self) -> int:
        """Return how many there were since this object was made."""
        return self._count

    def _fell(self, _pin: "Any") -> None:
        self._count += 1
