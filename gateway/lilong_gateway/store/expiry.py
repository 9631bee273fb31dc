"""No batch stays longer than its privacy class allows, delivered or not; alarms do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from lilong_gateway.store import tally
from lilong_gateway.store.classes import channels_of
from lilong_gateway.store.database import Database
from lilong_gateway.store.removal import remove
from lilong_protocol.descriptor import MAX_PRIVACY

_LOOKED_AT = 1000
_REASON = "older than its privacy class may be"
_SAMPLE = 8
SAMPLE_BYTES = 24
"""Shorter items may stand elsewhere by chance, and are no trace of one that was deleted."""

_ROWS = """SELECT b.pos, b.stream, b.privacy, b.received_ms, COALESCE(b.descriptor, n.descriptor)
    FROM batch b JOIN node n ON n.id = b.node
    WHERE b.pos > ? ORDER BY b.pos LIMIT ?"""

_RECEIVED = "UPDATE batch SET received_ms = ? WHERE pos = ?"
_COPIES = """UPDATE quarantine SET item = x'' WHERE (node, epoch, stream, seq) IN (
    SELECT node, epoch, stream, seq FROM batch WHERE pos IN (SELECT value FROM json_each(?)))"""


@dataclass(frozen=True, slots=True)
class Expired:
    """What one step did: batches by class, and some of what they held; more: go on at once."""

    batches: tuple[int, ...] = (0, 0, 0, 0)
    sample: tuple[bytes, ...] = ()
    more: bool = False


class Expiry:
    """Goes through one store, for each class from where it was; limits_s: of P0 to P3.

    A batch whose node has described nothing yet is taken for the strictest class; one that was
    received later than now is taken to be received now.
    """

    def __init__(self, limits_s: Sequence[int | None], chosen: Callable[[int], int]) -> None:
        self._limits_s = limits_s
        self._marks = [0] * len(limits_s)
        self._chosen = chosen

    def step(self, database: Database, now_ms: int) -> Expired:
        """Look at some batches of each class that has a limit."""
        counts, sample, more = [0] * len(self._limits_s), [], False
        for privacy, limit_s in enumerate(self._limits_s):
            if limit_s is None:
                continue
            old, mark, again = self._look(database, privacy, now_ms - limit_s * 1000, now_ms)
            more = more or again
            if old:
                sample += self._delete(database, privacy, old)
                counts[privacy] = len(old)
            self._marks[privacy] = mark
        return Expired(tuple(counts), tuple(sample[:_SAMPLE]), more)

    def _look(
        self, database: Database, privacy: int, before_ms: int, now_ms: int
    ) -> tuple[list[int], int, bool]:
        """Return what is too old, up to where that was looked for, whether there may be more."""
        with database.reading() as connection:
            found = connection.execute(_ROWS, (self._marks[privacy], _LOOKED_AT)).fetchall()
        passed = list(takewhile(lambda row: _is_passed(row[3], before_ms, now_ms), found))
        late = [pos for pos, _, _, received_ms, _ in passed if received_ms > now_ms]
        if late:
            with database.transaction(_LOOKED_AT) as connection:
                connection.executemany(_RECEIVED, [(now_ms, pos) for pos in late])
        old = [
            pos
            for pos, stream, known, received_ms, descriptor in passed
            if stream != 0 and received_ms <= now_ms
            if (self._classed(database, pos, descriptor) if known is None else known) == privacy
        ]
        mark = passed[-1][0] if passed else self._marks[privacy]
        return old, min([mark, *(pos - 1 for pos in late)]), len(passed) == _LOOKED_AT and not late

    def _classed(self, database: Database, pos: int, descriptor: int | None) -> int:
        with database.reading() as connection:
            item = connection.execute("SELECT item FROM batch WHERE pos = ?", (pos,)).fetchone()[0]
            privacy = database.classes.strictest(connection, descriptor, channels_of(item))
        return MAX_PRIVACY if privacy is None else privacy

    def _delete(self, database: Database, privacy: int, old: list[int]) -> list[bytes]:
        with database.transaction(len(old)) as connection:
            picked = {self._chosen(len(old)) for _ in range(_SAMPLE)}
            sample = []
            for index in sorted(picked):
                query = "SELECT item FROM batch WHERE pos = ?"
                (item,) = connection.execute(query, (old[index],)).fetchone()
                if isinstance(item, bytes) and len(item) >= SAMPLE_BYTES:
                    sample.append(item)
            connection.execute(_COPIES, (json.dumps(old),))
            remove(connection, old, _REASON)
            tally.add(connection, tally.EXPIRED[privacy], len(old))
        return sample

    def classed_late(self, pos: int) -> None:
        """Look again from a batch on, whose class has become known only now."""
        self._marks = [min(mark, pos - 1) for mark in self._marks]


def _is_passed(received_ms: object, before_ms: int, now_ms: int) -> bool:
    """Whether a batch is no reason to stop: it is old, or from a clock that was ahead."""
    return isinstance(received_ms, int) and not before_ms <= received_ms <= now_ms
