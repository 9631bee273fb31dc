"""Reading the store."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from lilong_gateway.store import soundness, timing
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.cursors import last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Attempt, Known, Lane, Row, Slot
from lilong_gateway.store.streams import load_sequence

_ROWS = (
    f"SELECT {soundness.COLUMNS}, b.readings, b.received_ms, d.body, d.id, d.node, d.sum"  # noqa: S608
    """ FROM batch b{} LEFT JOIN node n ON n.id = b.node
    LEFT JOIN descriptor d ON d.id = COALESCE(b.descriptor, n.descriptor) AND d.node = b.node
    WHERE b.pos > ?{} ORDER BY b.pos LIMIT ?"""
)
_ALL = _ROWS.format("", "")
_OF_LANE = {
    Lane.ALARM: _ROWS.format(" INDEXED BY batch_alarm", " AND b.pos <= ? AND b.stream = 0"),
    Lane.REST: _ROWS.format(" NOT INDEXED", " AND b.pos <= ? AND b.stream != 0"),
}

_ATTEMPTS = """SELECT n.eui, a.what, a.digest, a.sequence, a.outcome, a.why, a.tries, a.noted_ms
    FROM attempt a JOIN node n ON n.id = a.node ORDER BY a.id"""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read; damaged: positions of rows that are not what was written, left out of it."""

    rows: tuple[Row, ...]
    through: int
    damaged: tuple[int, ...]


def rows_after(database: Database, pos: int, limit: int) -> Found:
    """Return up to limit batches above pos, in order; ends before the first pending one."""
    with database.reading() as connection:
        found = connection.execute(_ALL, (pos, limit)).fetchall()
    return _sorted_out(found, database.unsummed, found[-1][0] if found else pos)


def lane_rows(database: Database, lane: Lane, pos: int, limit: int, upto: int | None) -> Found:
    """Return up to limit batches of a lane above pos and not above upto, as rows_after does."""
    with database.reading() as connection:
        end = last_position(connection)
        end = end if upto is None else min(end, upto)
        found = connection.execute(_OF_LANE[lane], (pos, end, limit)).fetchall()
    through = found[-1][0] if len(found) == limit else max(pos, end)
    return _sorted_out(found, database.unsummed, through)


def _sorted_out(found: list[tuple[Any, ...]], unsummed: int, through: int) -> Found:
    rows: list[Row] = []
    damaged: list[int] = []
    for fields in found:
        pos, eui, epoch, stream, seq, quality, offset_ms, item, named, one_in = fields[:10]
        readings, received_ms, body, *told, sum_ = fields[12:]
        if not soundness.is_sound(fields, unsummed) or not _is_own(named, body, told, sum_):
            damaged.append(pos)
        elif quality == timing.PENDING:
            return Found(tuple(rows), pos - 1, tuple(damaged))
        else:
            slot = Slot(eui, epoch, stream, seq)
            rows.append(
                Row(pos, slot, quality, offset_ms, body, item, readings, received_ms, one_in)
            )
    return Found(tuple(rows), through, tuple(damaged))


def _is_own(named: object, body: object, told: list[object], sum_: object) -> bool:
    """Whether a descriptor is the one that its node sent; None: it has sent none."""
    return named is None if body is None else sum_ == row_sum(*told, body)


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
