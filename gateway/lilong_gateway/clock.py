"""The two clocks of the machine: a steady one for waiting, the wall for dating."""

import time

UNIX_2000_MS = 946_684_800_000
"""Milliseconds from 1970-01-01 to 2000-01-01, both UTC."""

SET_AFTER_MS = 788_918_400_000
"""2025-01-01 in ms since 2000: a wall clock before it was never set."""


class Clock:
    """Reads the machine's clocks; a test gives its own."""

    def steady_ms(self) -> int:
        """Milliseconds that only go forward; the zero means nothing."""
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int | None:
        """Milliseconds since 2000-01-01T00:00:00Z, or None while the clock is not set."""
        now_ms = time.time_ns() // 1_000_000 - UNIX_2000_MS
        return now_ms if now_ms >= SET_AFTER_MS else None
