"""Taking out of a damaged store file what can still be read of what was acknowledged."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.store import tally
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.cursors import save
from lilong_gateway.store.database import Database
from lilong_gateway.store.losses import Losses
from lilong_gateway.store.mending import mend
from lilong_gateway.store.records import Cursor
from lilong_gateway.store.rescue import Rescue
from lilong_gateway.store.schema import SUMMED

_STEP = 200
_ROW_BYTES = 16
"""No row is smaller: bounds what a spoilt counter makes of the number of rows."""

_UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError)
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
    "thinned": "node, stream, batches, readings, first_ms, last_ms",
}
_BATCH = (
    "pos, node, epoch, stream, seq, descriptor, quality, offset_ms, boot_id, last_ms,"
    " received_ms, readings, item"
)
_LATER = (", privacy, one_in, sum", ", NULL, 1, NULL")
"""Columns that older stores have not."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many undelivered batches were taken over, were damaged, and could not be read.

    lost names the latter, as far as can be told, a line for each stream of a node.
    """

    taken: int = 0
    damaged: int = 0
    unreadable: int = 0
    lost: tuple[str, ...] = ()


def salvage(aside: Path, database: Database) -> Salvaged:
    """Copy nodes, streams and undelivered batches of a damaged file into a fresh store.

    StoreError only for trouble with the fresh store.
    """
    mend(aside, database)
    with closing(_open(aside)) as damaged:
        damaged.text_factory = lambda data: data.decode(errors="replace")
        with database.transaction(database.limits.most_entries) as connection:
            for table, columns in _SMALL.items():
                _insert(connection, table, columns, _sound(damaged, table, columns))
            _take_later_columns(connection, damaged)
            _take_sinks(connection, damaged)
            _take_counts(connection, damaged)
        salvaged = _take_batches(damaged, database, _size_bytes(aside))
    if salvaged.damaged or salvaged.unreadable:
        _ask_again(database)
    return salvaged


def _ask_again(database: Database) -> None:
    """Forget up to where streams were received: what was lost may still be with its node.

    A node holds what it has not heard to be on disk. All that is below its oldest one counts as
    received when it says HELLO, and rows that were taken over count anyway.
    """
    with database.transaction() as connection:
        connection.execute("DELETE FROM stream")


def _take_batches(damaged: sqlite3.Connection, database: Database, size_bytes: int) -> Salvaged:
    losses = Losses()
    with database.reading() as connection:
        euis = dict(connection.execute("SELECT id, eui FROM node").fetchall())
    rescue = Rescue(database, euis, _unsummed(damaged))
    columns = _batch_columns(damaged)
    confirmed, last = _bounds(damaged)
    last = min(last, confirmed + size_bytes // _ROW_BYTES)
    for rows, unread in _undelivered(damaged, columns, confirmed, last):
        database.repair.work()
        rescue.take(rows)
        losses.add(unread)
    if not losses.compare(damaged, database, confirmed):
        known = rescue.taken + rescue.damaged + losses.count + _gone(damaged)
        losses.add_nameless(max(0, last - max(confirmed, rescue.first - 1) - known))
    database.repair.rest()
    rescue.finish(losses.count)
    return Salvaged(rescue.taken, rescue.damaged, losses.count, losses.lines(euis))


def _gone(damaged: sqlite3.Connection) -> int:
    """Return how many batches were deleted on purpose, undelivered."""
    thinned = [row[0] for row in _small(damaged, "thinned", "batches")]
    expired = [
        row[1] for row in _small(damaged, "tally", "name, value") if row[0] in tally.EXPIRED
    ]
    return sum(count for count in (*thinned, *expired) if isinstance(count, int))


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _small(damaged: sqlite3.Connection, table: str, columns: str) -> list[_Values]:
    found: list[_Values] = []
    with suppress(*_UNREADABLE):
        query = f"SELECT {columns} FROM {table} NOT INDEXED"  # noqa: S608 - our own names
        for row in damaged.execute(query):
            found.append(row)  # noqa: PERF402 - keeps what came before an error
    return found


def _sound(damaged: sqlite3.Connection, table: str, columns: str) -> list[_Values]:
    """Return the rows of a small table that are what was written, where that can be told."""
    fields = SUMMED.get(table)
    if fields is None or not _is_summed(damaged, table):
        return _small(damaged, table, columns)
    width = columns.count(",") + 1
    rows = _small(damaged, table, f"{columns}, sum, {fields}")
    return [row[:width] for row in rows if row[width] == row_sum(*row[width + 1 :])]


def _is_summed(damaged: sqlite3.Connection, table: str) -> bool:
    with suppress(*_UNREADABLE):
        damaged.execute(f"SELECT sum FROM {table} LIMIT 0")  # noqa: S608 - our own names
        return True
    return False


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
    rows = _small(damaged, "stream", "heard_ms, node, epoch, stream")
    connection.executemany(
        "UPDATE stream SET heard_ms = ? WHERE node = ? AND epoch = ? AND stream = ?", rows
    )
    for table, fields in SUMMED.items():
        connection.execute(f"UPDATE {table} SET sum = row_sum({fields})")  # noqa: S608


def _take_sinks(connection: sqlite3.Connection, damaged: sqlite3.Connection) -> None:
    """Let every sink that is known begin anew: what is taken over, one of them has not had."""
    for sink in {row[0] for row in _small(damaged, "cursor", "sink") if isinstance(row[0], str)}:
        save(connection, sink, (Cursor(0), Cursor(0)))


def _take_counts(connection: sqlite3.Connection, damaged: sqlite3.Connection) -> None:
    for name, value in _small(damaged, "tally", "name, value"):
        if name in {tally.DAMAGED, tally.TRACES, *tally.EXPIRED} and isinstance(value, int):
            tally.put(connection, str(name), value)


def _batch_columns(damaged: sqlite3.Connection) -> str:
    with suppress(*_UNREADABLE):
        damaged.execute(f"SELECT {_BATCH}{_LATER[0]} FROM batch LIMIT 0")  # noqa: S608
        return _BATCH + _LATER[0]
    return _BATCH + _LATER[1]


def _undelivered(
    damaged: sqlite3.Connection, columns: str, confirmed: int, last: int
) -> Iterator[tuple[list[_Values], list[int]]]:
    """Yield readable rows in pieces, each with the positions that were not."""
    for first in range(confirmed + 1, last + 1, _STEP):
        end = min(last, first + _STEP - 1)
        try:
            yield _between(damaged, columns, first, end), []
        except _UNREADABLE:
            for pos in range(first, end + 1):
                yield _single(damaged, columns, pos)


def _single(
    damaged: sqlite3.Connection, columns: str, pos: int
) -> tuple[list[_Values], list[int]]:
    try:
        return _between(damaged, columns, pos, pos), []
    except _UNREADABLE:
        return [], [pos]


def _bounds(damaged: sqlite3.Connection) -> tuple[int, int]:
    last = 0
    for query in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'batch'",
        "SELECT MAX(pos) FROM batch",
    ):
        with suppress(*_UNREADABLE):
            last = max(last, int(damaged.execute(query).fetchone()[0]))
    cursor = _confirmed(damaged)
    return (cursor if 0 <= cursor <= last else 0), last


def _confirmed(damaged: sqlite3.Connection) -> int:
    with suppress(*_UNREADABLE):
        return int(damaged.execute("SELECT cursor FROM uplink").fetchone()[0])
    every = _small(damaged, "cursor", "done")
    found = _sound(damaged, "cursor", "done")
    whole = found and len(found) == len(every)
    return min(int(str(done)) for (done,) in found) if whole else 0


def _unsummed(damaged: sqlite3.Connection) -> int:
    """Return up to where batches may lack a checksum: all of a store that knew of none."""
    if _batch_columns(damaged) == _BATCH + _LATER[1]:
        return 1 << 62
    with suppress(*_UNREADABLE):
        query = "SELECT value FROM meta WHERE key = 'unsummed'"
        return int(damaged.execute(query).fetchone()[0])
    return 0


def _size_bytes(file: Path) -> int:
    log = file.with_name(f"{file.name}-wal")
    return sum(part.stat().st_size for part in (file, log) if part.exists())


def _between(damaged: sqlite3.Connection, columns: str, first: int, end: int) -> list[_Values]:
    query = f"SELECT {columns} FROM batch NOT INDEXED WHERE pos BETWEEN ? AND ?"  # noqa: S608
    return damaged.execute(query, (first, end)).fetchall()


def _insert(
    connection: sqlite3.Connection, table: str, columns: str, rows: Sequence[_Values]
) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
        rows,
    )
