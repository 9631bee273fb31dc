"""Rows of the same channels on their way into one block; storage is made once."""

from array import array

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.row import Row


class Bucket:
    """Holds up to `capacity` rows of one set of channels and of one time base."""

    def __init__(self, channels: "tuple[int, ...]", capacity: int) -> None:
        self.channels = channels
        self.capacity = capacity
        self.rows = 0
        self.boot: int | None = None
        self.opened_ms = 0
        """Uptime of the first row."""
        self.begin = 0
        """Position of the source before the first row."""
        self.part = 0
        """Readings of the first row that were journalled before."""
        self._times = array("q", [0] * capacity)
        self._ends = array("I", [0] * capacity)
        # Lists, because a value may be wider than any array type.
        self._columns = [[0] * capacity for _ in channels]

    @property
    def full(self) -> bool:
        """Whether no further row fits."""
        return self.rows == self.capacity

    def add(self, row: "Row", begin: int) -> None:
        """Take a row of these channels; `begin` counts for the first one."""
        if self.rows == 0:
            self.boot = row.boot
            self.opened_ms = row.uptime_ms
            self.begin = begin
            self.part = row.part
        self._times[self.rows] = row.time
        self._ends[self.rows] = row.position
        for column, reading in zip(self._columns, row.readings):
            column[self.rows] = reading[1]
        self.rows += 1

    def clear(self) -> None:
        """Forget all rows."""
        self.rows = 0

    def end(self, row: int) -> int:
        """Return the position of the source after a row, before the first one for row -1."""
        return self.begin if row < 0 else self._ends[row]

    def times(self, start: int, stop: int) -> "list[int]":
        """Return the times of rows start..stop-1."""
        return list(self._times[start:stop])

    def columns(self, start: int, stop: int) -> "list[tuple[int, list[int]]]":
        """Return (channel, values) of rows start..stop-1."""
        pairs = []
        for index, channel in enumerate(self.channels):
            pairs.append((channel, self._columns[index][start:stop]))
        return pairs
