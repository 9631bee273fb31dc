"""What goes first when there is no room: of telemetry every second batch, and every second again.

In this order, each as a whole before the next: bulk, data, then bulk and data with channels that
are to be thinned last. Of each the oldest first; the next sweep begins when all has been thinned
as often. Alarms and control are never thinned.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from lilong_gateway.store import tally
from lilong_gateway.store.classes import channels_of
from lilong_gateway.store.cursors import Range, delivered, last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Lane
from lilong_gateway.store.removal import remove

ONE_IN_MOST = 64
"""Nothing is thinned beyond it."""

_LEVELS = (2, 4, 8, 16, 32, 64)
_DATA, _BULK = 2, 3
_GROUPS = ((_BULK, False), (_DATA, False), (_BULK, True), (_DATA, True))
_CIRCLE = 16384
_STRIDE = 10125
"""The golden section of the circle: its multiples lie evenly, and in step with nothing."""

_LOOKED_AT = 4000
"""Rows of one step."""

_ROWS = """SELECT pos, node, stream, seq, one_in, readings, descriptor FROM batch
    WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?"""
_KEEP = "UPDATE batch SET one_in = ? WHERE pos = ?"
_COUNT = """INSERT INTO thinned (node, stream, batches, readings, first_ms, last_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (node, stream) DO UPDATE SET
    batches = batches + excluded.batches, readings = readings + excluded.readings,
    last_ms = COALESCE(excluded.last_ms, last_ms)"""


def survives(seq: int, one_in: int) -> bool:
    """Whether a batch is among those that stay when one in so many does.

    Those are spread evenly over the numbers, whatever order the channels come in.
    """
    return seq % _CIRCLE * _STRIDE % _CIRCLE < _CIRCLE // one_in


class Sweep(NamedTuple):
    """The next to be thinned: a group, down to one in so many, above a position up to another."""

    group: int
    one_in: int
    first: int
    last: int


@dataclass(slots=True)
class Thinned:
    """What a step did; looked_at 0: nothing is left to thin."""

    looked_at: int = 0
    batches: int = 0
    readings: int = 0
    _gone: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def count(self, node: int, stream: int, readings: int) -> None:
        """Count a batch that goes."""
        self.batches += 1
        self.readings += readings
        gone = self._gone.setdefault((node, stream), [0, 0])
        gone[0] += 1
        gone[1] += readings

    def note(self, connection: sqlite3.Connection, now_ms: int | None) -> None:
        """Keep the counts."""
        rows = [(*key, *gone, now_ms) for key, gone in self._gone.items()]
        connection.executemany(_COUNT, rows)


def thin(
    database: Database,
    sinks: Sequence[str],
    last: Sequence[str],
    limit: int,
    now_ms: int | None,
) -> Thinned:
    """Take one step, in which at most limit batches change; last: patterns of channels' names."""
    done = Thinned()
    with database.transaction(2 * limit) as connection:
        sweep = _next_sweep(connection, any_last=bool(last))
        if sweep is None:
            return done
        held = delivered(connection, sinks)[Lane.REST]
        found = connection.execute(_ROWS, (sweep.first, sweep.last, _LOOKED_AT)).fetchall()
        reached = found[-1][0] if len(found) == _LOOKED_AT else sweep.last
        own = [row for row in found if _is_of(database, row, sweep, last)]
        due = [row for row in own if row[4] < sweep.one_in and not _is_within(row[0], held)]
        if len(due) > limit:
            due = due[:limit]
            reached = due[-1][0]
        keep = [row[0] for row in due if survives(row[3], sweep.one_in)]
        drop = [row for row in due if not survives(row[3], sweep.one_in)]
        for _, node, stream, _, _, readings, _ in drop:
            done.count(node, stream, readings)
        connection.executemany(_KEEP, [(sweep.one_in, pos) for pos in keep])
        remove(connection, [row[0] for row in drop], "thinned out, the store was full")
        done.note(connection, now_ms)
        _move_marks(connection, sweep, reached, alone=not own)
        done.looked_at = max(1, len(found))
    return done


def _is_of(database: Database, row: tuple[Any, ...], sweep: Sweep, last: Sequence[str]) -> bool:
    """Whether a row belongs to the group of a sweep."""
    stream, are_last = _GROUPS[sweep.group]
    if row[2] != stream:
        return False
    return not last or _is_last(database, row[0], row[6], last) == are_last


def stands_for(counts: Mapping[str, int], confirmed: int, last: int) -> float:
    """Return how many batches of data one that waits stands for, on the average."""
    if last <= confirmed:
        return 1.0
    group = _GROUPS.index((_DATA, False))
    tops = [last, *(counts.get(_mark(group, level), 0) for level in _LEVELS), confirmed]
    tops = [min(max(top, confirmed), last) for top in tops]
    kept = sum(
        (above - below) / one_in
        for above, below, one_in in zip(tops[:-1], tops[1:], (1, *_LEVELS), strict=True)
    )
    return (last - confirmed) / kept if kept > 0 else float(ONE_IN_MOST)


def _next_sweep(connection: sqlite3.Connection, *, any_last: bool) -> Sweep | None:
    counts = tally.read(connection)
    last = last_position(connection)
    for group, (stream, are_last) in enumerate(_GROUPS):
        if are_last and not any_last:
            continue
        there = "SELECT 1 FROM stream WHERE stream = ? LIMIT 1"
        if connection.execute(there, (stream,)).fetchone() is None:
            continue
        top = last
        for level in _LEVELS:
            mark = counts.get(_mark(group, level), 0)
            if mark < top:
                return Sweep(group, level, mark, top)
            top = mark
    return None


def _move_marks(
    connection: sqlite3.Connection, sweep: Sweep, reached: int, *, alone: bool
) -> None:
    """Remember how far a sweep is; where there was nothing of its group the others are as far."""
    counts = tally.read(connection)
    for level in _LEVELS:
        name = _mark(sweep.group, level)
        beside = alone and level > sweep.one_in and counts.get(name, 0) == sweep.first
        if level == sweep.one_in or beside:
            tally.put(connection, name, reached)


def _mark(group: int, level: int) -> str:
    return f"thinned {group} to {level}"


def _is_within(pos: int, ranges: Sequence[Range]) -> bool:
    return any(first < pos <= last for first, last in ranges)


def _is_last(
    database: Database, pos: int, descriptor: int | None, patterns: Sequence[str]
) -> bool:
    """Whether any channel of a batch is to be thinned last; it is read only when that is open."""
    if descriptor is None:
        return False
    known = database.classes.channels(database.connection, descriptor)
    named = {
        number
        for number, channel in known.items()
        if any(fnmatchcase(channel.name, pattern) for pattern in patterns)
    }
    if not named or len(named) == len(known):
        return bool(named)
    row = database.connection.execute("SELECT item FROM batch WHERE pos = ?", (pos,)).fetchone()
    return not named.isdisjoint(channels_of(row[0]))
