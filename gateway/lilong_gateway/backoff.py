"""Waiting times between attempts."""

from collections.abc import Callable


class Backoff:
    """Full jitter: a random time up to a bound that doubles from first_s to most_s.

    random gives a float in [0, 1).
    """

    def __init__(self, random: Callable[[], float], first_s: float, most_s: float) -> None:
        self._random = random
        self._first_s = first_s
        self._most_s = most_s
        self._bound_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now, never less than a quarter of first_s."""
        wait_s = max(self._first_s / 4, self._bound_s * self._random())
        self._bound_s = min(self._most_s, self._bound_s * 2)
        return wait_s

    def reset(self) -> None:
        """Start again from first_s: the last attempt was good."""
        self._bound_s = self._first_s
