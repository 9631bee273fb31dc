"""A HC-SR04: a pulse at its trigger is answered by one as long as the sound was on its way.

Entry: trigger, echo (pins), distance (m), celsius (of the air, 20 when absent). Faults: absent (no
answer), nonsense (nothing echoes: 38 ms), damaged (every third echo is somebody else's), stuck.
"""

from math import sqrt

from chip import SimulatedChip

NO_PULSE = -2
"""As machine.time_pulse_us says it."""
NO_ECHO_US = 38000
FARTHEST_M = 4.5
STRAY_US = 700


class Chip(SimulatedChip):
    """Ranges when its trigger falls."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._level = 0
        self._triggered = False
        self._ranges = 0

    def pins(self) -> "tuple[int, ...]":
        """Return trigger and echo."""
        return (self.entry["trigger"], self.entry["echo"])

    def level(self, pin: int) -> int:
        """Return 0 for the echo: its pulse is over when anybody can look."""
        return self._level if pin == self.entry["trigger"] else 0

    def set(self, pin: int, level: int) -> None:
        """Listen to the trigger."""
        if pin == self.entry["trigger"]:
            self._triggered = self._triggered or (self._level == 1 and level == 0)
            self._level = level

    def pulse_us(self, pin: int, level: int) -> int:
        """Return the length of the echo pulse, -2 when there is none."""
        triggered, self._triggered = self._triggered, False
        if pin != self.entry["echo"] or level != 1 or not triggered or self.fault("absent"):
            return NO_PULSE
        self._ranges += 1
        distance_m = self.value("distance", 1.0)
        if self.fault("nonsense") or distance_m > FARTHEST_M:
            return NO_ECHO_US
        if self.fault("damaged") and self._ranges % 3 == 0:
            return STRAY_US
        speed_m_s = 331.3 * sqrt(1 + self.entry.get("celsius", 20) / 273.15)
        return int(2000000 * distance_m / speed_m_s)
