"""Reading the store."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from lilong_gateway.store import timing
from lilong_gateway.store.checksum import checksum
from lilong_gateway.store.cursors import confirmed, last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Attempt, Known, Lane, Row, Rows, Slot, Summary
from lilong_gateway.store.writer import load_sequence

_ROWS = """SELECT b.pos, n.eui, b.epoch, b.stream, b.seq, b.quality, b.offset_ms, d.body, b.item,
    b.readings, b.received_ms, b.one_in, b.sum
    FROM batch b{} JOIN node n ON n.id = b.node
    LEFT JOIN descriptor d ON d.id = COALESCE(b.descriptor, n.descriptor) AND d.node = b.node
    WHERE b.pos > ?{} ORDER BY b.pos LIMIT ?"""
_ALL = _ROWS.format("", "")
_OF_LANE = {
    Lane.ALARM: _ROWS.format(" INDEXED BY batch_alarm", " AND b.pos <= ? AND b.stream = 0"),
    Lane.REST: _ROWS.format(" NOT INDEXED", " AND b.pos <= ? AND b.stream != 0"),
}

_ATTEMPTS = """SELECT n.eui, a.what, a.digest, a.sequence, a.outcome, a.why, a.tries, a.noted_ms
    FROM attempt a JOIN node n ON n.id = a.node ORDER BY a.id"""


def rows_after(database: Database, pos: int, limit: int) -> list[Row]:
    """Return up to limit batches above pos, in order; ends before the first pending one.

    Of a row that is not what was written nothing but its position comes: its item is empty.
    """
    with database.reading() as connection:
        found = connection.execute(_ALL, (pos, limit)).fetchall()
    return list(_until_pending(found))


def lane_rows(database: Database, lane: Lane, pos: int, limit: int, upto: int | None) -> Rows:
    """Return up to limit batches of a lane above pos and not above upto, as rows_after does."""
    with database.reading() as connection:
        end = last_position(connection)
        end = end if upto is None else min(end, upto)
        found = connection.execute(_OF_LANE[lane], (pos, end, limit)).fetchall()
    rows = tuple(_until_pending(found))
    if len(rows) < len(found):
        return Rows(rows, found[len(rows)][0] - 1)
    if len(found) == limit:
        return Rows(rows, found[-1][0])
    return Rows(rows, max(pos, end))


def _until_pending(found: list[tuple[Any, ...]]) -> Iterator[Row]:
    for pos, eui, epoch, stream, seq, *rest, sum_ in found:
        row = Row(pos, Slot(eui, epoch, stream, seq), *rest)
        if row.quality == timing.PENDING:
            return
        yield row if _is_sound(row, sum_) else Row(row.pos, row.slot, "", None, None, b"")


def _is_sound(row: Row, sum_: object) -> bool:
    """Whether a row holds what was written; not so on a page that was damaged unnoticed."""
    if not _is_plausible(row):
        return False
    expected = checksum(row.slot, row.quality, row.offset_ms, row.item)
    return sum_ is None or sum_ == expected


def _is_plausible(row: Row) -> bool:
    eui, *numbers = row.slot
    kinds = isinstance(eui, bytes) and isinstance(row.item, bytes)
    kinds = kinds and all(isinstance(number, int) and 0 <= number < 1 << 32 for number in numbers)
    kinds = kinds and isinstance(row.descriptor, bytes | None)
    if row.quality == timing.SYNCED:
        return kinds and row.offset_ms is None
    return kinds and row.quality in timing.DATED and isinstance(row.offset_ms, int)


def known(database: Database, eui: bytes, epoch: int, descriptor_hash: bytes) -> Known:
    """Return what a node that says HELLO need not send again."""
    with database.reading() as connection:
        found = connection.execute("SELECT id, proven FROM node WHERE eui = ?", (eui,)).fetchone()
        if found is None:
            return Known((0, 0, 0, 0), described=False)
        node, proven = found
        alarm, control, data, bulk = (
            load_sequence(connection, node, epoch, stream).next for stream in range(4)
        )
        described = connection.execute(
            "SELECT 1 FROM descriptor WHERE node = ? AND hash = ?", (node, descriptor_hash)
        ).fetchone()
        proven = proven if isinstance(proven, bytes) else None
        return Known((alarm, control, data, bulk), described is not None, proven)


def attempts(connection: sqlite3.Connection) -> list[Attempt]:
    """Return what became of all that was pushed, the oldest first; unsound rows are left out."""
    found = connection.execute(_ATTEMPTS).fetchall()
    return [Attempt(*values) for values in found if _is_sound_attempt(values)]


def _is_sound_attempt(values: tuple[object, ...]) -> bool:
    kinds = (bytes, str, bytes, int, str, str, int, int | None)
    return all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True))


def summary(database: Database, sinks: Iterable[str]) -> Summary:
    """Return the state of the store in numbers, at a cost that does not grow with it."""
    with database.reading() as connection:
        last = last_position(connection)
        cursor = min(confirmed(connection, sinks))
        quarantined = connection.execute("SELECT COALESCE(MAX(id), 0) FROM quarantine").fetchone()
        size_bytes = database.file.stat().st_size
    return Summary(database.store_id, last, cursor, quarantined[0], size_bytes)
