"""Bicycle parking: a row of stands at a station, full in the morning and empty at night."""

from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime
from lilong_protocol.portable import const

BIKE_COUNT = 0
OCC = 1
LANE_BLOCKED = 2

_COUNT_LIMIT = const(500)
_CLEARED_S = const(420.0)


class Bicycle:
    """People arrive and leave at rates of the hour; past the last stand they block the lane."""

    def __init__(self, chance: Chance, daytime: Daytime, capacity: int = 120) -> None:
        self._chance = chance
        self._daytime = daytime
        self._capacity = capacity
        self._count = capacity // 3
        self._blocked_s = 0.0

    def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return the bicycles, the share of stands in use (0.01), whether the lane is blocked."""
        step_s = self._daytime.advance(uptime_ms, time_ms)
        self._move(step_s)
        self._block(step_s)
        occupancy = min(100, 100 * self._count // self._capacity)
        blocked = 1 if self._blocked_s > 0.0 else 0
        return [(BIKE_COUNT, self._count), (OCC, occupancy), (LANE_BLOCKED, blocked)]

    def _move(self, step_s: float) -> None:
        daytime = self._daytime
        arriving = 0.1 + daytime.bump(8.2, 1.8) + 0.35 * daytime.bump(13.0, 4.0)
        leaving = 0.05 + 0.9 * daytime.bump(18.2, 2.5) + 0.2 * daytime.bump(12.0, 3.0)
        # Hourly: the stands are filled about once in the rush hour and emptied at a like rate.
        self._count += self._chance.poisson(arriving * self._capacity * step_s / 3600.0)
        self._count -= self._chance.poisson(leaving * self._count * step_s / 3600.0)
        most = min(_COUNT_LIMIT, self._capacity + self._capacity // 4)
        self._count = max(0, min(most, self._count))

    def _block(self, step_s: float) -> None:
        """Bicycles left in the lane stay until somebody moves them, some minutes later."""
        self._blocked_s = max(0.0, self._blocked_s - step_s)
        crowded = self._count >= self._capacity
        hourly = 6.0 if crowded else 0.02
        if self._chance.happens(min(0.9, hourly * step_s / 3600.0)):
            self._blocked_s = self._chance.wait(_CLEARED_S)
