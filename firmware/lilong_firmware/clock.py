"""Uptime that never wraps, and the wall time once a gateway has told it."""

from lilong_firmware.discipline import Discipline
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UNIX_AT_2000_S = 946684800
"""Unix seconds at 2000-01-01T00:00:00Z, where the project's time begins."""

SECONDS = 0
"""time_exponent of a channel that counts in seconds."""
MILLISECONDS = -3
"""time_exponent of a channel that counts in milliseconds."""


class Clock:
    """Adds up differences of a wrapping tick counter.

    uptime_ms must be called at least once in half a period of the counter (6.2 days on a
    32-bit port); the Supervisor does so with every look. `ticks_ms` and `ticks_diff` are those
    of MicroPython's time module; what a tick is only they know.
    """

    def __init__(
        self, ticks_ms: "Callable[[], Any]", ticks_diff: "Callable[[Any, Any], int]"
    ) -> None:
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last_ticks = ticks_ms()
        self._uptime_ms = 0
        self.discipline = Discipline()

    def uptime_ms(self) -> int:
        """Return the milliseconds since this object was made; never goes back."""
        ticks = self._ticks_ms()
        elapsed_ms = self._ticks_diff(ticks, self._last_ticks)
        if elapsed_ms > 0:
            self._uptime_ms += elapsed_ms
            self._last_ticks = ticks
        return self._uptime_ms

    def measured(self, offset_ms: int, uncertainty_ms: int, measured_ms: int) -> None:
        """Take what an exchange at uptime `measured_ms` found: milliseconds since 2000 at 0."""
        self.discipline.measured(offset_ms, uncertainty_ms, measured_ms, self.uptime_ms())

    def time_ms(self, uptime_ms: int) -> "int | None":
        """Return milliseconds since 2000 at `uptime_ms`, None while unsynchronised."""
        return self.discipline.time_ms(uptime_ms)


def in_unit(time_ms: int, time_exponent: int) -> int:
    """Return milliseconds as whole units of 10**time_exponent seconds, rounded down."""
    return time_ms if time_exponent == MILLISECONDS else time_ms // 1000
