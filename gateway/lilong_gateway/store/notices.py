"""Alarms that were heard in advertisements: noted, and settled by what comes in a connection.

An advertisement names the batch of its alarm by the low 8 bits of its seq and says nothing of the
epoch. Both are guessed from what is durable, and made good by the batch that settles the notice.
"""

import sqlite3
from collections.abc import Sequence as Several

from lilong_gateway.store.records import AdvertCounter, Believed, Notice, Noticed, Slot
from lilong_gateway.store.sequence import Sequence

CONFIRMED = "confirmed"
"""The alarm's batch was stored."""
GONE = "gone"
"""The node holds it no longer: another gateway has it, or the node gave it up."""

NOTICES_KEPT = 64
"""Notices remembered of one node, the latest ones."""

ALARMS = 0
"""The stream of alarms."""

_COUNTERS_KEPT = 4
"""Keys of one node with a highest counter, the latest ones; a node has two at most."""

_LOW_BITS = 0x100
_AHEAD = 192
"""So far above next a number is taken to be; the 64 below it have arrived, and the node, which
acknowledges at most 16 at a time, does not know that yet."""

_SEEN = """SELECT 1 FROM notice
    WHERE node = ? AND epoch IS ? AND seq = ? AND channel = ? AND raised = ?"""
_INSERT = """INSERT INTO notice (node, epoch, channel, seq, raised, key, counter, heard_ms, rssi,
    adapter) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_FORGET = """DELETE FROM {0} WHERE node = ?1 AND id <=
    (SELECT id FROM {0} WHERE node = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)"""
_OPEN = """SELECT id, epoch, channel, seq, raised, heard_ms FROM notice
    WHERE node = ? AND outcome IS NULL ORDER BY id"""
_SETTLE = "UPDATE notice SET epoch = ?, seq = ?, outcome = ?, settled_ms = ? WHERE id = ?"
_RAISE = """INSERT INTO advert (node, key, counter) VALUES (?, ?, ?)
    ON CONFLICT (node, key) DO UPDATE SET counter = MAX(counter, excluded.counter)"""
_LATEST = """SELECT * FROM (
    SELECT o.id, n.eui, o.channel, o.seq, o.raised, o.heard_ms, o.outcome, o.settled_ms
    FROM notice o JOIN node n ON n.id = o.node ORDER BY o.id DESC LIMIT ?) ORDER BY 1"""
_PRUNE = """DELETE FROM notice WHERE id IN (SELECT id FROM notice
    WHERE outcome IS NOT NULL AND COALESCE(settled_ms, heard_ms) < ? ORDER BY id LIMIT ?)"""


def guess(sequence: Sequence, low_seq: int) -> int | None:
    """Return the number with these low 8 bits that is yet to come; None: it has come already."""
    ahead = (low_seq - sequence.next) % _LOW_BITS
    seq = sequence.next + ahead
    if ahead >= _AHEAD and seq >= _LOW_BITS:
        return None
    return None if sequence.holds(seq) else seq


class NoticeWriter:
    """Works within one transaction; changed collects the notices that it made or settled."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.changed: list[Noticed] = []
        self._connection = connection

    def take(self, node: int, epoch: int | None, sequence: Sequence, notice: Notice) -> None:
        """Note an alarm once, unless its batch is here, and in any case its counter."""
        self.count(node, notice.key, notice.counter)
        seq = guess(sequence, notice.low_seq)
        what = (node, epoch, seq, notice.channel, notice.raised)
        if seq is None or self._connection.execute(_SEEN, what).fetchone():
            return
        origin = (notice.key, notice.counter, notice.heard_ms, notice.rssi, notice.adapter)
        row = (node, epoch, notice.channel, seq, notice.raised, *origin)
        number = self._connection.execute(_INSERT, row).lastrowid
        self._connection.execute(_FORGET.format("notice"), (node, NOTICES_KEPT))
        fields = (notice.eui, notice.channel, seq, notice.raised, notice.heard_ms, None, None)
        self.changed.append(Noticed(number or 0, *fields))

    def count(self, node: int, key: bytes, counter: int) -> None:
        """Raise the highest counter of a node under a key."""
        self._connection.execute(_RAISE, (node, key, counter))
        self._connection.execute(_FORGET.format("advert"), (node, _COUNTERS_KEPT))

    def settle(self, node: int, slot: Slot, outcome: str, now_ms: int | None) -> None:
        """Settle the notices of a batch; in an epoch that is new here its low bits tell."""
        for number, epoch, *told in self._open(node):
            _, seq, *_ = told
            same = seq == slot.seq if epoch == slot.epoch else (seq - slot.seq) % _LOW_BITS == 0
            if same:
                self._close(number, slot, told, outcome, now_ms)

    def advance(self, node: int, eui: bytes, epoch: int, sequence: Sequence) -> None:
        """Settle what the node holds no longer, and guess anew what lies ahead of its first."""
        for number, of_epoch, *told in self._open(node):
            _, seq, *_ = told
            if of_epoch != epoch or not sequence.holds(seq):
                continue
            anew = guess(sequence, seq % _LOW_BITS)
            if anew is None:
                self._close(number, Slot(eui, epoch, ALARMS, seq), told, GONE, None)
            else:
                self._connection.execute("UPDATE notice SET seq = ? WHERE id = ?", (anew, number))

    def relieve(self, node: int, eui: bytes) -> None:
        """Settle all notices of a node that holds no alarm any more."""
        for number, epoch, *told in self._open(node):
            _, seq, *_ = told
            self._close(number, Slot(eui, epoch, ALARMS, seq), told, GONE, None)

    def _open(self, node: int) -> list[tuple[int, ...]]:
        found = self._connection.execute(_OPEN, (node,)).fetchall()
        kinds = (int, int | None, int, int, int, int | None)
        return [row for row in found if _is_sound(row, kinds)]

    def _close(
        self, number: int, slot: Slot, told: Several[int], outcome: str, now_ms: int | None
    ) -> None:
        row = (slot.epoch, slot.seq, outcome, now_ms, number)
        self._connection.execute(_SETTLE, row)
        channel, _, raised, heard_ms = told
        fields = (slot.eui, channel, slot.seq, bool(raised), heard_ms, outcome, now_ms)
        self.changed.append(Noticed(number, *fields))


