"""Retransmission time-out from measured round trips (RFC 6298)."""

from lilong_protocol.portable import const

_FLOOR_MS = const(200)
_CEILING_MS = const(4000)
_INITIAL_MS = const(1000)


class RoundTrip:
    """Smoothed round trip, its variation, and the time-out they give, in milliseconds."""

    def __init__(self) -> None:
        self.timeout_ms: int = _INITIAL_MS
        self.smoothed_ms: int | None = None
        """None before the first measurement."""
        self._variation_ms = 0

    def measured(self, sample_ms: int) -> None:
        """Take the round trip of a frame that was sent once (Karn: never of a repeated one)."""
        if self.smoothed_ms is None:
            self.smoothed_ms = sample_ms
            self._variation_ms = sample_ms // 2
        else:
            deviation = abs(self.smoothed_ms - sample_ms)
            self._variation_ms += (deviation - self._variation_ms) // 4
            self.smoothed_ms += (sample_ms - self.smoothed_ms) // 8
        timeout_ms = self.smoothed_ms + max(10, 4 * self._variation_ms)
        self.timeout_ms = min(max(timeout_ms, _FLOOR_MS), _CEILING_MS)

    def expired(self) -> None:
        """Back off: the next time-out is twice as long (RFC 6298 section 5.5)."""
        self.timeout_ms = min(2 * self.timeout_ms, _CEILING_MS)
