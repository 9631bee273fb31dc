"""The time that a model lives in: the hour of its day and the seconds since it was last asked."""

from lilong_protocol.portable import const

_DAY_S = const(86400)
_LONGEST_S = 600.0


class Daytime:
    """Follows the node's uptime, `speed` times as fast.

    The hour is that of China Standard Time while the wall time is known and the speed is 1;
    otherwise the model's day begins at `start_hour` with the node's boot.
    """

    def __init__(self, speed: float = 1.0, start_hour: float = 8.0) -> None:
        self._speed = speed
        self._start_hour = start_hour
        self._last_ms: int | None = None
        self.hour = start_hour
        self.step_s = 0.0
        """Model seconds since the last call, at most 600."""
        self.elapsed_s = 0.0
        """Model seconds since the first call."""

    def advance(self, uptime_ms: int, time_ms: "int | None") -> float:
        """Take the time of a reading; return step_s."""
        if self._last_ms is None:
            self._last_ms = uptime_ms
        passed_s = (uptime_ms - self._last_ms) / 1000.0 * self._speed
        self._last_ms = uptime_ms
        self.step_s = min(passed_s, _LONGEST_S)
        self.elapsed_s += self.step_s
        if time_ms is not None and self._speed == 1.0:
            self.hour = ((time_ms // 1000 + 8 * 3600) % _DAY_S) / 3600.0
        else:
            self.hour = (self._start_hour + self.elapsed_s / 3600.0) % 24.0
        return self.step_s

    def bump(self, centre: float, width: float) -> float:
        """Return 1 at hour `centre`, falling to 0 `width` hours away, round the clock."""
        distance = abs(self.hour - centre)
        distance = min(distance, 24.0 - distance)
        return max(0.0, 1.0 - distance / width)


def clamp(value: float, lowest: float, highest: float) -> float:
    """Return the number of the range that is nearest to `value`."""
    return lowest if value < lowest else min(value, highest)
