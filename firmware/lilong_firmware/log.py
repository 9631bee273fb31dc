"""The journal as a log: records go to the end of one sector, then to a fresh one."""

from lilong_firmware.area import SECTOR_BYTES, Area
from lilong_firmware.cursor import Cursor
from lilong_firmware.errors import StorageError
from lilong_firmware.index import Index
from lilong_firmware.record import (
    BATCH,
    COPIED,
    HEAD_BYTES,
    HEADER_BYTES,
    LAST_GENERATION,
    MARK_BYTES,
    MARKED,
    NOWHERE,
    POSITIONS,
    POSITIONS_BYTES,
    VOID,
    Positions,
    pack_header,
    pack_mark,
    record_bytes,
    seal,
)
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.area import Flash

ROOM_BYTES = SECTOR_BYTES - HEADER_BYTES
"""Bytes of records that a sector takes."""


class Log:
    """One sector is open for writing; a sector that is void, torn or of another epoch is free.

    Between two calls at least one sector is free, unless flash failed: what is worth keeping of a
    sector is copied into a free one before the sector becomes void. See inventory for the start.
    """

    def __init__(self, device: "Flash") -> None:
        self.area = Area(device)
        self.index = Index(self.area.sectors)
        self.positions = Positions()
        self.epoch = 0
        self.newest = 0
        """Number of the sector that was opened last."""
        self.sector = -1
        """The sector that is open, -1 for none."""
        self.end = 0
        self._round = -1

    def resume(self, sector: int, end: int) -> None:
        """Go on in a sector that a look at it has found sound."""
        self.sector = self._round = sector
        self.end = end

    @property
    def room(self) -> int:
        """Bytes that the open sector still takes."""
        return SECTOR_BYTES - self.end if self.sector >= 0 else 0

    def cursor(self, sector: int, *, careful: bool = False) -> Cursor:
        """Return a look at a sector from its first record on."""
        careful = careful or self.index.is_doubtful(sector)
        return Cursor(self.area, sector, self.epoch, careful=careful)

    def open(self) -> None:
        """Open the next free sector with all positions of now; StorageError when there is none."""
        self.sector = -1
        sector = self.index.next_free(self._round)
        if sector < 0:
            raise StorageError("journal: no usable flash")
        self._round = sector
        self.area.erase(sector)
        number = self.newest + 1
        header = pack_header(self.area.sectors, number, self.epoch, self.positions)
        self.area.program(sector, 0, header)
        self.newest = number
        self.index.open(sector, self.newest)
        self.resume(sector, HEADER_BYTES)

    def void(self, sector: int) -> None:
        """Make a sector free for good; an erase that is cut short brings nothing of it back."""
        self.index.clear(sector)
        if sector == self.sector:
            self.sector = -1
        self.area.program(sector, 0, VOID)

    def write_batch(self, stream: int, item: bytes, mark: "tuple[int, int, int]") -> int:
        """Append a batch, for which there must be room; return its number.

        The number is used up even when flash fails: nobody knows what is there then.
        """
        seq = self.positions.next[stream]
        place = HEAD_BYTES
        kind = stream
        if mark != NOWHERE:
            kind |= MARKED
            pack_mark(self.area.buffer, mark)
            place += MARK_BYTES
        self.area.buffer[place : place + len(item)] = item
        self.positions.used(stream, seq, self.positions.marks[stream])
        self._write(BATCH, kind, place - HEAD_BYTES + len(item), seq)
        self.positions.marks[stream] = mark
        self.index.add(self.sector, stream, seq, copied=False)
        return seq

    def write_copy(self, cursor: Cursor, *, older: bool) -> None:
        """Append what the cursor has loaded, for which there must be room."""
        generation = min(cursor.generation + older, LAST_GENERATION)
        kind = cursor.stream | generation << 2 | COPIED
        if cursor.mark != NOWHERE:
            kind |= MARKED
        self._write(BATCH, kind, len(cursor.payload), cursor.seq)
        self.index.add(self.sector, cursor.stream, cursor.seq, copied=True)

    def write_positions(self) -> None:
        """Append the positions, for which there must be room."""
        self.area.buffer[HEAD_BYTES : HEAD_BYTES + POSITIONS_BYTES] = self.positions.pack()
        self._write(POSITIONS, 0, POSITIONS_BYTES, 0)

    def _write(self, magic: int, kind: int, size: int, seq: int) -> None:
        seal(self.area.buffer, magic, kind, size, seq, self.epoch)
        end = self.end + record_bytes(size)
        sector = self.sector
        # Until it is known to have worked, nothing is to be written behind it.
        self.sector = -1
        self.area.program_buffer(sector, self.end, record_bytes(size))
        self.sector = sector
        self.end = end
