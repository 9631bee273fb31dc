"""What the memory keeps of each sector of the journal: which numbers it may hold."""

from array import array

from lilong_protocol.frame import DATA_STREAM, STREAMS
from lilong_protocol.portable import const

_LANES = const(5)
_COPIED_DATA = const(4)


class Index:
    """Numbers of sectors and, lane by lane, the lowest and the highest seq of each; made once.

    A lane is a stream, but copied batches of the data stream have one of their own: they are old
    ones among new ones, and would make the ranges useless. 45 bytes a sector.
    """

    def __init__(self, sectors: int) -> None:
        self.sectors = sectors
        self._numbers = array("I", [0] * sectors)
        self._low = array("I", [0] * (sectors * _LANES))
        self._end = array("I", [0] * (sectors * _LANES))
        self._careful = bytearray(sectors)

    def open(self, sector: int, number: int) -> None:
        """Take note of a sector in use; `number` (from 1) rises with each that is opened."""
        self._numbers[sector] = number

    def clear(self, sector: int) -> None:
        """Take note of a free sector."""
        self._numbers[sector] = 0
        self._careful[sector] = 0
        for lane in range(sector * _LANES, (sector + 1) * _LANES):
            self._end[lane] = 0

    def add(self, sector: int, stream: int, seq: int, *, copied: bool) -> None:
        """Take note of a batch."""
        lane = sector * _LANES + (_COPIED_DATA if copied and stream == DATA_STREAM else stream)
        if self._end[lane] == 0 or seq < self._low[lane]:
            self._low[lane] = seq
        if seq >= self._end[lane]:
            self._end[lane] = seq + 1

    def number(self, sector: int) -> int:
        """Return the number of a sector, 0 when it is free."""
        return self._numbers[sector]

    def doubt(self, sector: int) -> None:
        """Take note that something in the sector is damaged."""
        self._careful[sector] = 1

    def is_doubtful(self, sector: int) -> bool:
        """Whether something in the sector is damaged."""
        return self._careful[sector] != 0

    def free(self) -> int:
        """Return how many sectors are free."""
        return sum([1 for number in self._numbers if number == 0])

    def next_free(self, after: int) -> int:
        """Return the free sector that comes next in the round, so that all wear alike."""
        for step in range(1, self.sectors + 1):
            sector = (after + step) % self.sectors
            if self._numbers[sector] == 0:
                return sector
        return -1

    def by_age(self) -> "list[int]":
        """Return the sectors in use, the oldest first."""
        used = [sector for sector in range(self.sectors) if self._numbers[sector]]
        return sorted(used, key=self.number)

    def holds(self, sector: int, stream: int, first: int) -> bool:
        """Whether there may be a batch of the stream with a number from `first` on."""
        lane = sector * _LANES
        if self._end[lane + stream] > first:
            return True
        return stream == DATA_STREAM and self._end[lane + _COPIED_DATA] > first

    def is_live(self, sector: int, first: "list[int]") -> bool:
        """Whether there may be a batch that is not acknowledged."""
        return any(self.holds(sector, stream, first[stream]) for stream in range(STREAMS))

    def lowest(self, sector: int, stream: int, seq: int) -> "tuple[bool, int | None]":
        """Return whether seq lies within a lane of the stream, and the lowest lane above it."""
        within = False
        above = None
        lanes = (stream, _COPIED_DATA) if stream == DATA_STREAM else (stream,)
        for lane in lanes:
            place = sector * _LANES + lane
            low = self._low[place]
            if self._end[place] <= seq:
                continue
            if low <= seq:
                within = True
            elif above is None or low < above:
                above = low
        return within, above
