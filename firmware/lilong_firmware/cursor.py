"""Goes from record to record through one sector of the journal."""

from lilong_firmware.area import SECTOR_BYTES
from lilong_firmware.record import (
    BATCH,
    COPIED,
    HEAD_BYTES,
    HEADER_BYTES,
    LAST_GENERATION,
    MARK_BYTES,
    MARKED,
    NOWHERE,
    is_whole,
    parse_head,
    parse_mark,
    record_bytes,
)
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.area import Area


class Cursor:
    """The record that it stands on, by its head; load brings the rest.

    A sector in which something is damaged is searched for whole records at every place where one
    can begin. `careful` does so from the start; without it heads are trusted as long as one
    follows the other.
    """

    def __init__(self, area: "Area", sector: int, epoch: int, *, careful: bool) -> None:
        self._area = area
        self._epoch = epoch
        self._careful = careful
        self.sector = sector
        self.offset = HEADER_BYTES
        self.end = HEADER_BYTES
        """Where the last record that was found ends."""
        self.damaged = False
        """Whether there is something that is no record."""
        self.is_batch = False
        self.stream = 0
        self.generation = 0
        self.copied = False
        self.seq = 0
        self._kind = 0
        self._size = 0

    def step(self) -> bool:
        """Go to the next record; False when there is none. StorageError when flash fails."""
        offset = self.end
        while offset + HEAD_BYTES <= SECTOR_BYTES:
            if self.stand_on(offset):
                return True
            used = self._used_from(offset)
            if used < SECTOR_BYTES:
                self.damaged = self._careful = True
            offset = used if used > offset else offset + 4
        return False

    def stand_on(self, offset: int) -> bool:
        """Whether a record begins at `offset`; it is the present one then."""
        if offset + HEAD_BYTES > SECTOR_BYTES:
            return False
        fields = parse_head(self._area.read(self.sector, offset, HEAD_BYTES))
        if fields is None or offset + record_bytes(fields[2]) > SECTOR_BYTES:
            return False
        magic, self._kind, self._size, self.seq = fields
        self.offset = offset
        if self._careful and not self.load():
            return False
        self.is_batch = magic == BATCH
        self.stream = self._kind & 3
        self.generation = self._kind >> 2 & LAST_GENERATION
        self.copied = bool(self._kind & COPIED)
        self.end = offset + self.bytes
        return True

    @property
    def bytes(self) -> int:
        """What the record takes of the sector."""
        return record_bytes(self._size)

    def load(self) -> bool:
        """Bring the record into the area's buffer; False when it is damaged."""
        self._area.read(self.sector, self.offset, self.bytes)
        return is_whole(self._area.buffer, self._size, self._epoch)

    @property
    def payload(self) -> memoryview:
        """What load brought, without the head."""
        return memoryview(self._area.buffer)[HEAD_BYTES : HEAD_BYTES + self._size]

    @property
    def item(self) -> memoryview:
        """The item of the batch that load brought."""
        return self.payload[MARK_BYTES if self._kind & MARKED else 0 :]

    @property
    def mark(self) -> "tuple[int, int, int]":
        """The mark of the batch that load brought."""
        return parse_mark(self._area.buffer) if self._kind & MARKED else NOWHERE

    def _used_from(self, offset: int) -> int:
        head = self._area.read(self.sector, offset, HEAD_BYTES)
        if bytes(head[:4]) != b"\xff\xff\xff\xff":
            return offset
        return self._area.used_from(self.sector, offset) if self._careful else SECTOR_BYTES
