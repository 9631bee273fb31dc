"""What is kept apart for a person: never longer than a while, never more than a share."""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from lilong_gateway.store import tally
from lilong_gateway.store.database import Database
from lilong_protocol.descriptor import MAX_PRIVACY

DAMAGED = "damaged on disk"
_KEPT_MS = 30 * 86_400_000
_ROWS_KEPT = 10_000
_PART_BYTES = 32
"""One part of so many of the cap."""

_MOVE = """INSERT OR REPLACE INTO quarantine
    (node, epoch, stream, seq, reason, received_ms, item)
    SELECT CAST(COALESCE(node, 0) AS INTEGER), CAST(COALESCE(epoch, 0) AS INTEGER),
        CAST(COALESCE(stream, 0) AS INTEGER), CAST(COALESCE(seq, 0) AS INTEGER),
        ?, CAST(received_ms AS INTEGER), CAST(COALESCE(item, x'') AS BLOB)
    FROM batch WHERE pos IN (SELECT value FROM json_each(?))"""
_BLANK = """UPDATE quarantine SET item = x'' WHERE id IN (SELECT value FROM json_each(?1))
    AND length(item) > 0"""
_PASSED = """DELETE FROM quarantine WHERE id IN (SELECT q.id FROM quarantine q
    JOIN stream s ON s.node = q.node AND s.epoch = q.epoch AND s.stream = q.stream
    WHERE length(q.item) = 0 AND q.seq < s.next LIMIT 1000)"""


def set_aside(database: Database, positions: Iterable[int]) -> int:
    """Move batches that are not what was written out of the way, and count them; how many."""
    listed = json.dumps(list(positions))
    with database.transaction() as connection:
        connection.execute(_MOVE, (DAMAGED, listed))
        gone = connection.execute(
            "DELETE FROM batch WHERE pos IN (SELECT value FROM json_each(?))", (listed,)
        ).rowcount
        tally.add(connection, tally.DAMAGED, gone)
    return gone


def tidy(database: Database, now_ms: int | None, limits_s: Sequence[int | None]) -> int:
    """Forget what is old or too much, the oldest first; return how many rows lost their content.

    What a node that has described itself gave goes as soon as its strictest channel has to
    (limits_s: of P0 to P3). A row stays while it is the only record that its number was received.
    """
    most_bytes = database.limits.max_bytes // _PART_BYTES
    with database.transaction(1000) as connection:
        old = [] if now_ms is None else _older(database, connection, now_ms, limits_s)
        blanked = _blank(connection, {*old, *_too_many(connection, most_bytes)})
        connection.execute(_PASSED)
    return blanked


def _older(
    database: Database, connection: sqlite3.Connection, now_ms: int, limits_s: Sequence[int | None]
) -> list[int]:
    query = """SELECT DISTINCT q.node, n.descriptor FROM quarantine q
        LEFT JOIN node n ON n.id = q.node WHERE length(q.item) > 0"""
    of_node = "SELECT id FROM quarantine WHERE node = ? AND received_ms < ? AND length(item) > 0"
    old: list[int] = []
    for node, descriptor in connection.execute(query).fetchall():
        kept_ms = _KEPT_MS
        if descriptor is not None:
            known = database.classes.channels(connection, descriptor).values()
            limit_s = limits_s[max((channel.privacy for channel in known), default=MAX_PRIVACY)]
            kept_ms = _KEPT_MS if limit_s is None else min(_KEPT_MS, limit_s * 1000)
        found = connection.execute(f"{of_node} LIMIT 1000", (node, now_ms - kept_ms))
        old += [number for (number,) in found]
    return old[:1000]


def _too_many(connection: sqlite3.Connection, most_bytes: int) -> list[int]:
    query = "SELECT id, length(item) FROM quarantine WHERE length(item) > 0 ORDER BY id DESC"
    beyond, size = [], 0
    for rows, (number, length) in enumerate(connection.execute(query), start=1):
        size += length
        if rows > _ROWS_KEPT or size > most_bytes:
            beyond.append(number)
    return beyond[-1000:]


def _blank(connection: sqlite3.Connection, numbers: Iterable[int]) -> int:
    return connection.execute(_BLANK, (json.dumps(list(numbers)),)).rowcount
