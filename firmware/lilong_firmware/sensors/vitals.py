"""An old person's bed: heart and breath while somebody lies in it."""

from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime, clamp
from lilong_protocol.portable import const

HR = 0
RR = 1
IN_BED = 2
MOTION = 3
SQI = 4

_USABLE_SQI = const(0.3)


class Vitals:
    """Sleep by the hour, visits to the bathroom, a heart that is slowest before dawn.

    Heart rate and respiration are left out while the bed is empty or the signal is poor.
    """

    def __init__(self, chance: Chance, daytime: Daytime) -> None:
        self._chance = chance
        self._daytime = daytime
        self._in_bed = True
        self._away_s = 0.0
        self._turning = 0.0
        self._heart_drift = 0.0
        self._breath_drift = 0.0

    def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return heart rate, respiration (0.1), in bed, motion (0.01), signal quality (0.01)."""
        step_s = self._daytime.advance(uptime_ms, time_ms)
        self._rise_or_lie(step_s)
        self._drift(step_s)
        motion = clamp(self._turning + abs(self._chance.normal(0.02)), 0.0, 1.0)
        if not self._in_bed:
            return [(IN_BED, 0), (MOTION, 0), (SQI, 0)]
        quality = clamp(0.95 - 0.8 * motion + self._chance.normal(0.02), 0.0, 1.0)
        readings = [(IN_BED, 1), (MOTION, round(motion * 100)), (SQI, round(quality * 100))]
        if quality < _USABLE_SQI:
            return readings
        return [(HR, self._heart(motion)), (RR, self._breath(motion))] + readings

    def _heart(self, motion: float) -> int:
        slow = self._daytime.bump(4.0, 8.0)
        rate = 70.0 - 8.0 * slow + 25.0 * motion + self._heart_drift + self._chance.normal(0.8)
        return round(clamp(rate, 30.0, 200.0))

    def _breath(self, motion: float) -> int:
        rate = 15.0 + 6.0 * motion + self._breath_drift + self._chance.normal(0.3)
        # The sensor resolves half a breath a minute.
        return round(clamp(rate, 4.0, 60.0) * 2.0) * 5

    def _rise_or_lie(self, step_s: float) -> None:
        night = self._daytime.hour >= 21.5 or self._daytime.hour < 6.5
        rest = night or 13.0 <= self._daytime.hour < 14.0
        self._away_s = max(0.0, self._away_s - step_s)
        if night and self._away_s <= 0.0 and self._chance.happens(min(0.5, step_s / 9000.0)):
            self._away_s = self._chance.wait(360.0)
        self._in_bed = rest and self._away_s <= 0.0

    def _drift(self, step_s: float) -> None:
        """Random walks that are drawn back to zero, and turning over now and then."""
        pull = min(1.0, step_s / 900.0)
        spread = (2.0 * pull) ** 0.5
        self._heart_drift += self._chance.normal(3.0) * spread - self._heart_drift * pull
        self._breath_drift += self._chance.normal(0.8) * spread - self._breath_drift * pull
        self._turning *= max(0.0, 1.0 - step_s / 20.0)
        if self._chance.happens(min(0.3, step_s / 700.0)):
            self._turning = self._chance.uniform(0.3, 1.0)
