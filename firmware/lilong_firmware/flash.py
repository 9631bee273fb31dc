"""A flash made of files, for nodes without a partition of their own for the journal."""

import os

from lilong_firmware.area import SECTOR_BYTES
from lilong_firmware.files import file_exists, file_size, make_folder, remove_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import BinaryIO

_COUNT = const(4)
_SIZE = const(5)
_ERASE = const(6)
_NAME = const("sector%04d")
_NOT_PERMITTED = const(1)
_NO_SPACE = const(28)


class FileFlash:
    """One file a sector; what lies beyond the end of a file is erased.

    It has the methods of esp32.Partition and behaves like one: programming clears bits and sets
    none, and what was programmed survives the end of the process. An area that is there already
    is never made smaller. A sector is a file of its own because LittleFS, to change a file, copies
    all of it from there to its end.
    """

    def __init__(self, folder: str, size_bytes: int) -> None:
        self._folder = folder
        make_folder(folder)
        self._sectors = max(size_bytes // SECTOR_BYTES, _count(folder))
        self._file: BinaryIO | None = None
        self._opened = -1
        """The sector whose file is open for reading, -1 for none."""

    def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill the buffer."""
        size = 0
        if self._opened != block:
            self.close()
            if file_exists(self._path(block)):
                self._file = open(self._path(block), "rb")  # noqa: SIM115 - kept for the next read
            self._opened = block
        if self._file is not None:
            self._file.seek(offset)
            size = self._file.readinto(buffer) or 0
        if size < len(buffer):
            buffer[size:] = b"\xff" * (len(buffer) - size)

    def writeblocks(self, block: int, data: "bytes | memoryview", offset: int = 0) -> None:
        """Program; durable when it returns."""
        old = bytearray(len(data))
        self.readblocks(block, old, offset)
        new = bytes([before & wanted for before, wanted in zip(old, data)])
        self.close()
        path = self._path(block)
        gap = offset - file_size(path)
        with open(path, "r+b" if file_exists(path) else "wb") as file:
            if gap > 0:
                file.seek(offset - gap)
                new = b"\xff" * gap + new
            else:
                file.seek(offset)
            if file.write(new) != len(new):
                raise OSError(_NO_SPACE)

    def ioctl(self, request: int, argument: int) -> int:
        """Count the sectors, tell their size, erase one."""
        if request == _COUNT:
            return self._sectors
        if request == _SIZE:
            return SECTOR_BYTES
        if request == _ERASE:
            self.close()
            path = self._path(argument)
            if not remove_file(path) and file_exists(path):
                raise OSError(_NOT_PERMITTED)
        return 0

    def close(self) -> None:
        """Give back what is open; the next read opens it again."""
        self._opened = -1
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, block: int) -> str:
        return self._folder + "/" + _NAME % block


def _count(folder: str) -> int:
    """Return how many sectors the files of a folder make."""
    count = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        digits = name[len(_NAME) - 4 :]
        if name == _NAME[:-4] + digits and len(digits) == 4 and digits.isdigit():
            count = max(count, int(digits) + 1)
    return count
