"""A square with counted entrances: who comes stays for a while, then leaves."""

from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime
from lilong_protocol.portable import const

IN_CNT = 0
OUT_CNT = 1
OCC = 2
DENS_X100 = 3

_OCC_LIMIT = const(20000)
_COUNTER_MASK = const(0xFFFFFFFF)
_STAY_S = const(1500.0)


class Crowd:
    """`peak` people an hour come at the busiest time; now and then a show draws more."""

    def __init__(
        self, chance: Chance, daytime: Daytime, peak: int = 1200, area_m2: int = 1600
    ) -> None:
        self._chance = chance
        self._daytime = daytime
        self._peak = peak
        self._area_m2 = area_m2
        self._in = 0
        self._out = 0
        self._show_s = 0.0

    def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return both counters since boot, the people present and how many on 100 m2."""
        step_s = self._daytime.advance(uptime_ms, time_ms)
        self._flow(step_s)
        present = self._in - self._out
        density = min(_OCC_LIMIT, present * 100 // self._area_m2)
        entered, left = self._in & _COUNTER_MASK, self._out & _COUNTER_MASK
        return [(IN_CNT, entered), (OUT_CNT, left), (OCC, present), (DENS_X100, density)]

    def _flow(self, step_s: float) -> None:
        daytime = self._daytime
        self._show_s = max(0.0, self._show_s - step_s)
        if self._chance.happens(min(0.5, step_s / 40000.0)):
            self._show_s = 2400.0
        share = 0.02 + 0.5 * daytime.bump(12.5, 3.0) + daytime.bump(19.5, 4.0)
        hourly = self._peak * share * (4.0 if self._show_s > 0.0 else 1.0)
        left = step_s
        while left > 0.0:
            # Short steps keep both expectations small enough for one draw.
            part_s = min(left, 30.0)
            left -= part_s
            self._in += self._chance.poisson(min(40.0, hourly * part_s / 3600.0))
            self._leave(part_s)
        self._in = min(self._in, self._out + _OCC_LIMIT)

    def _leave(self, part_s: float) -> None:
        present = self._in - self._out
        leaving = self._chance.poisson(min(40.0, present * part_s / _STAY_S))
        self._out += min(present, leaving)
