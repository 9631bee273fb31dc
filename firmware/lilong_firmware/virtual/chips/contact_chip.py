"""A dry contact, which bounces.

Entry: pin, closed (1 or 0), to ("ground" when absent, or "supply"), bounce_ms after each change
(5 when absent). Faults: absent (the wire is broken), stuck, damaged (it chatters).
"""

from chip import SimulatedChip

OPEN = None
"""Nobody drives the pin: its pull does."""


class Chip(SimulatedChip):
    """Connects its pin to ground or supply, or leaves it alone."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._closed_level = int(entry.get("to", "ground") == "supply")

    def pins(self) -> "tuple[int, ...]":
        """Return the one pin."""
        return (self.entry["pin"],)

    def level(self, _pin: int) -> "int | None":
        """Return the level, None where the contact is open."""
        if self.fault("absent"):
            return OPEN
        closed = bool(self.state("closed", 0))
        if self._bounces():
            # Open and closed for a millisecond each.
            closed = closed != (int(self.now_s() * 1000) % 2 == 0)
        return self._closed_level if closed else OPEN

    def set(self, _pin: int, _level: int) -> None:
        """Nothing: it is a contact."""

    def _bounces(self) -> bool:
        if self.fault("damaged"):
            return True
        points = self.entry.get("closed", 0)
        if not isinstance(points, list):
            return False
        now_s = self.frozen_s()
        bounce_s = self.entry.get("bounce_ms", 5) / 1000
        return any(0 <= now_s - point[0] < bounce_s for point in points[1:])
