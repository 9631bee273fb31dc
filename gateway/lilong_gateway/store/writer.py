"""Group commit: all that is waiting goes to disk in one transaction."""

import sqlite3
from collections.abc import Sequence as Several

from lilong_gateway.errors import StoreFullError
from lilong_gateway.store import timing
from lilong_gateway.store.checksum import checksum, row_sum
from lilong_gateway.store.database import Database
from lilong_gateway.store.limits import ENTRY_BYTES, ROW_BYTES
from lilong_gateway.store.memory import Node
from lilong_gateway.store.notices import ALARMS, CONFIRMED, GONE, NoticeWriter
from lilong_gateway.store.records import (
    Advance,
    AdvertCounters,
    Arrival,
    Attempt,
    Committed,
    Description,
    Entry,
    Missing,
    Notice,
    Relief,
    Report,
    Slot,
    Unreadable,
)
from lilong_gateway.store.room import measure
from lilong_gateway.store.sequence import Sequence
from lilong_gateway.store.streams import load_sequence, save_sequences

_BOOTS_KEPT = 256
"""Boots remembered of one node; a node that resets in a loop must not fill the disk."""

ATTEMPTS_KEPT = 32
"""Attempts remembered of one node, the latest ones."""

_INSERT = """INSERT INTO batch (node, epoch, stream, seq, descriptor, quality, offset_ms, boot_id,
    last_ms, received_ms, readings, item, privacy, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def commit(database: Database, entries: Several[Entry]) -> Committed:
    """Store the entries in order; on disk when this returns. StoreError: nothing was stored.

    A batch that is already durable counts as a duplicate and changes nothing. StoreFullError with
    alarms_only: without the batches of other streams they could be stored.
    """
    if measure(database).is_for_alarms(len(entries) * ENTRY_BYTES) and _is_too_much(
        database, entries
    ):
        problem = f"{database.full_error()}; what room is left is for alarms"
        raise StoreFullError(problem, alarms_only=True)
    database.memory.tidy()
    with database.transaction(len(entries)) as connection:
        work = _Transaction(connection, database)
        for entry in entries:
            work.take(entry)
        return work.finish()


def _is_too_much(database: Database, entries: Several[Entry]) -> bool:
    """Whether what is not urgent would take of the room that is for alarms."""
    sizes = [
        ROW_BYTES if isinstance(entry, Missing) else len(entry.item) + ROW_BYTES
        for entry in entries
        if isinstance(entry, Arrival | Unreadable | Missing) and entry.slot.stream != ALARMS
    ]
    return bool(sizes) and measure(database).is_for_alarms(sum(sizes) * 5 // 4)


class _Transaction:
    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self._connection = connection
        self._classes = database.classes
        self._memory = database.memory
        self._notices = NoticeWriter(connection)
        self._rows: list[tuple[object, ...]] = []
        self._streams: dict[tuple[int, int, int], tuple[Sequence, int | None]] = {}
        self._size_bytes = 0
        self._readings = 0
        self._duplicates = 0
        self._quarantined = 0

    def take(self, entry: Entry) -> None:
        match entry:
            case Arrival():
                self._take_arrival(entry)
            case Unreadable():
                self._take_unreadable(entry)
            case Missing():
                self._take_missing(entry)
            case Description():
                self._take_description(entry)
            case Advance():
                self._take_advance(entry)
            case Report():
                self._connection.execute(
                    "UPDATE node SET firmware = ?, status = ?, told_ms = ? WHERE id = ?",
                    (entry.firmware, entry.status, entry.told_ms, self._node(entry.eui).number),
                )
            case Attempt():
                self._take_attempt(entry)
            case _:
                self._take_advert(entry)

    def finish(self) -> Committed:
        self._connection.executemany(_INSERT, self._rows)
        save_sequences(self._connection, self._streams)
        return Committed(
            *(len(self._rows), self._readings, self._duplicates, self._quarantined),
            tuple(self._notices.changed),
            self._size_bytes,
        )

    def _take_arrival(self, entry: Arrival) -> None:
        slot = entry.slot
        eui, epoch, stream, seq = slot
        node = self._memory.nodes.get(eui) or self._node(eui)
        received_ms = entry.received_ms
        if not self._pass(node, slot, CONFIRMED, received_ms):
            return
        if received_ms is not None:
            key = (node.number, epoch, stream)
            self._streams[key] = self._streams[key][0], received_ms
        quality, offset_ms = self._time(node, entry)
        last_ms = None if entry.boot is None else entry.last_ms
        descriptor, item = node.descriptor, entry.item
        privacy = self._classes.strictest(self._connection, descriptor, entry.channels)
        self._readings += entry.readings
        self._size_bytes += len(item)
        self._rows.append(
            (
                *(node.number, epoch, stream, seq, descriptor, quality, offset_ms),
                *(entry.boot, last_ms, received_ms, entry.readings, item, privacy),
                checksum(slot, descriptor, quality, offset_ms, item),
            )
        )

    def _time(self, node: Node, entry: Arrival) -> tuple[str, int | None]:
        if entry.boot is None:
            return timing.SYNCED, None
        own_ms = self._epoch_ms(node, entry.boot)
        present_ms = None
        if node.boot_id is not None and node.boot_id != entry.boot:
            present_ms = self._epoch_ms(node, node.boot_id)
        return timing.resolve(own_ms, present_ms, entry.received_ms, entry.last_ms)

    def _take_attempt(self, entry: Attempt) -> None:
        node = self._node(entry.eui).number
        self._connection.execute(
            "INSERT OR REPLACE INTO attempt (node, what, digest, sequence, outcome, why, tries,"
            " noted_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(node, entry.what, entry.digest, entry.sequence, entry.outcome, entry.why),
                *(entry.tries, entry.noted_ms),
            ),
        )
        self._connection.execute(
            "DELETE FROM attempt WHERE node = ?1 AND id <= (SELECT id FROM attempt"
            " WHERE node = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (node, ATTEMPTS_KEPT),
        )

    def _take_unreadable(self, entry: Unreadable) -> None:
        slot: Slot = entry.slot
        node = self._node(slot.eui)
        if not self._pass(node, slot, CONFIRMED, entry.received_ms):
            return
        self._quarantined += 1
        self._quarantine(node, slot, entry.reason, entry.received_ms, entry.item)

    def _quarantine(
        self, node: Node, slot: Slot, reason: str, received_ms: int | None, item: bytes
    ) -> None:
        self._connection.execute(
            "INSERT INTO quarantine (node, epoch, stream, seq, reason, received_ms, item)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (node.number, *slot[1:], reason, received_ms, item),
        )

    def _take_missing(self, entry: Missing) -> None:
        """Pass the number; beyond a gap only a row can tell later that it was passed."""
        slot = entry.slot
        node = self._node(slot.eui)
        passed = self._pass(node, slot, GONE, entry.received_ms)
        if passed and self._stream(node, slot.epoch, slot.stream).next <= slot.seq:
            self._quarantine(node, slot, "given up by the node", entry.received_ms, b"")

    def _pass(self, node: Node, slot: Slot, outcome: str, now_ms: int | None) -> bool:
        """Whether a batch is new; what was noticed of its alarm is settled in either case."""
        if slot.stream == ALARMS:
            self._notices.settle(node.number, slot, outcome, now_ms)
        new = self._stream(node, slot.epoch, slot.stream).take(slot.seq)
        self._duplicates += not new
        return new

    def _take_advance(self, entry: Advance) -> None:
        node = self._node(entry.eui)
        stream = self._stream(node, entry.epoch, entry.stream)
        stream.advance(entry.first)
        if entry.stream == ALARMS:
            self._notices.advance(node.number, entry.eui, entry.epoch, stream)

    def _take_advert(self, entry: Notice | Relief | AdvertCounters) -> None:
        match entry:
            case Notice():
                node = self._node(entry.eui)
                alarms = Sequence(0, ())
                if node.epoch is not None:
                    alarms = self._stream(node, node.epoch, ALARMS)
                self._notices.take(node.number, node.epoch, alarms, entry)
            case Relief():
                self._notices.relieve(self._node(entry.eui).number, entry.eui)
            case AdvertCounters():
                for one in entry.counters:
                    self._notices.count(self._node(one.eui).number, one.key, one.counter)

    def _take_description(self, entry: Description) -> None:
        node = self._node(entry.eui)
        if entry.descriptor is not None:
            self._connection.execute(
                "INSERT OR REPLACE INTO descriptor (id, node, hash, version, body) VALUES"
                " ((SELECT id FROM descriptor WHERE node = ?1 AND hash = ?2), ?1, ?2, ?3, ?4)",
                (node.number, entry.hash, entry.version, entry.descriptor),
            )
            self._connection.execute(
                "UPDATE descriptor SET sum = row_sum(id, node, body) WHERE node = ? AND hash = ?",
                (node.number, entry.hash),
            )
            self._classes.forget()
        row = self._connection.execute(
            "SELECT id FROM descriptor WHERE node = ? AND hash = ?", (node.number, entry.hash)
        ).fetchone()
        node.descriptor = row[0] if row else node.descriptor
        node.boot_id = entry.boot_id
        self._connection.execute(
            "UPDATE node SET descriptor = ?, boot_id = ?, proven = ? WHERE id = ?",
            (node.descriptor, node.boot_id, entry.proven, node.number),
        )
        if entry.epoch_ms is not None:
            self._note_boot(node, entry.boot_id, entry.epoch_ms, entry.uncertainty_ms)

    def _note_boot(self, node: Node, boot_id: int, epoch_ms: int, uncertainty_ms: int) -> None:
        told = (node.number, boot_id, epoch_ms)
        self._connection.execute(
            "INSERT INTO boot (node, boot_id, epoch_ms, uncertainty_ms, sum)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (node, boot_id) DO UPDATE SET"
            " epoch_ms = excluded.epoch_ms, uncertainty_ms = excluded.uncertainty_ms,"
            " sum = excluded.sum",
            (*told, uncertainty_ms, row_sum(*told)),
        )
        self._connection.execute(
            "DELETE FROM boot WHERE node = ?1 AND id <= (SELECT id FROM boot WHERE node = ?1"
            " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (node.number, _BOOTS_KEPT),
        )
        node.epochs[boot_id] = epoch_ms

    def _node(self, eui: bytes) -> Node:
        node = self._memory.nodes.get(eui)
        if node is None:
            self._connection.execute("INSERT OR IGNORE INTO node (eui) VALUES (?)", (eui,))
            row = self._connection.execute(
                "SELECT id, descriptor, boot_id, epoch FROM node WHERE eui = ?", (eui,)
            ).fetchone()
            node = self._memory.nodes[eui] = Node(*row)
        return node

    def _epoch_ms(self, node: Node, boot_id: int) -> int | None:
        if boot_id not in node.epochs:
            self._memory.tidy_node(node)
            row = self._connection.execute(
                "SELECT epoch_ms, sum FROM boot WHERE node = ? AND boot_id = ?",
                (node.number, boot_id),
            ).fetchone()
            sound = row is not None and row[1] == row_sum(node.number, boot_id, row[0])
            node.epochs[boot_id] = row[0] if sound else None
        return node.epochs[boot_id]

    def _stream(self, node: Node, epoch: int, stream: int) -> Sequence:
        """Return the sequence; what is done to it is written when the transaction ends."""
        key = (node.number, epoch, stream)
        taken = self._streams.get(key)
        if taken is not None:
            return taken[0]
        sequence = node.streams.get((epoch, stream))
        if sequence is None:
            sequence = load_sequence(self._connection, *key)
            if node.epoch != epoch:
                node.epoch = epoch
                node.streams.clear()
                self._connection.execute(
                    "UPDATE node SET epoch = ? WHERE id = ?", (epoch, node.number)
                )
            node.streams[epoch, stream] = sequence
        self._streams[key] = sequence, None
        return sequence
