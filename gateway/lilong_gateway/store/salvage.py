"""Taking out of a damaged store file what can still be read of what was acknowledged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.store.cursors import save
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Cursor

_STEP = 200
_ROW_BYTES = 16
"""No row is smaller: bounds what a spoilt counter makes of the number of rows."""

_UNREADABLE = (sqlite3.Error, ValueError, TypeError)
_Values = tuple[object, ...]
_SMALL = {
    "node": "id, eui, descriptor, boot_id",
    "descriptor": "id, node, hash, version, body",
    "boot": "id, node, boot_id, epoch_ms, uncertainty_ms",
    "stream": "node, epoch, stream, next",
    "quarantine": "id, node, epoch, stream, seq, reason, received_ms, item",
    "attempt": "id, node, what, digest, sequence, outcome, why, tries, noted_ms",
    "notice": "id, node, epoch, channel, seq, raised, key, counter, heard_ms, rssi, adapter,"
    " outcome, settled_ms",
    "advert": "id, node, key, counter",
}
_BATCH = (
    "node, epoch, stream, seq, descriptor, quality, offset_ms, boot_id, last_ms,"
    " received_ms, readings, item"
)
_LATER = (", privacy, one_in, sum", "")
"""Columns that older stores have not."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many undelivered batches were taken over, and how many could not be read."""

    taken: int = 0
    unreadable: int = 0


def salvage(aside: Path, database: Database) -> Salvaged:
    """Copy nodes, streams and undelivered batches of a damaged file into a fresh store.

    StoreError only for trouble with the fresh store.
    """
    with database.transaction() as connection, closing(_open(aside)) as damaged:
        damaged.text_factory = lambda data: data.decode(errors="replace")
        for table, columns in _SMALL.items():
            _insert(connection, table, columns, _small(damaged, table, columns))
        _take_later_columns(connection, damaged)
        _take_sinks(connection, damaged)
        taken = unreadable = 0
        columns = _batch_columns(damaged)
        for rows, lost in _undelivered(damaged, columns, _size_bytes(aside)):
            _insert(connection, "batch", columns, rows)
            taken += len(rows)
            unreadable += lost
    return Salvaged(taken, unreadable)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _small(damaged: sqlite3.Connection, table: str, columns: str) -> list[_Values]:
    found: list[_Values] = []
    with suppress(*_UNREADABLE):
        query = f"SELECT {columns} FROM {table} NOT INDEXED"  # noqa: S608 - our own names
        for row in damaged.execute(query):
            found.append(row)  # noqa: PERF402 - keeps what came before an error
    return found


def _take_later_columns(connection: sqlite3.Connection, damaged: sqlite3.Connection) -> None:
    """Carry over which keys are proven, and what nodes run; older stores do not know."""
    rows = _small(damaged, "node", "proven, heard_ms, id")
    connection.executemany("UPDATE node SET proven = ?, heard_ms = ? WHERE id = ?", rows)
    rows = _small(damaged, "node", "firmware, status, told_ms, id")
    connection.executemany(
        "UPDATE node SET firmware = ?, status = ?, told_ms = ? WHERE id = ?", rows
    )
    rows = _small(damaged, "node", "epoch, id")
    connection.executemany("UPDATE node SET epoch = ? WHERE id = ?", rows)


def _take_sinks(connection: sqlite3.Connection, damaged: sqlite3.Connection) -> None:
    """Let every sink that is known begin anew: what is taken over, one of them has not had."""
    for sink in {row[0] for row in _small(damaged, "cursor", "sink") if isinstance(row[0], str)}:
        save(connection, sink, (Cursor(0), Cursor(0)))


def _batch_columns(damaged: sqlite3.Connection) -> str:
    for later in _LATER:
        with suppress(*_UNREADABLE):
            damaged.execute(f"SELECT {_BATCH}{later} FROM batch LIMIT 0")  # noqa: S608
            return _BATCH + later
    return _BATCH


def _undelivered(
    damaged: sqlite3.Connection, columns: str, size_bytes: int
) -> Iterator[tuple[list[_Values], int]]:
    """Yield readable rows in pieces, each with the number of positions that were not."""
    cursor, last = _bounds(damaged)
    last = min(last, cursor + size_bytes // _ROW_BYTES)
    for first in range(cursor + 1, last + 1, _STEP):
        end = min(last, first + _STEP - 1)
        try:
            yield _between(damaged, columns, first, end), 0
        except _UNREADABLE:
            for pos in range(first, end + 1):
                yield _single(damaged, columns, pos)


def _single(damaged: sqlite3.Connection, columns: str, pos: int) -> tuple[list[_Values], int]:
    try:
        return _between(damaged, columns, pos, pos), 0
    except _UNREADABLE:
        return [], 1


def _bounds(damaged: sqlite3.Connection) -> tuple[int, int]:
    cursor = 0
    for query in ("SELECT cursor FROM uplink", "SELECT MIN(done) FROM cursor"):
        with suppress(*_UNREADABLE):
            cursor = int(damaged.execute(query).fetchone()[0])
    last = 0
    for query in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'batch'",
        "SELECT MAX(pos) FROM batch",
    ):
        with suppress(*_UNREADABLE):
            last = max(last, int(damaged.execute(query).fetchone()[0]))
    return (cursor if 0 <= cursor <= last else 0), last


def _size_bytes(file: Path) -> int:
    log = file.with_name(f"{file.name}-wal")
    return sum(part.stat().st_size for part in (file, log) if part.exists())


def _between(damaged: sqlite3.Connection, columns: str, first: int, end: int) -> list[_Values]:
    query = f"SELECT {columns} FROM batch NOT INDEXED WHERE pos BETWEEN ? AND ?"  # noqa: S608
    return damaged.execute(query, (first, end)).fetchall()


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[_Values]) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
        rows,
    )
