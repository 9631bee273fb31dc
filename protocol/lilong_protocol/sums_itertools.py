"""Running sums from `itertools`, which MicroPython has not."""

from collections.abc import Iterable
from itertools import accumulate


def running_sums(base: int, steps: Iterable[int]) -> list[int]:
    """Return `base`, and what it becomes with each step."""
    return list(accumulate(steps, initial=base))
