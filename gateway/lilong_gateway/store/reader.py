"""Reading the store."""

import sqlite3

from lilong_gateway.store import timing
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Attempt, Known, Row, Slot, Summary
from lilong_gateway.store.writer import load_sequence

_ROWS = """SELECT b.pos, n.eui, b.epoch, b.stream, b.seq, b.quality, b.offset_ms, d.body, b.item
    FROM batch b JOIN node n ON n.id = b.node
    LEFT JOIN descriptor d ON d.id = COALESCE(b.descriptor, n.descriptor) AND d.node = b.node
    WHERE b.pos > ? ORDER BY b.pos LIMIT ?"""

_ATTEMPTS = """SELECT n.eui, a.what, a.digest, a.sequence, a.outcome, a.why, a.tries, a.noted_ms
    FROM attempt a JOIN node n ON n.id = a.node ORDER BY a.id"""


def rows_after(database: Database, pos: int, limit: int) -> list[Row]:
    """Return up to limit batches above pos, in order; ends before the first pending one.

    Of a row that is not what was written nothing but its position comes: its item is empty.
    """
    rows: list[Row] = []
    with database.reading() as connection:
        for found in connection.execute(_ROWS, (pos, limit)):
            row = Row(found[0], Slot(*found[1:5]), *found[5:])
            if row.quality == timing.PENDING:
                break
            rows.append(row if _is_sound(row) else Row(row.pos, row.slot, "", None, None, b""))
    return rows


def _is_sound(row: Row) -> bool:
    """Whether a row holds what was written; not so on a page that was damaged unnoticed."""
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


def summary(database: Database) -> Summary:
    """Return the state of the store in numbers, at a cost that does not grow with it."""
    with database.reading() as connection:
        last = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'batch'"
        ).fetchone()
        cursor = connection.execute("SELECT cursor FROM uplink").fetchone()[0]
        quarantined = connection.execute("SELECT COALESCE(MAX(id), 0) FROM quarantine").fetchone()
        size_bytes = database.file.stat().st_size
    return Summary(database.store_id, last[0] if last else 0, cursor, quarantined[0], size_bytes)
