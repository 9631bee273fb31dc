"""How far each sink has confirmed each lane."""

import sqlite3
from collections.abc import Iterable

from lilong_gateway.errors import StoreDamagedError
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.records import Cursor, Lane, SinkCursors

Range = tuple[int, int]
"""Positions above the first and up to the second."""

_SAVE = """INSERT INTO cursor (sink, lane, done, ahead_from, ahead_to, sum)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (sink, lane) DO UPDATE SET done = excluded.done,
    ahead_from = excluded.ahead_from, ahead_to = excluded.ahead_to, sum = excluded.sum
    WHERE excluded.done >= cursor.done"""


def last_position(connection: sqlite3.Connection) -> int:
    """Return the highest position ever given, 0 for none."""
    found = connection.execute("SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'batch'")
    return int(found.fetchone()[0] or 0)


def of_sink(connection: sqlite3.Connection, sink: str) -> SinkCursors | None:
    """Return a sink's cursors, None for a sink that is new to the store."""
    found = connection.execute(
        "SELECT done, ahead_from, ahead_to FROM cursor WHERE sink = ? ORDER BY lane", (sink,)
    ).fetchall()
    if len(found) != len(Lane):
        return None
    return Cursor(*found[Lane.ALARM]), Cursor(*found[Lane.REST])


def save(connection: sqlite3.Connection, sink: str, cursors: SinkCursors) -> None:
    """Remember a sink's cursors; one that would go back stays."""
    rows = [
        (sink, int(lane), *cursor, row_sum(sink, int(lane), *cursor))
        for lane, cursor in zip(Lane, cursors, strict=True)
    ]
    connection.executemany(_SAVE, rows)


def confirmed(connection: sqlite3.Connection, sinks: Iterable[str]) -> tuple[int, int]:
    """Return for each lane up to where all these sinks have confirmed it."""
    known = [of_sink(connection, sink) or (Cursor(0), Cursor(0)) for sink in sinks]
    alarm, rest = ([cursors[lane].done for cursors in known] for lane in Lane)
    return min(alarm, default=0), min(rest, default=0)


def delivered(connection: sqlite3.Connection, sinks: Iterable[str]) -> tuple[list[Range], ...]:
    """Return for each lane what all these sinks have confirmed, in order."""
    known = [of_sink(connection, sink) or (Cursor(0), Cursor(0)) for sink in sinks]
    return tuple(_common([_ranges(cursors[lane]) for cursors in known]) for lane in Lane)


def _ranges(cursor: Cursor) -> list[Range]:
    found = [(0, cursor.done), (max(cursor.ahead_from, cursor.done), cursor.ahead_to)]
    return [(first, last) for first, last in found if last > first]


def _common(sets: list[list[Range]]) -> list[Range]:
    common = sets[0] if sets else []
    for other in sets[1:]:
        both = [
            (max(a, c), min(b, d)) for a, b in common for c, d in other if min(b, d) > max(a, c)
        ]
        common = sorted(both)
    return common


def check(connection: sqlite3.Connection) -> None:
    """StoreDamagedError for a cursor that is not what was saved, or beyond all positions.

    It would pass over what never went.
    """
    last = last_position(connection)
    found = connection.execute("SELECT sink, lane, done, ahead_from, ahead_to, sum FROM cursor")
    for *fields, sum_ in found:
        whole = all(isinstance(value, int) and 0 <= value <= last for value in fields[2:])
        if not whole or sum_ != row_sum(*fields):
            raise StoreDamagedError(f"the store has no cursor up to {last}")
