"""The folder of the slot that neither runs nor would run: where an application is put together."""

import os

from lilong_firmware.errors import RefusedError, StorageError
from lilong_firmware.files import file_size, remove_file
from lilong_firmware.sink import FileSink, file_digest, move_in
from lilong_firmware.transfer import SEGMENT
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lilong_firmware.sink import Inbox
    from lilong_protocol.manifest import Manifest
    from loader import Boot

_FOLDERS = ("", "a", "b")
_FOLDER_MODE = const(0x4000)
_SPARE_BLOCKS = const(4)
_BLOCK_SIZE = 1
_FREE_BLOCKS = 3


class SlotFolder:
    """Files of the manifest's names. One that is there and right is never asked for again."""

    def __init__(self, inbox: "Inbox", boot: "Boot", manifest: "Manifest") -> None:
        self._inbox = inbox
        self._boot = boot
        self._manifest = manifest
        self._slot = 2 if 1 in {boot.confirmed, boot.slot} else 1
        self._folder = _FOLDERS[self._slot] + "/"
        self._held = bytearray(len(manifest.segments))

    async def prepare(self) -> None:
        """Find what is there already, drop the rest; RefusedError, and all stays, without room."""
        obsolete = []
        segments = self._manifest.segments
        indices = {self._folder + segment.name: index for index, segment in enumerate(segments)}
        for path in _files(self._folder[:-1]):
            index = indices.get(path)
            if index is not None and await self._is_good(index):
                self._held[index] = 1
            else:
                obsolete.append(path)
        self._check_room(obsolete)
        for path in obsolete:
            remove_file(path)

    async def sink(self, index: int) -> FileSink:
        """Return the segment's file in the inbox, or in the slot when it is there already."""
        segment = self._manifest.segments[index]
        if self._held[index]:
            return FileSink(self._folder + segment.name, segment.size)
        sink = FileSink(self._inbox.place(SEGMENT, segment.sha256), segment.size)
        if sink.held == sink.size:
            if await self.complete(index):
                return FileSink(self._folder + segment.name, segment.size)
            sink.drop()
        return sink

    async def complete(self, index: int) -> bool:
        """Move a whole segment to its place; False when its SHA-256 is another."""
        segment = self._manifest.segments[index]
        path = self._inbox.place(SEGMENT, segment.sha256)
        if await file_digest(path) != segment.sha256:
            return False
        move_in(path, self._folder + segment.name)
        self._held[index] = 1
        return True

    async def verify(self) -> None:
        """Read every segment; RefusedError names the first that is missing or damaged."""
        for index, segment in enumerate(self._manifest.segments):
            self._held[index] = await self._is_good(index)
            if not self._held[index]:
                raise RefusedError("segment " + str(index) + ", " + segment.name + ", is missing")

    def begin(self) -> None:
        """Let the next boot try this slot; StorageError when flash refuses."""
        if not self._boot.begin_trial(self._slot, self._manifest.sequence):
            raise StorageError("the boot state could not be written")

    async def _is_good(self, index: int) -> bool:
        segment = self._manifest.segments[index]
        path = self._folder + segment.name
        return file_size(path) == segment.size and await file_digest(path) == segment.sha256

    def _check_room(self, obsolete: "list[str]") -> None:
        volume = os.statvfs(".")
        block = volume[_BLOCK_SIZE]
        free = volume[_FREE_BLOCKS] - _SPARE_BLOCKS
        for path in obsolete:
            free += -(-file_size(path) // block)
        need = 0
        for index, segment in enumerate(self._manifest.segments):
            if not self._held[index]:
                need += -(-segment.size // block)
        if need > free:
            raise RefusedError(
                "no room: " + str(need * block) + " bytes needed, " + str(free * block) + " free"
            )


def _files(folder: str) -> "Iterator[str]":
    """Give the path of every file below a folder, of none when there is no such folder."""
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder + "/" + entry[0]
        if entry[1] == _FOLDER_MODE:
            yield from _files(path)
        else:
            yield path
