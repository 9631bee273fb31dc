"""What is durable of one stream: a cumulative next, and what lies beyond it."""

from collections.abc import Iterable


class Sequence:
    """Takes each sequence number once, in any order."""

    def __init__(self, next: int, beyond: Iterable[int]) -> None:  # noqa: A002 - protocol's word
        self.next = next
        self._beyond = set(beyond)
        self._join()

    def holds(self, seq: int) -> bool:
        """Whether seq counts as stored."""
        return seq < self.next or seq in self._beyond

    def take(self, seq: int) -> bool:
        """Whether seq is new; then it counts as stored."""
        if self.holds(seq):
            return False
        self._beyond.add(seq)
        self._join()
        return True

    def advance(self, first: int) -> None:
        """Give up what is missing below first."""
        self.next = max(self.next, first)
        self._beyond = {seq for seq in self._beyond if seq >= self.next}
        self._join()

    def _join(self) -> None:
        while self.next in self._beyond:
            self._beyond.discard(self.next)
            self.next += 1
