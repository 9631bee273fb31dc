"""What to read and give out next, what is on the way, what is confirmed. No clock, no network.

A group is some batches that go together.

state     leaves it on                                                 next state
FLYING    all its acknowledgements, confirm = broker                   confirmed
FLYING    all its acknowledgements, confirm = city                     SENT
FLYING    the broker will not take it now                              HELD
SENT      no receipt for again_ms                                      FLYING
HELD      held_ms                                                      FLYING
any       the city's receipt for each of its batches                   confirmed
any       the connection is lost                                       read and given out again
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from lilong_gateway.outbox_parts import Ask, Group, Limits, Line, Parcel, Part, State
from lilong_gateway.store.records import Lane, SinkCursors, SinkState

P = TypeVar("P")

_SPLITS = 32
"""Confirmed ranges beyond gaps from which on the live part is not moved on any more."""
_GROUPS = 256
"""Groups of a backlog that are unconfirmed at one time."""


class Outbox(Generic[P]):
    """Bounded in batches and bytes, whatever waits in the store.

    Each part is read with ask(). Of what was read the batches are given out in order, but for
    those of which nothing is sent, and those that needs() excludes; through() ends it.
    """

    def __init__(self, state: SinkState, limits: Limits, *, city: bool) -> None:
        self.confirmed = 0
        """Batches confirmed since it was made; what was dropped does not count."""
        self._limits = limits
        self._city = city
        alarm, rest = state.cursors
        self._lines: tuple[Line[P], Line[P]] = (Line(alarm), Line(rest))
        self._live_from = max(rest.done, rest.ahead_from)
        self._heads = dict.fromkeys(Part, 0)
        self._groups: dict[Part, dict[Group[P], None]] = {part: {} for part in Part}
        self._open = dict.fromkeys(Part, 0)
        self._bytes = 0
        self.lost()
        self.fall_behind(state.last)

    @property
    def cursors(self) -> SinkCursors:
        """What to remember over a restart."""
        return self._lines[0].cursor(), self._lines[1].cursor()

    @property
    def replaying(self) -> bool:
        """Whether a backlog is sent beside what is new."""
        return self._lines[Lane.REST].done < self._live_from

    @property
    def replay_waiting(self) -> int:
        """Positions of the backlog that are not confirmed."""
        return self._live_from - self._lines[Lane.REST].spans.held(0, self._live_from)

    def waiting(self, last: int) -> int:
        """Return how many batches up to last are not confirmed, at most."""
        rest = self._lines[Lane.REST].spans
        return max(0, last - rest.held(0, last)) + self._open[Part.ALARM]

    def fall_behind(self, last: int) -> bool:
        """Begin LIVE anew at last if more than is good waits for it; whether that was done.

        To be called between two reads of LIVE.
        """
        rest = self._lines[Lane.REST]
        if last - self._heads[Part.LIVE] <= self._limits.split or len(rest.spans) > _SPLITS:
            return False
        self._live_from = self._heads[Part.LIVE] = last
        return True

    def ask(self, part: Part) -> Ask | None:
        """Return what to read of a part now; None: nothing, or there is no room."""
        room = self._room(part)
        if room <= 0:
            return None
        if part is not Part.BACKLOG:
            return Ask(part, self._heads[part], room, None)
        spans = self._lines[Lane.REST].spans
        head = self._heads[part] = spans.end(self._heads[part])
        if head >= self._live_from:
            return None
        gap_end = spans.next(head)
        upto = self._live_from if gap_end is None else min(self._live_from, gap_end)
        return Ask(part, head, room, upto)

    def needs(self, part: Part, pos: int) -> bool:
        """Whether a batch that was read must be given out; if not, pass_by() it."""
        line = self._line(part)
        return pos not in line.spans and not line.under_way(pos)

    def pass_by(self, part: Part, pos: int) -> None:
        """Go beyond a batch that need not be given out; whether it is done will show."""
        self.through(part, pos - 1)
        self._heads[part] = max(self._heads[part], pos)

    def through(self, part: Part, pos: int) -> None:
        """There is nothing (more) to give of this part up to pos."""
        self._line(part).spans.add(self._heads[part], pos)
        self._heads[part] = max(self._heads[part], pos)

    def give(self, part: Part, positions: Sequence[int], payload: P) -> Group[P]:
        """Return a new group on its way, of positions that rise; there is nothing between them."""
        group = Group(part, positions, payload)
        parcels = self._line(part).parcels
        for pos in positions:
            parcels[pos] = Parcel(self._heads[part], group)
            self._heads[part] = pos
        self._groups[part][group] = None
        self._open[part] += len(positions)
        return group

    def weigh(self, group: Group[P], size_bytes: int) -> None:
        """Note what is kept of a group."""
        if group.part is Part.BACKLOG:
            self._bytes += size_bytes - group.size_bytes
        group.size_bytes = size_bytes

    def divide(self, group: Group[P], halves: tuple[P, P]) -> list[Group[P]]:
        """Put two groups in the place of one; what is confirmed of it already may leave none."""
        if group not in self._groups[group.part]:
            return []
        self.weigh(group, 0)
        del self._groups[group.part][group]
        middle = len(group.positions) // 2
        ends = group.positions[:middle], group.positions[middle:]
        found = [
            self._replace(Group(group.part, positions, payload))
            for positions, payload in zip(ends, halves, strict=True)
        ]
        return [smaller for smaller in found if smaller.waiting]

    def acknowledged(self, group: Group[P], now_ms: int) -> None:
        """The broker has all of a group."""
        if group not in self._groups[group.part]:
            return
        if self._city:
            group.state, group.again_ms = State.SENT, now_ms + self._limits.again_ms
        else:
            self.confirmed += self._close(self._line(group.part), group.positions)

    def hold(self, group: Group[P], now_ms: int) -> None:
        """The broker will not take it now."""
        group.state, group.again_ms = State.HELD, now_ms + self._limits.held_ms

    def drop(self, group: Group[P]) -> None:
        """It cannot be taken, or nothing of it is to be sent: done, and not counted."""
        self._close(self._line(group.part), group.positions)

    def overdue(self, part: Part, now_ms: int) -> list[Group[P]]:
        """Return the groups to give out again now; they count as on the way."""
        found = [
            group
            for group in self._groups[part]
            if group.state is not State.FLYING and group.again_ms <= now_ms
        ]
        for group in found:
            group.state = State.FLYING
        return found

    def wait_ms(self, part: Part, now_ms: int) -> int | None:
        """Return when overdue() gives something; None: never."""
        groups = self._groups[part]
        times = [group.again_ms for group in groups if group.state is not State.FLYING]
        return max(0, min(times) - now_ms) if times else None

    def receipt(
        self, held: Iterable[tuple[int, int]], refused: Iterable[tuple[int, int]] = ()
    ) -> list[int]:
        """The city holds some closed ranges of positions durably, and cannot read others.

        Believed only of what was given out: a receipt for more is a mistake. Returns those that
        the city refuses.
        """
        for line in self._lines:
            self.confirmed += self._close(line, line.given(held))
        unreadable = []
        for line in self._lines:
            found = line.given(refused)
            self._close(line, found)
            unreadable += found
        return unreadable

    def lost(self) -> None:
        """The connection is gone: what is not confirmed is read again."""
        for part in Part:
            line = self._line(part)
            line.forget()
            begin = self._live_from if part is Part.LIVE else 0
            self._heads[part] = line.spans.end(begin)
            self._groups[part].clear()
            self._open[part] = 0
        self._bytes = 0

    def _replace(self, group: Group[P]) -> Group[P]:
        parcels = self._line(group.part).parcels
        for pos in group.positions:
            if pos in parcels:
                parcels[pos].group = group
            else:
                group.waiting -= 1
        if group.waiting:
            self._groups[group.part][group] = None
        return group

    def _line(self, part: Part) -> Line[P]:
        return self._lines[part.lane]

    def _room(self, part: Part) -> int:
        if part is not Part.BACKLOG:
            return self._limits.window - self._open[part]
        if self._bytes >= self._limits.backlog_bytes or len(self._groups[part]) >= _GROUPS:
            return 0
        return self._limits.backlog - self._open[part]

    def _close(self, line: Line[P], positions: Iterable[int]) -> int:
        """Mark positions as done; return how many had been given out."""
        closed = 0
        for pos in positions:
            parcel = line.parcels.pop(pos, None)
            if parcel is None:
                continue
            line.spans.add(parcel.before, pos)
            closed += 1
            if parcel.group is not None:
                self._leave(parcel.group)
        return closed

    def _leave(self, group: Group[P]) -> None:
        group.waiting -= 1
        self._open[group.part] -= 1
        if group.waiting == 0:
            del self._groups[group.part][group]
            self._bytes -= group.size_bytes if group.part is Part.BACKLOG else 0
