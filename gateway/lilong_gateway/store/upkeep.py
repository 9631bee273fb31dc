"""Keeping the store in order: the sinks' cursors, pending times, pruning."""

from collections.abc import Iterable
from itertools import takewhile

from lilong_gateway.store import notices, timing
from lilong_gateway.store.checksum import checksum
from lilong_gateway.store.cursors import delivered, last_position, of_sink, save
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Cursor, Lane, SinkCursors, SinkState, Slot
from lilong_gateway.store.removal import remove

_OF_LANE = {
    Lane.ALARM: """SELECT pos, received_ms FROM batch INDEXED BY batch_alarm
        WHERE pos > ? AND pos <= ? AND stream = 0 ORDER BY pos LIMIT ?""",
    Lane.REST: """SELECT pos, received_ms FROM batch NOT INDEXED
        WHERE pos > ? AND pos <= ? AND stream != 0 ORDER BY pos LIMIT ?""",
}

_UNDATED = """SELECT b.pos, n.eui, b.epoch, b.stream, b.seq, b.descriptor, b.item, b.quality,
    b.offset_ms, b.last_ms, own.epoch_ms, present.epoch_ms
    FROM batch b JOIN node n ON n.id = b.node
    LEFT JOIN boot own ON own.node = b.node AND own.boot_id = b.boot_id
    LEFT JOIN boot present ON present.node = b.node AND present.boot_id = n.boot_id
        AND n.boot_id != b.boot_id
    WHERE b.received_ms IS NULL ORDER BY b.pos LIMIT ?"""

_REFUSE = """INSERT OR IGNORE INTO quarantine
    (node, epoch, stream, seq, reason, received_ms, item)
    SELECT node, epoch, stream, seq, ?, received_ms, item FROM batch WHERE pos = ?"""
_SETTLE = "UPDATE batch SET quality = ?, offset_ms = ?, received_ms = ?, sum = ? WHERE pos = ?"


def open_sink(database: Database, sink: str, start: str) -> SinkState:
    """Return where a sink stands; a new one stands at what is oldest, or with "now" at the end."""
    with database.transaction() as connection:
        last = last_position(connection)
        known = of_sink(connection, sink)
        if known is None:
            begin = Cursor(last if start == "now" else 0)
            known = begin, begin
            save(connection, sink, known)
    return SinkState(database.store_id, known, last)


def save_cursors(database: Database, sink: str, cursors: SinkCursors) -> None:
    """Remember what a sink has confirmed; it never goes back."""
    with database.transaction() as connection:
        save(connection, sink, cursors)


def refuse(database: Database, positions: Iterable[int], reason: str) -> None:
    """Keep a copy of batches that a sink cannot read in quarantine, for a person."""
    with database.transaction() as connection:
        connection.executemany(_REFUSE, [(reason, pos) for pos in positions])


def prune(database: Database, sinks: Iterable[str], before_ms: int, limit: int) -> int:
    """Delete up to limit batches received before before_ms that all sinks confirmed; how many.

    Up to limit notices that were settled before then go too.
    """
    with database.transaction(3 * limit) as connection:
        notices.prune(connection, before_ms, limit)
        old: list[int] = []
        for lane, ranges in zip(Lane, delivered(connection, sinks), strict=True):
            for first, last in ranges:
                found = connection.execute(_OF_LANE[lane], (first, last, limit))
                old += [pos for pos, _ in takewhile(lambda row: _is_before(row, before_ms), found)]
        return remove(connection, sorted(old)[:limit], "delivered")


def _is_before(row: tuple[int, object], before_ms: int) -> bool:
    return isinstance(row[1], int) and row[1] < before_ms


def settle(database: Database, now_ms: int, limit: int, *, give_up: bool) -> int:
    """Date the batches that came while no clock was set; return how many were dated.

    Only those whose own boot is known by now; with give_up the others are bounded by their node's
    present boot or by now_ms.
    """
    with database.transaction() as connection:
        settled = []
        for pos, *found in connection.execute(_UNDATED, (limit,)):
            slot, descriptor, item = Slot(*found[:4]), found[4], found[5]
            known, known_ms, last_ms, own_ms, present_ms = found[6:]
            quality, offset_ms = known, known_ms
            if quality == timing.PENDING:
                if own_ms is None and not give_up:
                    continue
                quality, offset_ms = timing.resolve(own_ms, present_ms, now_ms, last_ms)
            check = checksum(slot, descriptor, quality, offset_ms, item)
            settled.append((quality, offset_ms, now_ms, check, pos))
        connection.executemany(_SETTLE, settled)
        return len(settled)
