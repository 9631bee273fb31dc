"""What a journal's flash holds after a reset: the one look at all of it."""

from lilong_firmware.cursor import Cursor
from lilong_firmware.errors import StorageError
from lilong_firmware.record import HEADER_BYTES, VOID, parse_header
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.log import Log


class Inventory:
    """Finds the epoch, the sectors in use and the positions, and tells them to the log.

    The epoch is that of the newest sector; there is none when the area was larger then. When no
    sector is free, a copy into the newest one was cut short: all that it holds is in an older one
    still, and it becomes void.
    """

    def __init__(self, log: "Log") -> None:
        self.damaged = 0
        """Sectors with something torn or rotten in them."""
        self.foreign = 0
        """Sectors of an earlier epoch."""
        self.failed = 0
        """Sectors that flash would not read."""
        self.found = False
        """Whether there is a queue to go on with."""
        self._log = log
        self._newest = -1
        self._sectors(range(log.area.sectors), self._number)
        if self._newest < 0:
            return
        self.found = True
        self._sectors(range(log.area.sectors), self._adopt)
        if log.index.free() == 0:
            self._sectors((self._cut_short(),), log.void)
        self._sectors(range(log.area.sectors), self._look)

    def _sectors(self, sectors: "range | tuple[int, ...]", do: "Callable[[int], None]") -> None:
        for sector in sectors:
            try:
                do(sector)
            except StorageError:
                self.failed += 1

    def _number(self, sector: int) -> None:
        """Elect the newest sector; of an area that has become smaller the newest may be lost."""
        header = parse_header(self._log.area.read(sector, 0, HEADER_BYTES))
        if header is not None and header[1] > self._log.newest:
            self._log.newest = header[1]
            self._newest = sector if header[0] <= self._log.area.sectors else -1
            self._log.epoch = header[2]

    def _adopt(self, sector: int) -> None:
        """Take a sector of the epoch into the index."""
        header = parse_header(self._log.area.read(sector, 0, HEADER_BYTES))
        if header is None:
            return
        if header[2] != self._log.epoch:
            self.foreign += 1
            return
        self._log.index.open(sector, header[1])
        self._log.positions.merge(header[3])

    def _cut_short(self) -> int:
        """Return the newest sector, or the oldest if flash has rotted so that it is no copy."""
        cursor = self._log.cursor(self._newest, careful=True)
        try:
            while cursor.step():
                if cursor.is_batch and not cursor.copied:
                    return self._log.index.by_age()[0]
        except StorageError:
            self.failed += 1
        return self._newest

    def _look(self, sector: int) -> None:
        area = self._log.area
        if self._log.index.number(sector):
            self._take(sector)
        elif area.read(sector, 0, len(VOID)) == VOID:
            return
        elif parse_header(area.read(sector, 0, HEADER_BYTES)) is None:
            self._suspect(sector)

    def _take(self, sector: int) -> None:
        """Read every record of a sector in use."""
        log = self._log
        cursor = log.cursor(sector, careful=True)
        while cursor.step():
            if cursor.is_batch:
                log.index.add(sector, cursor.stream, cursor.seq, copied=cursor.copied)
                log.positions.used(cursor.stream, cursor.seq, cursor.mark)
            else:
                log.positions.merge(cursor.payload)
        if cursor.damaged:
            self.damaged += 1
            log.index.doubt(sector)
        elif sector == self._newest:
            log.resume(sector, cursor.end)

    def _suspect(self, sector: int) -> None:
        """Make sure that the numbers in a sector whose header has rotted do not come again.

        Of a torn erase there may be a rest, too; its numbers are known anyhow.
        """
        log = self._log
        cursor = Cursor(log.area, sector, log.epoch, careful=True)
        while cursor.step():
            if cursor.is_batch:
                mark = log.positions.marks[cursor.stream]
                log.positions.used(cursor.stream, cursor.seq, mark)
