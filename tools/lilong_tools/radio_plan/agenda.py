"""Virtual time: what is to happen when."""

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """Calls what was asked for in its order; between two calls no time passes."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, ms: float, event: Callable[[], None]) -> None:
        """Have something happen so many ms from now."""
        at_ms = self.now_ms + max(0, round(ms))
        heapq.heappush(self._entries, (at_ms, next(self._order), event))

    def run(self, until_ms: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time go by until then, or until it is done."""
        while self._entries and self._entries[0][0] <= until_ms and not done():
            self.now_ms, _, event = heapq.heappop(self._entries)
            event()
