"""What a damaged store held and a salvage did not get: the index often still knows of it."""

import sqlite3
from collections.abc import Iterable, Mapping

from lilong_gateway.store.database import Database

_NAMED = 100
"""Streams that are named; more would flood the log."""

_KEPT = 1 << 20
_PIECE = 5000
_UNREADABLE = (sqlite3.Error, ValueError, TypeError, OverflowError)
_INDEX = """SELECT pos, node, epoch, stream, seq FROM batch INDEXED BY sqlite_autoindex_batch_1
    WHERE node > -1"""
_HELD = """SELECT 1 FROM batch WHERE node = ?1 AND epoch = ?2 AND stream = ?3 AND seq = ?4
    UNION ALL SELECT 1 FROM quarantine
    WHERE node = ?1 AND epoch = ?2 AND stream = ?3 AND seq = ?4"""


class Losses:
    """Counts what is lost, and names it as far as it can be."""

    def __init__(self) -> None:
        self.count = 0
        self._seqs: dict[tuple[int, int, int], list[int]] = {}
        self._unread: set[int] = set()
        self._nameless = 0

    def add(self, positions: Iterable[int]) -> None:
        """Note positions that could not be read."""
        for pos in positions:
            self.count += 1
            self._nameless += 1
            if len(self._unread) < _KEPT:
                self._unread.add(pos)

    def compare(self, damaged: sqlite3.Connection, fresh: Database, confirmed: int) -> bool:
        """Add what the index of the damaged store lists above confirmed and fresh has not.

        False: the index could not be read to its end.
        """
        try:
            found = damaged.execute(_INDEX)
            while piece := found.fetchmany(_PIECE):
                fresh.repair.work()
                with fresh.reading() as connection:
                    for pos, *slot in piece:
                        if pos > confirmed and not connection.execute(_HELD, slot).fetchone():
                            self._name(pos, *slot)
        except _UNREADABLE:
            return False
        return True

    def add_nameless(self, count: int) -> None:
        """Count what is missing although nothing tells what it was."""
        self.count += count
        self._nameless += count

    def lines(self, euis: Mapping[int, bytes]) -> tuple[str, ...]:
        """Return a line for each stream of a node."""
        lines = [
            f"{euis.get(node, b'').hex() or 'a node'} {epoch:08x}.{stream} {_ranges(seqs)}"
            for (node, epoch, stream), seqs in list(self._seqs.items())[:_NAMED]
        ]
        if self._nameless:
            lines.append(f"{self._nameless} of which nothing is known")
        return tuple(lines)

    def _name(self, pos: int, node: int, epoch: int, stream: int, seq: int) -> None:
        if pos in self._unread:
            self._nameless -= 1
        else:
            self.count += 1
        self._seqs.setdefault((node, epoch, stream), []).append(seq)


def _ranges(seqs: list[int]) -> str:
    spans: list[list[int]] = []
    for seq in sorted(seqs):
        if spans and seq == spans[-1][1] + 1:
            spans[-1][1] = seq
        else:
            spans.append([seq, seq])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)
