"""A lift: calls, doors and rides with limited speed, acceleration and jerk."""

from math import pow, sqrt  # noqa: A004 - the float one

from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime, clamp
from lilong_protocol.portable import const

POS = 0
VZ = 1
ACC_RMS = 2
DOOR = 3
PRESENCE = 4

_FLOOR_M = const(3.0)
_SPEED_M_S = const(1.75)
_ACCELERATION_M_S2 = const(0.9)
_JERK_M_S3 = const(1.0)


class _Phase:
    """A stretch of a ride: doors open or closed, somebody inside or not, from height to height."""

    def __init__(
        self, seconds: float, start_m: float, end_m: float, *, door: int, inside: int
    ) -> None:
        self.seconds = seconds
        self.start_m = start_m
        self.end_m = end_m
        self.door = door
        self.inside = inside


class Elevator:
    """Serves one call after the other; the cabin waits where it was left."""

    def __init__(self, chance: Chance, daytime: Daytime, floors: int = 18) -> None:
        self._chance = chance
        self._daytime = daytime
        self._floors = floors
        self._height_m = 0.0
        self._phases: list[_Phase] = []
        self._in_phase_s = 0.0

    def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return height (0.1 m), speed (0.01 m/s), vibration (0.01 m/s2), door open, presence."""
        self._in_phase_s += self._daytime.advance(uptime_ms, time_ms)
        phase = self._phase()
        height_m, speed, acceleration = _motion(phase, self._in_phase_s)
        vibration = 0.02 + 0.05 * abs(speed) + abs(acceleration) + abs(self._chance.normal(0.01))
        return [
            (POS, round(clamp(height_m, 0.0, 300.0) * 10.0)),
            (VZ, round(clamp(speed, -10.0, 10.0) * 100.0)),
            (ACC_RMS, round(clamp(vibration, 0.0, 20.0) * 100.0)),
            (DOOR, phase.door),
            (PRESENCE, phase.inside),
        ]

    def _phase(self) -> _Phase:
        """Return the phase that the cabin is in, after ending those that are over."""
        while True:
            if not self._phases:
                self._phases = self._call()
            phase = self._phases[0]
            if self._in_phase_s < phase.seconds:
                return phase
            self._in_phase_s -= phase.seconds
            self._height_m = phase.end_m
            self._phases.pop(0)

    def _call(self) -> "list[_Phase]":
        """Return a wait, the way to the caller, and the ride."""
        daytime, chance = self._daytime, self._chance
        busy = 0.08 + daytime.bump(8.0, 2.0) + daytime.bump(18.5, 2.5) + 0.3 * daytime.bump(13, 4)
        morning = daytime.hour < 12.0
        home_m = (1 + chance.below(self._floors - 1)) * _FLOOR_M
        start_m, end_m = (home_m, 0.0) if morning else (0.0, home_m)
        here_m = self._height_m
        return [
            _Phase(chance.wait(45.0 / busy), here_m, here_m, door=0, inside=0),
            _Phase(_ride_s(here_m, start_m), here_m, start_m, door=0, inside=0),
            _Phase(chance.uniform(1.0, 2.0), start_m, start_m, door=1, inside=0),
            _Phase(chance.uniform(3.0, 6.0), start_m, start_m, door=1, inside=1),
            _Phase(_ride_s(start_m, end_m), start_m, end_m, door=0, inside=1),
            _Phase(chance.uniform(2.0, 4.0), end_m, end_m, door=1, inside=1),
            _Phase(chance.uniform(1.5, 3.0), end_m, end_m, door=1, inside=0),
        ]


def _ride_s(start_m: float, end_m: float) -> float:
    """Return how long a ride takes on the minimum-jerk curve within all three limits."""
    distance_m = abs(end_m - start_m)
    by_speed = 1.875 * distance_m / _SPEED_M_S
    by_acceleration = sqrt(5.7735 * distance_m / _ACCELERATION_M_S2)
    by_jerk = pow(60.0 * distance_m / _JERK_M_S3, 1.0 / 3.0)
    return max(by_speed, by_acceleration, by_jerk)


def _motion(phase: _Phase, seconds: float) -> "tuple[float, float, float]":
    """Return height, speed and acceleration: x(s) = 10 s^3 - 15 s^4 + 6 s^5 (Flash and Hogan)."""
    distance_m = phase.end_m - phase.start_m
    if distance_m == 0.0:
        return phase.start_m, 0.0, 0.0
    s = seconds / phase.seconds
    height_m = phase.start_m + distance_m * s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)
    speed = distance_m / phase.seconds * 30.0 * s * s * (1.0 - s) * (1.0 - s)
    curve = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s)
    return height_m, speed, distance_m / (phase.seconds * phase.seconds) * curve
