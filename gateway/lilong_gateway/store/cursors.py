"""How far each sink has confirmed each lane."""

import sqlite3
from collections.abc import Iterable

from lilong_gateway.errors import StoreDamagedError
from lilong_gateway.store.records import Cursor, Lane, SinkCursors

_SAVE = """INSERT INTO cursor (sink, lane, done, ahead_from, ahead_to) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (sink, lane) DO UPDATE SET done = excluded.done,
    ahead_from = excluded.ahead_from, ahead_to = excluded.ahead_to
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
    rows = [(sink, lane, *cursor) for lane, cursor in zip(Lane, cursors, strict=True)]
    connection.executemany(_SAVE, rows)


def confirmed(connection: sqlite3.Connection, sinks: Iterable[str]) -> tuple[int, int]:
    """Return for each lane up to where all these sinks have confirmed it."""
    known = [of_sink(connection, sink) or (Cursor(0), Cursor(0)) for sink in sinks]
    alarm, rest = ([cursors[lane].done for cursors in known] for lane in Lane)
    return min(alarm, default=0), min(rest, default=0)


def check(connection: sqlite3.Connection) -> None:
    """StoreDamagedError for a cursor beyond all positions: it would pass over what never went."""
    last = last_position(connection)
    for sink, lane, *cursor in connection.execute("SELECT * FROM cursor"):
        whole = all(isinstance(value, int) and 0 <= value <= last for value in cursor)
        if not whole or not isinstance(sink, str) or lane not in set(Lane):
            raise StoreDamagedError(f"the store has no cursor up to {last}")
