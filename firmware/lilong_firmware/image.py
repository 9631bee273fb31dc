"""The chip's other partition for images: where a base image is put together."""

import asyncio
from hashlib import sha256

from lilong_firmware.errors import RefusedError, StorageError
from lilong_firmware.files import read_file, remove_file, replace_file
from lilong_firmware.transfer import SEGMENT
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any, Protocol

    from lilong_firmware.sink import Inbox
    from lilong_protocol.manifest import Manifest
    from loader import Boot

    class Partition(Protocol):
        """esp32.Partition, as far as an image needs it; MicroPython has no `/` in signatures."""

        def info(self) -> tuple[Any, ...]:
            """Return type, subtype, address, size in bytes, label, whether it is encrypted."""

        def readblocks(self, __block: int, __buffer: bytearray) -> object:  # noqa: PYI063
            """Read whole blocks."""

        def writeblocks(self, __block: int, __buffer: bytearray) -> None:  # noqa: PYI063
            """Erase whole blocks and write them."""

        def set_boot(self) -> None:
            """Start this one from the next reset on."""


_BLOCK = const(4096)
_NOTE_BLOCKS = const(16)
_SIZE = 3
_LABEL = 4
_BASE = const(0)


class BlockSink:
    """Blocks of a partition. Their count is noted in a file at every 64 KiB and at the end.

    So a power cut costs at most 64 KiB of the transfer, and a megabyte 16 small writes.
    """

    def __init__(self, partition: "Partition", path: str, size: int) -> None:
        self.size = size
        self._partition = partition
        self._path = path
        self._buffer = bytearray(_BLOCK)
        words = read_file(path, 16) or b""
        self._blocks = int(words) if words.isdigit() else 0
        self.held = min(size, self._blocks * _BLOCK)

    def write(self, data: bytes) -> None:
        """Take the next piece; StorageError when flash refuses, from `held` on then."""
        view = memoryview(data)
        while view:
            fill = self.held % _BLOCK
            piece = view[: _BLOCK - fill]
            self._buffer[fill : fill + len(piece)] = piece
            self.held += len(piece)
            view = view[len(piece) :]
            if self.held % _BLOCK == 0 or self.held == self.size:
                self._program()

    def close(self) -> None:
        """Note how many blocks are there; a block that is not full is asked for again."""
        self.held = min(self.size, self._blocks * _BLOCK)
        self._note()

    def drop(self) -> None:
        """Begin anew."""
        remove_file(self._path)
        self._blocks = self.held = 0

    def _program(self) -> None:
        for index in range((self.held - 1) % _BLOCK + 1, _BLOCK):
            self._buffer[index] = 0xFF
        try:
            self._partition.writeblocks(self._blocks, self._buffer)
        except OSError as error:
            self.close()
            raise StorageError("the partition: " + str(error))
        self._blocks += 1
        if self._blocks % _NOTE_BLOCKS == 0:
            self._note()

    def _note(self) -> None:
        try:
            replace_file(self._path, str(self._blocks).encode())
        except StorageError:
            # The blocks are asked for again after a reset; nothing else depends on the note.
            return


class ImagePartition:
    """The partition that would be started next, if it is to hold a new image."""

    def __init__(
        self,
        inbox: "Inbox",
        boot: "Boot",
        manifest: "Manifest",
        partition: "Partition | None",
    ) -> None:
        if partition is None:
            raise RefusedError("this node has no second partition for images")
        self._partition = partition
        self._inbox = inbox
        self._boot = boot
        self._sequence = manifest.sequence
        self._segment = manifest.segments[0]

    async def prepare(self) -> None:
        """RefusedError when the image is larger than the partition."""
        room = self._partition.info()[_SIZE]
        if self._segment.size > room:
            raise RefusedError(
                "no room: " + str(self._segment.size) + " bytes needed, " + str(room) + " free"
            )

    async def sink(self, _index: int) -> BlockSink:
        """Return the partition, with the blocks that it holds of this image."""
        path = self._inbox.place(SEGMENT, self._segment.sha256)
        sink = BlockSink(self._partition, path, self._segment.size)
        if sink.held == sink.size and not await self.complete(0):
            sink.drop()
        return sink

    async def complete(self, _index: int) -> bool:
        """Read the image back; False when its SHA-256 is another."""
        digest = sha256()
        buffer = bytearray(_BLOCK)
        left = self._segment.size
        block = 0
        while left:
            self._partition.readblocks(block, buffer)
            count = min(left, _BLOCK)
            digest.update(memoryview(buffer)[:count])
            left -= count
            block += 1
            await asyncio.sleep(0)
        return digest.digest() == self._segment.sha256

    async def verify(self) -> None:
        """RefusedError when the image is not there as it should be."""
        if not await self.complete(0):
            raise RefusedError("the image is missing or damaged")

    def begin(self) -> None:
        """Let the bootloader start it once, and stay with it if it is confirmed."""
        label = str(self._partition.info()[_LABEL]).encode()
        if not self._boot.begin_trial(_BASE, self._sequence, label):
            raise StorageError("the boot state could not be written")
        try:
            self._partition.set_boot()
        except OSError as error:
            self._boot.abandon_trial()
            raise RefusedError("the chip does not take the image: " + str(error))
