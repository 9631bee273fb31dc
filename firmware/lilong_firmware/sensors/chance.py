"""Repeatable randomness, the same on every interpreter."""

from math import exp, log

from lilong_protocol.portable import const

_MULTIPLIER = const(1664525)
_INCREMENT = const(1013904223)
_MASK = const(0xFFFFFFFF)
_TOP = 1 << 24
_POISSON_LIMIT = const(64)


class Chance:
    """A linear congruential generator (Numerical Recipes); for models, not for secrets."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK
        for _ in range(4):
            self.uniform()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number from low to below high."""
        self._state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK
        return low + (high - low) * ((self._state >> 8) / _TOP)

    def below(self, limit: int) -> int:
        """Return an integer 0..limit-1."""
        return int(self.uniform(0.0, 1.0) * limit)

    def normal(self, deviation: float) -> float:
        """Return a number round 0, nearly normal: four uniform numbers added."""
        total = self.uniform() + self.uniform() + self.uniform() + self.uniform()
        return (total - 2.0) * 1.7320508 * deviation

    def happens(self, mean: float) -> bool:
        """Whether something occurs at least once that is expected `mean` times (mean < 1)."""
        return self.uniform() < mean

    def poisson(self, mean: float) -> int:
        """Return how often something occurs that is expected `mean` times, at most 64 (Knuth)."""
        limit = exp(-mean)
        product = self.uniform()
        count = 0
        while product > limit and count < _POISSON_LIMIT:
            product *= self.uniform()
            count += 1
        return count

    def wait(self, mean: float) -> float:
        """Return an exponential waiting time round `mean`, from 0.05 to 5 times it."""
        return -mean * log(1.0 - self.uniform(0.05, 0.993))
