"""A set of whole numbers as ranges; (low, high] holds low + 1 to high."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Spans:
    """Ranges that neither meet nor overlap, in order."""

    def __init__(self) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []

    def __len__(self) -> int:
        return len(self._lows)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._lows, self._highs, strict=True)

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self._lows, number) - 1
        return index >= 0 and number <= self._highs[index]

    def add(self, low: int, high: int) -> None:
        """Add (low, high]; one that holds nothing changes nothing."""
        if high <= low:
            return
        first = bisect_left(self._highs, low)
        behind = bisect_right(self._lows, high)
        if first < behind:
            low = min(low, self._lows[first])
            high = max(high, self._highs[behind - 1])
        self._lows[first:behind] = [low]
        self._highs[first:behind] = [high]

    def end(self, number: int) -> int:
        """Return how far everything above number is held; number itself when nothing is."""
        index = bisect_right(self._lows, number) - 1
        return max(number, self._highs[index]) if index >= 0 else number

    def next(self, number: int) -> int | None:
        """Return the low of the first range that begins at number or above; None: there is none.

        What lies between number and there is not held, if number is an end().
        """
        index = bisect_left(self._lows, number)
        return self._lows[index] if index < len(self._lows) else None

    def held(self, low: int, high: int) -> int:
        """Return how many numbers of (low, high] are held."""
        return sum(max(0, min(high, end) - max(low, begin)) for begin, end in self)
