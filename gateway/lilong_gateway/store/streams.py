"""The rows of the table stream: what is durable of each stream, with a checksum."""

import sqlite3
from collections.abc import Mapping

from lilong_gateway.errors import StoreDamagedError
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.quarantine import DAMAGED
from lilong_gateway.store.sequence import Sequence

Key = tuple[int, int, int]
"""Node, epoch and stream."""

_SAVE = """INSERT INTO stream (node, epoch, stream, next, heard_ms, sum) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (node, epoch, stream) DO UPDATE SET next = excluded.next, sum = excluded.sum,
    heard_ms = COALESCE(excluded.heard_ms, heard_ms)"""


def save_sequences(
    connection: sqlite3.Connection, streams: Mapping[Key, tuple[Sequence, int | None]]
) -> None:
    """Write sequences, each with when a batch of it came, None for not now."""
    rows = [
        (*key, sequence.next, heard_ms, row_sum(*key, sequence.next))
        for key, (sequence, heard_ms) in streams.items()
    ]
    connection.executemany(_SAVE, rows)


def load_sequence(connection: sqlite3.Connection, node: int, epoch: int, stream: int) -> Sequence:
    """Return what is durable of one stream; StoreDamagedError when the row is not what was.

    A batch that the disk spoilt is not: its node may still have it.
    """
    row = connection.execute(
        "SELECT next, sum FROM stream WHERE node = ? AND epoch = ? AND stream = ?",
        (node, epoch, stream),
    ).fetchone()
    first = row[0] if row else 0
    if row is not None and row[1] != row_sum(node, epoch, stream, first):
        raise StoreDamagedError(f"the store has lost what it holds of stream {stream} of a node")
    beyond = connection.execute(
        "SELECT seq FROM batch WHERE node = ?1 AND epoch = ?2 AND stream = ?3 AND seq >= ?4"
        " UNION ALL SELECT seq FROM quarantine"
        " WHERE node = ?1 AND epoch = ?2 AND stream = ?3 AND seq >= ?4 AND reason != ?5",
        (node, epoch, stream, first, DAMAGED),
    )
    return Sequence(first, (seq for (seq,) in beyond))
