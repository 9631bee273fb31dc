"""The flash that a journal lies on, sector by sector, and one buffer for all that passes."""

from lilong_firmware.errors import StorageError
from lilong_firmware.record import RECORD_LIMIT
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Protocol

    class Flash(Protocol):
        """esp32.Partition and what behaves like it; OSError when it fails."""

        def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int) -> None:
            """Fill the buffer."""

        def writeblocks(self, block: int, buffer: "bytes | memoryview", offset: int) -> None:
            """Program: bits go from 1 to 0, none goes back."""

        def ioctl(self, request: int, argument: int) -> "int | None":
            """4: the number of blocks. 5: bytes of one. 6: erase one, all its bits are 1 then."""


SECTOR_BYTES = 4096
_LEAST_SECTORS = const(4)
_COUNT = const(4)
_SIZE = const(5)
_ERASE = const(6)
_CHUNK_BYTES = const(256)


class Area:
    """Reads into `buffer`, programs, erases; StorageError when flash refuses.

    `sectors` is 0 when the device is none, is too small, or has sectors of another size.
    """

    def __init__(self, device: "Flash") -> None:
        self._device = device
        self.buffer = bytearray(RECORD_LIMIT)
        self._view = memoryview(self.buffer)
        self._blank = b"\xff" * _CHUNK_BYTES
        self.sectors = self._count()

    def read(self, sector: int, offset: int, size: int) -> memoryview:
        """Return bytes of a sector as the begin of the buffer."""
        view = self._view[:size]
        try:
            self._device.readblocks(sector, view, offset)
        except OSError as error:
            raise StorageError("journal: flash cannot be read: " + str(error))
        return view

    def program(self, sector: int, offset: int, data: "bytes | memoryview") -> None:
        """Clear bits."""
        try:
            self._device.writeblocks(sector, data, offset)
        except OSError as error:
            raise StorageError("journal: flash cannot be written: " + str(error))

    def program_buffer(self, sector: int, offset: int, size: int) -> None:
        """Program the begin of the buffer."""
        self.program(sector, offset, self._view[:size])

    def erase(self, sector: int) -> None:
        """Set all bits of a sector."""
        try:
            refused = self._device.ioctl(_ERASE, sector)
        except OSError as error:
            raise StorageError("journal: flash cannot be erased: " + str(error))
        if refused:
            raise StorageError("journal: flash cannot be erased")

    def used_from(self, sector: int, offset: int) -> int:
        """Return where, from `offset` on, the next bit is cleared; at most 3 bytes too low."""
        while offset < SECTOR_BYTES:
            size = min(_CHUNK_BYTES, SECTOR_BYTES - offset)
            chunk = self.read(sector, offset, size)
            if chunk != self._blank[:size]:
                place = 0
                while chunk[place] == 0xFF:
                    place += 1
                return offset + place & ~3
            offset += size
        return SECTOR_BYTES

    def _count(self) -> int:
        try:
            if self._device.ioctl(_SIZE, 0) != SECTOR_BYTES:
                return 0
            sectors = self._device.ioctl(_COUNT, 0) or 0
        except OSError:
            return 0
        return sectors if sectors >= _LEAST_SECTORS else 0
