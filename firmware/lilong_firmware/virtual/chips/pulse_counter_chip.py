"""A meter with a pulse output.

Entry: pin, pulses (what it has given since the start, a curve that rises) or per_s (pulses a
second). Faults: absent (pulses of that time never arrive), stuck (they come afterwards, at once).
"""

from chip import SimulatedChip
from curve import Curve

LOW_SHARE = 0.25
"""Of the time between two pulses."""


class Chip(SimulatedChip):
    """Pulls its pin low for a quarter of each pulse."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._curve = Curve(entry.get("pulses", 0))

    def pins(self) -> "tuple[int, ...]":
        """Return the one pin."""
        return (self.entry["pin"],)

    def pulses(self, _pin: int) -> int:
        """Return the falling edges that have arrived."""
        return int(self._arrived())

    def level(self, _pin: int) -> "int | None":
        """Return 0 while it gives a pulse."""
        arrived = self._arrived()
        return 0 if arrived >= 1 and arrived % 1 < LOW_SHARE else None

    def set(self, _pin: int, _level: int) -> None:
        """Nothing: it is an output."""

    def _given(self, now_s: float) -> float:
        return self._curve.at(now_s) + self.entry.get("per_s", 0) * now_s

    def _arrived(self) -> float:
        now_s = self.frozen_s()
        lost = 0.0
        for name, from_s, to_s in self.entry.get("faults", ()):
            if name == "absent" and now_s > from_s:
                lost += self._given(min(now_s, to_s)) - self._given(from_s)
        return self._given(now_s) - lost
