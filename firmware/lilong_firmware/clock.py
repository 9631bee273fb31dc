"""Uptime that never wraps, and the wall time once a gateway has told it."""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SECONDS = 0
"""time_exponent of a channel that counts in seconds."""
MILLISECONDS = -3
"""time_exponent of a channel that counts in milliseconds."""


class Clock:
    """Adds up differences of a wrapping tick counter.

    uptime_ms must be called at least once in half a period of the counter (6.2 days on a
    32-bit port). `ticks_ms` and `ticks_diff` are those of MicroPython's time module; what a tick
    is only they know.
    """

    def __init__(
        self, ticks_ms: "Callable[[], Any]", ticks_diff: "Callable[[Any, Any], int]"
    ) -> None:
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last_ticks = ticks_ms()
        self._uptime_ms = 0
        self.epoch_ms_at_boot: int | None = None
        """Milliseconds since 2000 at uptime 0; None until it is known."""

    def uptime_ms(self) -> int:
        """Return the milliseconds since this object was made; never goes back."""
        ticks = self._ticks_ms()
        elapsed_ms = self._ticks_diff(ticks, self._last_ticks)
        if elapsed_ms > 0:
            self._uptime_ms += elapsed_ms
            self._last_ticks = ticks
        return self._uptime_ms

    def set(self, epoch_ms_at_boot: int) -> None:
        """Take the wall time, as milliseconds since 2000 at uptime 0."""
        self.epoch_ms_at_boot = epoch_ms_at_boot

    def time_ms(self, uptime_ms: int) -> "int | None":
        """Return milliseconds since 2000 at `uptime_ms`, None while unsynchronised."""
        if self.epoch_ms_at_boot is None:
            return None
        return self.epoch_ms_at_boot + uptime_ms


def in_unit(time_ms: int, time_exponent: int) -> int:
    """Return milliseconds as whole units of 10**time_exponent seconds, rounded down."""
    return time_ms if time_exponent == MILLISECONDS else time_ms // 1000
