"""A HC-SR501: its output is high while something moves and for a while after it.

Entry: pin, motion (1 or 0), delay_s (2.5 when absent), settle_s in which it is high now and then
(60 when absent). Faults: absent (the wire is broken), stuck.
"""

from chip import SimulatedChip

FALSE_EVERY_S = 20
FALSE_S = 3


class Chip(SimulatedChip):
    """Retriggerable: each motion starts the delay again."""

    def pins(self) -> "tuple[int, ...]":
        """Return the one pin."""
        return (self.entry["pin"],)

    def level(self, _pin: int) -> "int | None":
        """Return the output, None where the wire is broken."""
        if self.fault("absent"):
            return None
        now_s = self.frozen_s()
        if now_s < self.entry.get("settle_s", 60):
            return int(now_s % FALSE_EVERY_S < FALSE_S)
        return int(bool(self.state("motion", 0)) or self._lingers(now_s))

    def set(self, _pin: int, _level: int) -> None:
        """Nothing: it is an output."""

    def _lingers(self, now_s: float) -> bool:
        points = self.entry.get("motion", 0)
        if not isinstance(points, list):
            return False
        moving, delay_s = 0, self.entry.get("delay_s", 2.5)
        for time_s, value in points:
            if time_s > now_s:
                break
            if moving and not value and now_s - time_s < delay_s:
                return True
            moving = value
        return False
