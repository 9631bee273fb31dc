"""What to publish now, what is on the way, what is confirmed. No clock, no network.

state     leaves it on                                       next state
READY     due()                                              FLYING
FLYING    the broker's acknowledgement, confirm = broker     DONE
FLYING    the broker's acknowledgement, confirm = city       SENT
FLYING    the connection is lost                             READY
SENT      no receipt for again_ms                            READY
any       the city's receipt, once it was due()              DONE
"""

from bisect import bisect_right
from collections.abc import Iterable
from enum import Enum
from itertools import accumulate
from typing import Generic, TypeVar

P = TypeVar("P")


class _State(Enum):
    READY = 1
    FLYING = 2
    SENT = 3
    DONE = 4


class _Parcel(Generic[P]):
    def __init__(self, payload: P | None) -> None:
        self.payload = payload
        self.state = _State.READY
        self.sent_ms = 0
        self.tried = False


_SPAN = 8
"""Times window: how far confirmed positions may run ahead of one that is not."""


class Outbox(Generic[P]):
    """Positions above the cursor, each with what to publish; at most window are unconfirmed.

    Everything at or below cursor is confirmed. head is the position to read on from.
    """

    def __init__(self, cursor: int, window: int, *, city: bool, again_ms: int = 10_000) -> None:
        self.cursor = cursor
        self.head = cursor
        self.confirmed = 0
        self._window = window
        self._city = city
        self._again_ms = again_ms
        self._parcels: dict[int, _Parcel[P]] = {}
        self._open = 0

    @property
    def room(self) -> int:
        """How many positions may be added now."""
        return max(0, min(self._window - self._open, _SPAN * self._window - len(self._parcels)))

    def add(self, pos: int, payload: P) -> None:
        """Add what to publish of the next position; positions rise."""
        self._put(pos, payload)

    def skip(self, pos: int) -> None:
        """Pass a position of which nothing is published."""
        self._finish(self._put(pos, None))
        self._move()

    def due(self, now_ms: int, limit: int) -> list[tuple[int, P]]:
        """Return up to limit positions to publish now; they count as on the way."""
        found: list[tuple[int, P]] = []
        for pos, parcel in self._parcels.items():
            if len(found) >= limit:
                break
            overdue = parcel.state is _State.SENT and now_ms - parcel.sent_ms >= self._again_ms
            if parcel.payload is not None and (parcel.state is _State.READY or overdue):
                parcel.state = _State.FLYING
                parcel.tried = True
                found.append((pos, parcel.payload))
        return found

    def sent(self, pos: int, now_ms: int) -> None:
        """The broker has it."""
        parcel = self._parcels.get(pos)
        if parcel is None or parcel.state is not _State.FLYING:
            return
        if self._city:
            parcel.state = _State.SENT
            parcel.sent_ms = now_ms
        else:
            self._confirm(parcel)
            self._move()

    def receipt(self, ranges: Iterable[tuple[int, int]]) -> None:
        """The city holds these closed ranges of positions durably.

        Believed only of what was given out by due(): a receipt for more is a mistake.
        """
        ordered = sorted(ranges)
        firsts = [first for first, _ in ordered]
        reach = list(accumulate((last for _, last in ordered), max))
        for pos, parcel in self._parcels.items():
            index = bisect_right(firsts, pos)
            held = index > 0 and reach[index - 1] >= pos
            if held and parcel.tried and parcel.state is not _State.DONE:
                self._confirm(parcel)
        self._move()

    def lost(self) -> None:
        """The connection is gone: what was on the way is published again."""
        for parcel in self._parcels.values():
            if parcel.state is _State.FLYING:
                parcel.state = _State.READY

    def wait_ms(self, now_ms: int) -> int | None:
        """Return when due() gives something although nothing happens; None: never."""
        times = [
            max(0, parcel.sent_ms + self._again_ms - now_ms)
            for parcel in self._parcels.values()
            if parcel.state is _State.SENT
        ]
        return min(times, default=None)

    def _put(self, pos: int, payload: P | None) -> _Parcel[P]:
        parcel = self._parcels[pos] = _Parcel(payload)
        self._open += 1
        self.head = pos
        return parcel

    def _confirm(self, parcel: _Parcel[P]) -> None:
        self.confirmed += 1
        self._finish(parcel)

    def _finish(self, parcel: _Parcel[P]) -> None:
        parcel.state = _State.DONE
        parcel.payload = None
        self._open -= 1

    def _move(self) -> None:
        done = []
        for pos, parcel in self._parcels.items():
            if parcel.state is not _State.DONE:
                break
            done.append(pos)
        for pos in done:
            del self._parcels[pos]
            self.cursor = pos
