"""How long an adapter leaves a node alone that it could not reach."""

from collections.abc import Callable

_FIRST_MS = 1_000
_MOST_MS = 60_000
_ALARM_MOST_MS = 4_000


class Retreat:
    """Doubles with each failure, half of it chance: 0.5 to 1 s first, 30 to 60 s at most.

    An alarm halves what is left to wait from the failure on, and caps it at 4 s. random gives a
    float in [0, 1).
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failed_ms = 0
        self._wait_ms = 0
        self.failures = 0
        """In a row."""

    def failed(self, now_ms: int) -> None:
        """Count a failure."""
        bound_ms = min(_MOST_MS, _FIRST_MS << min(self.failures, 16))
        self.failures += 1
        self._failed_ms = now_ms
        self._wait_ms = int(bound_ms * (1 + self._random()) / 2)

    def succeeded(self) -> None:
        """Start again from nothing."""
        self.failures = 0
        self._wait_ms = 0

    def until_ms(self, *, alarm: bool) -> int:
        """Give when the next attempt may begin."""
        wait_ms = min(self._wait_ms // 2, _ALARM_MOST_MS) if alarm else self._wait_ms
        return self._failed_ms + wait_ms
