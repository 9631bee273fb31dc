"""A tidal creek with a rain gauge and a water quality sonde."""

from math import pi, sin

from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime, clamp
from lilong_protocol.portable import const

LEVEL = 0
RAIN = 1
T_W = 2
COND = 3
PH = 4
TURB = 5

_M2_S = const(44714)
_S2_S = const(43200)
_NM_S_PER_MM_H = 1000.0 / 3.6
_MEAN_SHOWER_GAP_S = const(50000.0)
_QUICK_STORE_S = const(2400.0)
_SLOW_STORE_S = const(36000.0)


class River:
    """Tide and two linear stores of rain give the level; rain dilutes and muddies the water."""

    def __init__(self, chance: Chance, daytime: Daytime) -> None:
        self._chance = chance
        self._daytime = daytime
        self._shower_s = 0.0
        self._shower_left_s = 0.0
        self._peak_mm_h = 0.0
        self._quick_mm = 0.0
        self._slow_mm = 5.0
        self._mud = 0.0

    def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return level (mm), rain (nm/s), water (0.1 Cel, 1e-5 S/m, 0.01 pH), turbidity (0.1)."""
        step_s = self._daytime.advance(uptime_ms, time_ms)
        rain = self._rain_mm_h(step_s)
        self._store(rain, step_s)
        fresh = min(1.0, self._quick_mm / 20.0)
        return [
            (LEVEL, round(clamp(self._level_m(), -2.0, 10.0) * 1000.0)),
            (RAIN, round(clamp(rain, 0.0, 300.0) * _NM_S_PER_MM_H)),
            (T_W, round(clamp(self._temperature(fresh), -2.0, 40.0) * 10.0)),
            (COND, round(clamp(0.062 - 0.03 * fresh + self._noise(2e-4), 0.0, 0.5) * 1e5)),
            (PH, round(clamp(7.6 - 0.4 * fresh + self._noise(0.01), 0.0, 14.0) * 100.0)),
            (TURB, round(clamp(12.0 + 240.0 * self._mud + self._noise(0.4), 0.0, 4000.0) * 10.0)),
        ]

    def _noise(self, deviation: float) -> float:
        return self._chance.normal(deviation)

    def _rain_mm_h(self, step_s: float) -> float:
        """Showers rise and fall like a sine; between them it is dry."""
        if self._shower_left_s > 0.0:
            self._shower_left_s = max(0.0, self._shower_left_s - step_s)
            done = 1.0 - self._shower_left_s / self._shower_s
            return max(0.0, self._peak_mm_h * sin(pi * done) * self._chance.uniform(0.7, 1.3))
        if self._chance.happens(min(0.5, step_s / _MEAN_SHOWER_GAP_S)):
            self._shower_s = self._shower_left_s = self._chance.wait(5400.0)
            self._peak_mm_h = self._chance.wait(12.0)
        return 0.0

    def _store(self, rain_mm_h: float, step_s: float) -> None:
        fallen_mm = rain_mm_h * step_s / 3600.0
        quick_mm = self._quick_mm * min(1.0, step_s / _QUICK_STORE_S)
        self._quick_mm += 0.7 * fallen_mm - quick_mm
        self._slow_mm += 0.3 * fallen_mm - self._slow_mm * step_s / _SLOW_STORE_S
        self._mud += min(1.0, step_s / 1800.0) * (min(1.0, quick_mm / 4.0) - self._mud)

    def _level_m(self) -> float:
        tide_m = 0.35 * sin(2.0 * pi * self._daytime.cycle(_M2_S))
        tide_m += 0.12 * sin(2.0 * pi * self._daytime.cycle(_S2_S) + 0.7)
        return 2.4 + tide_m + 0.03 * self._quick_mm + 0.008 * self._slow_mm + self._noise(0.0015)

    def _temperature(self, fresh: float) -> float:
        return 19.0 + 1.2 * self._daytime.bump(15.5, 12.0) - 2.0 * fresh + self._noise(0.03)