def latest(connection: sqlite3.Connection, limit: int) -> list[Noticed]:
    """Return up to limit notices, the latest last; unsound rows are left out."""
    found = connection.execute(_LATEST, (limit,)).fetchall()
    kinds = (int, bytes, int, int, int, int | None, str | None, int | None)
    rows = [row for row in found if _is_sound(row, kinds)]
    return [Noticed(*row) for row in ((*row[:4], bool(row[4]), *row[5:]) for row in rows)]


def believed(connection: sqlite3.Connection) -> Believed:
    """Return what is known of advertisements; unsound rows are left out."""
    counters = connection.execute(
        "SELECT n.eui, a.key, a.counter FROM advert a JOIN node n ON n.id = a.node"
    ).fetchall()
    proven = connection.execute("SELECT eui, proven FROM node").fetchall()
    return Believed(
        tuple(AdvertCounter(*row) for row in counters if _is_sound(row, (bytes, bytes, int))),
        tuple((eui, key) for eui, key in proven if _is_sound((eui, key), (bytes, bytes))),
    )


def prune(connection: sqlite3.Connection, before_ms: int, limit: int) -> None:
    """Delete up to limit notices that were settled before before_ms."""
    connection.execute(_PRUNE, (before_ms, limit))


def _is_sound(row: tuple[object, ...], kinds: tuple[object, ...]) -> bool:
    return all(
        isinstance(value, kind)  # type: ignore[arg-type]
        for value, kind in zip(row, kinds, strict=True)
    )
