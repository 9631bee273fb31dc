"""Going through all that is held, a little at a time: what is rotten is found before it is needed.

On the way batches whose class was not known are classed, and the age of each class is noted.
"""

import sqlite3
from typing import Any

from lilong_gateway.store import soundness
from lilong_gateway.store.classes import channels_of
from lilong_gateway.store.database import Database
from lilong_gateway.store.quarantine import set_aside

_ROWS = f"""SELECT {soundness.COLUMNS}, b.privacy, b.received_ms,
    COALESCE(b.descriptor, n.descriptor)
    FROM batch b LEFT JOIN node n ON n.id = b.node
    WHERE b.pos > ? ORDER BY b.pos LIMIT ?"""  # noqa: S608 - our own names
_INDEXED = """SELECT COUNT(*) FROM batch INDEXED BY sqlite_autoindex_batch_1
    WHERE node = ? AND epoch = ? AND stream = ? AND seq = ?"""

Ages = tuple[int | None, ...]


class Patrol:
    """Of one store. oldest_ms: when the oldest batch of each class came, as of the last round."""

    def __init__(self) -> None:
        self.oldest_ms: Ages = (None, None, None, None)
        self.classed: int | None = None
        """The lowest position that a step has classed, to be taken by who reads it."""
        self._pos = 0
        self._ages: list[int | None] = [None] * 4

    def step(self, database: Database, limit: int) -> bool:
        """Look at up to limit batches; False: the round is done, the next step begins anew.

        StoreDamagedError when the file itself is not sound.
        """
        with database.reading() as connection:
            found = connection.execute(_ROWS, (self._pos, limit)).fetchall()
            rotten, classed = self._examine(database, connection, found)
        if rotten:
            set_aside(database, rotten)
        if classed:
            with database.transaction(len(classed)) as connection:
                connection.executemany("UPDATE batch SET privacy = ? WHERE pos = ?", classed)
            self.classed = min(pos for _, pos in classed)
        if len(found) == limit:
            self._pos = found[-1][0]
            return True
        self.oldest_ms = tuple(self._ages)
        self._pos, self._ages = 0, [None] * 4
        return False

    def _examine(
        self, database: Database, connection: sqlite3.Connection, found: list[tuple[Any, ...]]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        rotten, classed = [], []
        for *fields, told, received_ms, descriptor in found:
            privacy = told
            pos, node, item = fields[0], fields[soundness.NODE], fields[soundness.ITEM]
            if not soundness.is_sound(fields, database.unsummed):
                rotten.append(pos)
                continue
            slot = (node, *fields[2:5])
            if connection.execute(_INDEXED, slot).fetchone()[0] != 1:
                database.refute("a batch is not in its index")
            if privacy is None and descriptor is not None:
                privacy = database.classes.strictest(connection, descriptor, channels_of(item))
                if privacy is not None:
                    classed.append((privacy, pos))
            self._note_age(privacy, received_ms)
        return rotten, classed

    def _note_age(self, privacy: object, received_ms: object) -> None:
        if isinstance(privacy, int) and 0 <= privacy < 4 and isinstance(received_ms, int):  # noqa: PLR2004
            known = self._ages[privacy]
            self._ages[privacy] = received_ms if known is None else min(known, received_ms)
