"""Keeping the store in order: the uplink's cursor, pending times, pruning."""

from lilong_gateway.store import notices, timing
from lilong_gateway.store.database import Database

_PRUNE = """DELETE FROM batch WHERE pos IN (
    SELECT b.pos FROM batch b JOIN stream s
        ON s.node = b.node AND s.epoch = b.epoch AND s.stream = b.stream
    WHERE b.pos <= (SELECT cursor FROM uplink) AND b.received_ms < ? AND b.seq < s.next
    ORDER BY b.pos LIMIT ?)"""

_UNDATED = """SELECT b.pos, b.quality, b.offset_ms, b.last_ms, own.epoch_ms, present.epoch_ms
    FROM batch b JOIN node n ON n.id = b.node
    LEFT JOIN boot own ON own.node = b.node AND own.boot_id = b.boot_id
    LEFT JOIN boot present ON present.node = b.node AND present.boot_id = n.boot_id
        AND n.boot_id != b.boot_id
    WHERE b.received_ms IS NULL ORDER BY b.pos LIMIT ?"""


def set_cursor(database: Database, cursor: int) -> None:
    """Remember that every position up to cursor is confirmed; it never goes back."""
    with database.transaction() as connection:
        connection.execute("UPDATE uplink SET cursor = MAX(cursor, ?)", (cursor,))


def prune(database: Database, before_ms: int, limit: int) -> int:
    """Delete up to limit confirmed batches received before before_ms; return how many.

    A row beyond its stream's next stays: it is the only record that it was received. Up to limit
    notices that were settled before then go too.
    """
    with database.transaction() as connection:
        notices.prune(connection, before_ms, limit)
        return connection.execute(_PRUNE, (before_ms, limit)).rowcount


def settle(database: Database, now_ms: int, limit: int, *, give_up: bool) -> int:
    """Date the batches that came while no clock was set; return how many were dated.

    Only those whose own boot is known by now; with give_up the others are bounded by their node's
    present boot or by now_ms.
    """
    with database.transaction() as connection:
        settled = []
        for pos, known, known_ms, *times in connection.execute(_UNDATED, (limit,)):
            last_ms, own_ms, present_ms = times
            quality, offset_ms = known, known_ms
            if quality == timing.PENDING:
                if own_ms is None and not give_up:
                    continue
                quality, offset_ms = timing.resolve(own_ms, present_ms, now_ms, last_ms)
            settled.append((quality, offset_ms, now_ms, pos))
        connection.executemany(
            "UPDATE batch SET quality = ?, offset_ms = ?, received_ms = ? WHERE pos = ?", settled
        )
        return len(settled)
