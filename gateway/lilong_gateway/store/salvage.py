"""Taking out of a damaged store file what can still be read of what was acknowledged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.store.database import Database

_STEP = 200
_Values = tuple[object, ...]
_SMALL = {
    "node": "id, eui, descriptor, boot_id",
    "descriptor": "id, node, hash, version, body",
    "boot": "id, node, boot_id, epoch_ms, uncertainty_ms",
    "stream": "node, epoch, stream, next",
    "quarantine": "id, node, epoch, stream, seq, reason, received_ms, item",
}
_BATCH = (
    "node, epoch, stream, seq, descriptor, quality, offset_ms, boot_id, last_ms,"
    " received_ms, readings, item"
)


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
        for table, columns in _SMALL.items():
            _insert(connection, table, columns, _small(damaged, table, columns))
        taken = unreadable = 0
        for rows, lost in _undelivered(damaged):
            _insert(connection, "batch", _BATCH, rows)
            taken += len(rows)
            unreadable += lost
    return Salvaged(taken, unreadable)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _small(damaged: sqlite3.Connection, table: str, columns: str) -> list[_Values]:
    found: list[_Values] = []
    with suppress(sqlite3.Error):
        query = f"SELECT {columns} FROM {table} NOT INDEXED"  # noqa: S608 - our own names
        for row in damaged.execute(query):
            found.append(row)  # noqa: PERF402 - keeps what came before an error
    return found


def _undelivered(damaged: sqlite3.Connection) -> Iterator[tuple[list[_Values], int]]:
    """Yield readable rows in pieces, each with the number of positions that were not."""
    cursor, last = _bounds(damaged)
    for first in range(cursor + 1, last + 1, _STEP):
        end = min(last, first + _STEP - 1)
        try:
            yield _between(damaged, first, end), 0
        except sqlite3.Error:
            for pos in range(first, end + 1):
                yield _single(damaged, pos)


def _single(damaged: sqlite3.Connection, pos: int) -> tuple[list[_Values], int]:
    try:
        return _between(damaged, pos, pos), 0
    except sqlite3.Error:
        return [], 1


def _bounds(damaged: sqlite3.Connection) -> tuple[int, int]:
    cursor = 0
    with suppress(sqlite3.Error):
        cursor = int(damaged.execute("SELECT cursor FROM uplink").fetchone()[0])
    last = 0
    for query in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'batch'",
        "SELECT MAX(pos) FROM batch",
    ):
        with suppress(sqlite3.Error, TypeError):
            last = max(last, int(damaged.execute(query).fetchone()[0]))
    return cursor, last


def _between(damaged: sqlite3.Connection, first: int, end: int) -> list[_Values]:
    query = f"SELECT {_BATCH} FROM batch NOT INDEXED WHERE pos BETWEEN ? AND ?"  # noqa: S608
    return damaged.execute(query, (first, end)).fetchall()


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[_Values]) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
        rows,
    )
