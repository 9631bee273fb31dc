"""The time that a model lives in: the hour of its day and the seconds since it was last asked."""

from lilong_protocol.portable import const

_DAY_S = const(86400)
_LONGEST_US = const(600000000)
_US_PER_MS = const(1000)
_US_PER_S = const(1000000)
_ONE = const(1000)


class Daytime:
    """Follows the node's uptime, `speed` times as fast.

    The hour is that of China Standard Time while the wall time is known and the speed is 1;
    otherwise the model's day begins at `start_hour` with the node's boot. Time adds up in
    integers: a float of single precision would stand still after some days of short steps.
    """

    def __init__(self, speed: float = 1.0, start_hour: float = 8.0) -> None:
        self._speed_permille = max(1, round(speed * _ONE))
        self._start_s = round(start_hour * 3600)
        self._last_ms: int | None = None
        self._elapsed_us = 0
        self.hour = start_hour
        self.step_s = 0.0
        """Model seconds since the last call, at most 600."""

    def advance(self, uptime_ms: int, time_ms: "int | None") -> float:
        """Take the time of a reading; return step_s."""
        if self._last_ms is None:
            self._last_ms = uptime_ms
        step_us = min((uptime_ms - self._last_ms) * self._speed_permille, _LONGEST_US)
        self._last_ms = uptime_ms
        self._elapsed_us += step_us
        self.step_s = step_us / _US_PER_S
        if time_ms is not None and self._speed_permille == _ONE:
            seconds = time_ms // 1000 + 8 * 3600
        else:
            seconds = self._start_s + self._elapsed_us // _US_PER_S
        self.hour = (seconds % _DAY_S) / 3600.0
        return self.step_s

    def cycle(self, period_s: int) -> float:
        """Return how much of a cycle of `period_s` has passed, 0 to below 1, since the boot."""
        elapsed_ms = self._elapsed_us // _US_PER_MS
        return (elapsed_ms % (period_s * 1000)) / (period_s * 1000)

    def bump(self, centre: float, width: float) -> float:
        """Return 1 at hour `centre`, falling to 0 `width` hours away, round the clock."""
        distance = abs(self.hour - centre)
        distance = min(distance, 24.0 - distance)
        return max(0.0, 1.0 - distance / width)


def clamp(value: float, lowest: float, highest: float) -> float:
    """Return the number of the range that is nearest to `value`."""
    return lowest if value < lowest else min(value, highest)
