"""How much of each stream is held, and how much of the rest gateways have thinned out."""

import sqlite3
from dataclasses import dataclass

from lilong_tools.city.pack import split_batch

_Key = tuple[str, int, int]
"""Node, epoch, stream."""


@dataclass(slots=True)
class Extent:
    """One stream, from the first number held to the last.

    low and high: the thinned ones reach so far; claimed: so many they stand for, themselves not
    counted; within: so many are held there.
    """

    first: int
    last: int
    held: int = 0
    low: int = 0
    high: int = -1
    claimed: int = 0
    within: int = 0

    @property
    def missing(self) -> int:
        """How many numbers are not held."""
        return self.last - self.first + 1 - self.held

    @property
    def thinned(self) -> int:
        """How many of them lie among thinned batches, and are not more than these stand for."""
        reach = min(self.high, self.last) - max(self.low, self.first) + 1
        return min(max(0, reach - self.within), self.claimed)

    def add(self, seq: int, one_in: int) -> None:
        """Take in a batch that is held."""
        self.first, self.last = min(self.first, seq), max(self.last, seq)
        self.held += 1
        if one_in > 1:
            around = one_in - 1
            reached = self.high >= self.low
            self.low = min(self.low, seq - around) if reached else seq - around
            self.high = max(self.high, seq + around)
            self.claimed += around


def read_extents(database: sqlite3.Connection) -> list[Extent]:
    """Return the extents of all streams; a pass over all batches, two if some are thinned."""
    extents: dict[_Key, Extent] = {}
    for eui, batch, one_in in database.execute("SELECT eui, batch, one_in FROM batch"):
        epoch, stream, seq = split_batch(batch)
        extent = extents.get((eui, epoch, stream))
        if extent is None:
            extent = extents[eui, epoch, stream] = Extent(seq, seq)
        extent.add(seq, one_in)
    if any(extent.claimed for extent in extents.values()):
        for eui, batch in database.execute("SELECT eui, batch FROM batch"):
            epoch, stream, seq = split_batch(batch)
            extent = extents[eui, epoch, stream]
            extent.within += extent.low <= seq <= extent.high
    return list(extents.values())
