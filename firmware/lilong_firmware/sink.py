"""Objects on their way into flash: what they hold survives a power cut, all but its end."""

import asyncio
import os
from binascii import hexlify
from hashlib import sha256

from lilong_firmware.errors import StorageError
from lilong_firmware.files import file_size, make_folder, remove_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from io import BufferedWriter
    from typing import Protocol

    class Sink(Protocol):
        """Where the pieces of one object go, in their order."""

        size: int
        held: int

        def write(self, data: bytes) -> None:
            """Take the next piece; StorageError when flash refuses it."""

        def close(self) -> None:
            """Make what is held durable; a write may follow."""

        def drop(self) -> None:
            """Forget what is held."""


_SYNC_BYTES = const(4096)
_PIECE_BYTES = const(1024)
_NAME_BYTES = const(8)


class FileSink:
    """A file that grows to `size`.

    It is made durable where it passes a multiple of 4096 bytes and at its end. LittleFS copies
    the last block of a file to a fresh one when the file goes on after that: two erases for each
    block of an erase unit, where one for each piece of 950 bytes would be needed otherwise.
    """

    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.size = size
        self.held = file_size(path)
        if self.held > size:
            self.drop()
        self._file: BufferedWriter | None = None

    def write(self, data: bytes) -> None:
        """Append what flash takes; StorageError when it refuses, `held` is then what it kept."""
        try:
            if self._file is None:
                self._file = open(self.path, "ab")  # noqa: SIM115 - open from piece to piece
            taken = self._file.write(data)
            before, self.held = self.held, self.held + taken
            if before // _SYNC_BYTES != self.held // _SYNC_BYTES:
                self._file.flush()
        except OSError as error:
            self.close()
            self.held = file_size(self.path)
            raise StorageError(self.path + ": " + str(error))

    def close(self) -> None:
        """Close the file until the next piece."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError:
            self.held = file_size(self.path)

    def drop(self) -> None:
        """Remove the file."""
        if self.held:
            self.close()
            remove_file(self.path)
        self.held = 0


class Inbox:
    """A folder with at most one object of each kind, named by its SHA-256."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def place(self, kind: int, digest: bytes) -> str:
        """Return the path for the object of this digest; any other of its kind is dropped."""
        name = str(kind) + "-" + hexlify(digest[:_NAME_BYTES]).decode()
        make_folder(self._folder)
        for other in self._names(kind):
            if other != name:
                remove_file(self._folder + "/" + other)
        return self._folder + "/" + name

    def find(self, kind: int) -> "str | None":
        """Return the path of the object of this kind, whole or not."""
        for name in self._names(kind):
            return self._folder + "/" + name
        return None

    def _names(self, kind: int) -> "list[str]":
        start = str(kind) + "-"
        try:
            return [name for name in os.listdir(self._folder) if name.startswith(start)]
        except OSError:
            return []


async def file_digest(path: str) -> "bytes | None":
    """Return the SHA-256 of a file, None when it cannot be read; other tasks run meanwhile."""
    digest = sha256()
    piece = bytearray(_PIECE_BYTES)
    view = memoryview(piece)
    try:
        with open(path, "rb") as file:  # noqa: ASYNC230 - MicroPython has no other
            while True:
                count = file.readinto(piece)
                if not count:
                    return digest.digest()
                digest.update(view[:count])
                await asyncio.sleep(0)
    except OSError:
        return None


def move_in(source: str, target: str) -> None:
    """Rename a file, into folders that are made for it; StorageError when flash refuses."""
    at = target.find("/")
    while at >= 0:
        make_folder(target[:at])
        at = target.find("/", at + 1)
    try:
        os.rename(source, target)
    except OSError as error:
        raise StorageError(target + ": " + str(error))
