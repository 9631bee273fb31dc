"""The connections of one adapter: how many it holds, and which of them are in use."""

from dataclasses import dataclass

_GROW_MS = 300_000
_PAUSE_MS = 4_000


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit, from the order to connect until its end. No two have the same number."""

    number: int
    adapter: str
    eui: bytes
    address: str
    began_ms: int
    alarm: bool
    """Whether it was an alarm that led to it."""


class Slots:
    """What one adapter has to give. `most` is what its owner says that it holds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._limited_ms = 0
        self.visits: dict[int, Visit] = {}
        self.connecting: int | None = None
        """The number of the visit that is not yet connected."""
        self.present = True
        self.paused_ms = 0
        """No connect may begin before that."""
        self.heard_ms = 0
        """When the adapter heard any node the last time."""

    def usable(self, now_ms: int) -> int:
        """Give how many connections are expected to work: one more every five minutes."""
        return min(self._most, self._limit + (now_ms - self._limited_ms) // _GROW_MS)

    def may_begin(self, now_ms: int, *, alarm: bool) -> bool:
        """Whether there is a slot, and no connect under way."""
        return self.present and self.connecting is None and self.has_room(now_ms, alarm=alarm)

    def has_room(self, now_ms: int, *, alarm: bool) -> bool:
        """Whether there is a slot. What is no alarm never has all of them, unless there is one."""
        usable = self.usable(now_ms)
        if len(self.visits) >= usable:
            return False
        ordinary = sum(not visit.alarm for visit in self.visits.values())
        return alarm or usable == 1 or ordinary < usable - 1

    def begin(self, visit: Visit) -> None:
        """Take a slot."""
        self.visits[visit.number] = visit
        self.connecting = visit.number

    def connected(self, visit: Visit) -> None:
        """Let the next connect begin."""
        if self.connecting == visit.number:
            self.connecting = None

    def end(self, visit: Visit) -> bool:
        """Give the slot back; False when it was not in use."""
        self.connected(visit)
        return self.visits.pop(visit.number, None) is not None

    def refused(self, now_ms: int) -> None:
        """Learn from an adapter that said it has no slot left: what is in use is what works.

        One with nothing in use is at something else, and has as many as before.
        """
        if self.visits:
            self._limit = len(self.visits)
            self._limited_ms = now_ms
        self.paused_ms = now_ms + _PAUSE_MS

    def lose(self) -> list[Visit]:
        """The adapter is gone; give the visits that end with it."""
        ended = list(self.visits.values())
        self.visits.clear()
        self.connecting = None
        self.present = False
        return ended

    def come_back(self, now_ms: int) -> None:
        """The adapter is there again, with all that its owner says."""
        self.present = True
        self._limit = self._most
        self.paused_ms = now_ms
