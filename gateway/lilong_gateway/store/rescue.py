"""Batches of a damaged store: those that are what was written, and those that are not."""

from collections.abc import Mapping, Sequence
from typing import Any

from lilong_gateway.store import soundness, tally
from lilong_gateway.store.checksum import checksum
from lilong_gateway.store.database import Database
from lilong_gateway.store.quarantine import DAMAGED
from lilong_gateway.store.records import Slot

_INSERT = """INSERT OR IGNORE INTO batch (node, epoch, stream, seq, descriptor, quality, offset_ms,
    boot_id, last_ms, received_ms, readings, item, privacy, one_in, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_SET_ASIDE = """INSERT OR IGNORE INTO quarantine
    (node, epoch, stream, seq, reason, received_ms, item) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_LARGEST = (1 << 63) - 1


class Rescue:
    """Puts rows into a fresh store. euis: of its nodes; up to unsummed there is no checksum."""

    def __init__(self, database: Database, euis: Mapping[int, bytes], unsummed: int) -> None:
        self.taken = 0
        self.damaged = 0
        self.first = 0
        """The lowest position that could be read."""
        self._database = database
        self._euis = euis
        self._unsummed = unsummed

    def take(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take rows of the table batch, in the order of its columns; on disk when this returns."""
        sound, spoilt = [], []
        for row in rows:
            whole = self._checked(row)
            if whole is None:
                spoilt.append(_remains(row))
            else:
                sound.append(whole)
        if not rows:
            return
        self.first = self.first or rows[0][0]
        with self._database.transaction(len(rows)) as connection:
            connection.executemany(_INSERT, sound)
            connection.executemany(_SET_ASIDE, spoilt)
        self.taken += len(sound)
        self.damaged += len(spoilt)

    def finish(self, unreadable: int) -> None:
        """Keep the counts."""
        with self._database.transaction() as connection:
            tally.add(connection, tally.DAMAGED, self.damaged + unreadable)

    def _checked(self, row: Sequence[Any]) -> tuple[Any, ...] | None:
        """Return the row with its checksum, None if it is not what was written."""
        pos, node, epoch, stream, seq, descriptor, quality, offset_ms = row[:8]
        rest, item, (privacy, one_in, sum_) = row[8:12], row[12], row[13:]
        eui = self._euis.get(node) if isinstance(node, int) else None
        fields = (pos, eui, epoch, stream, seq, quality, offset_ms, item, descriptor, one_in, sum_)
        kinds = (int, int | None, int | None, int | None, int)
        plain = zip((*rest, node), kinds[1:4] + kinds[:1] + kinds[4:], strict=True)
        if eui is None or not all(isinstance(value, kind) for value, kind in plain):
            return None
        if not soundness.is_sound(fields, self._unsummed):
            return None
        fresh = checksum(Slot(eui, epoch, stream, seq), descriptor, quality, offset_ms, item)
        return (*row[1:12], item, privacy if privacy in {0, 1, 2, 3} else None, one_in, fresh)


def _remains(row: Sequence[Any]) -> tuple[Any, ...]:
    numbers = (_number(row[index]) for index in (1, 2, 3, 4))
    received_ms = row[10] if isinstance(row[10], int) else None
    item = row[12] if isinstance(row[12], bytes) else str(row[12]).encode(errors="replace")
    return (*numbers, DAMAGED, received_ms, item)


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else 0
