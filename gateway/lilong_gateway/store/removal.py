"""Deleting batches for good: their numbers count as received, whatever the order they came in."""

import json
import sqlite3
from collections.abc import Iterable

_RECORD = """INSERT OR IGNORE INTO quarantine (node, epoch, stream, seq, reason, received_ms, item)
    SELECT b.node, b.epoch, b.stream, b.seq, ?, b.received_ms, x'' FROM batch b
    LEFT JOIN stream s ON s.node = b.node AND s.epoch = b.epoch AND s.stream = b.stream
    WHERE b.pos IN (SELECT value FROM json_each(?)) AND b.seq >= COALESCE(s.next, 0)"""
_DELETE = "DELETE FROM batch WHERE pos IN (SELECT value FROM json_each(?))"


def remove(connection: sqlite3.Connection, positions: Iterable[int], reason: str) -> int:
    """Delete batches within a transaction; return how many were there.

    Of one beyond its stream's next a row without content stays in quarantine: it is the only
    record that it was received.
    """
    listed = json.dumps(list(positions))
    connection.execute(_RECORD, (reason, listed))
    return connection.execute(_DELETE, (listed,)).rowcount
