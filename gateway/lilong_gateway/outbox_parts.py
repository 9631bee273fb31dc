"""What the outbox is made of: parts, limits, groups, and the lines of the two lanes."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import accumulate
from typing import Generic, TypeVar

from lilong_gateway.spans import Spans
from lilong_gateway.store.records import Cursor, Lane

P = TypeVar("P")


class Part(IntEnum):
    """What is sent beside each other, in the order of precedence.

    BACKLOG is that of the lane REST which is older than what LIVE began with.
    """

    ALARM = 0
    LIVE = 1
    BACKLOG = 2

    @property
    def lane(self) -> Lane:
        """Where its batches are read."""
        return Lane.ALARM if self is Part.ALARM else Lane.REST


@dataclass(frozen=True, slots=True)
class Limits:
    """Batches that are unconfirmed at one time, and bytes of them.

    window is for ALARM and for LIVE, each. Where more than split positions wait for LIVE they
    become a backlog.
    """

    window: int = 64
    backlog: int = 2000
    backlog_bytes: int = 2 << 20
    split: int = 128
    again_ms: int = 10_000
    held_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Ask:
    """What to read: up to limit batches of a part above pos, none above upto."""

    part: Part
    pos: int
    limit: int
    upto: int | None


class State(Enum):
    """Of a group; those that are confirmed have none."""

    FLYING = 1
    SENT = 2
    HELD = 3


class Group(Generic[P]):
    """Batches that were given out together; waiting are those not yet confirmed."""

    def __init__(self, part: Part, positions: Sequence[int], payload: P) -> None:
        self.part = part
        self.positions = tuple(positions)
        self.payload = payload
        self.size_bytes = 0
        self.waiting = len(self.positions)
        self.state = State.FLYING
        self.again_ms = 0


class Parcel(Generic[P]):
    """A batch on its way; confirmed it closes (before, pos]. No group: its connection is gone."""

    __slots__ = ("before", "group")

    def __init__(self, before: int, group: Group[P] | None) -> None:
        self.before = before
        self.group = group


class Line(Generic[P]):
    """One lane: what is confirmed of it, and what was given out."""

    def __init__(self, cursor: Cursor) -> None:
        self.spans = Spans()
        self.spans.add(0, cursor.done)
        self.spans.add(cursor.ahead_from, cursor.ahead_to)
        self.parcels: dict[int, Parcel[P]] = {}

    @property
    def done(self) -> int:
        """Up to where all is confirmed."""
        return self.spans.end(0)

    def cursor(self) -> Cursor:
        """Return what is confirmed without a gap, and of the rest the longest range."""
        done = self.done
        beyond = [span for span in self.spans if span[0] > done]
        ahead = max(beyond, key=lambda span: span[1] - span[0], default=(0, 0))
        return Cursor(done, *ahead)

    def forget(self) -> None:
        """Remember of what was given out only that it was."""
        self.parcels = {
            pos: Parcel(parcel.before, None)
            for pos, parcel in self.parcels.items()
            if pos not in self.spans
        }

    def given(self, ranges: Iterable[tuple[int, int]]) -> list[int]:
        """Return the positions in these closed ranges that were given out."""
        ordered = sorted(ranges)
        firsts = [first for first, _ in ordered]
        reach = list(accumulate((last for _, last in ordered), max))
        found = []
        for pos in self.parcels:
            index = bisect_right(firsts, pos)
            if index > 0 and reach[index - 1] >= pos:
                found.append(pos)
        return found

    def under_way(self, pos: int) -> bool:
        """Whether this connection carries it now."""
        parcel = self.parcels.get(pos)
        return parcel is not None and parcel.group is not None
