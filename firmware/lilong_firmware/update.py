"""Updates: a signed manifest first, then the segments that it lists, then their trial."""

from lilong_firmware.crash import UPDATED
from lilong_firmware.errors import RefusedError
from lilong_firmware.files import read_file, remove_file
from lilong_firmware.image import ImagePartition
from lilong_firmware.sink import FileSink, file_digest
from lilong_firmware.slot import SlotFolder
from lilong_firmware.transfer import MANIFEST, SEGMENT
from lilong_protocol.errors import ProtocolError
from lilong_protocol.manifest import (
    APPLICATION,
    MANIFEST_LIMIT,
    open_manifest,
    split_public_keys,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lilong_firmware.image import Partition
    from lilong_firmware.sink import Inbox, Sink
    from lilong_protocol.manifest import Manifest
    from loader import Boot

    class Target(Protocol):
        """Where the segments of one manifest go: never where the running application is."""

        async def prepare(self) -> None:
            """Keep what belongs to the manifest and drop the rest; RefusedError without room."""

        async def sink(self, index: int) -> Sink:
            """Return where a segment goes, full when it is there already."""

        async def complete(self, index: int) -> bool:
            """Take a segment that is whole; False when its SHA-256 is another."""

        async def verify(self) -> None:
            """Read every segment again; RefusedError when one is missing or damaged."""

        def begin(self) -> None:
            """Let the next boot try it; StorageError, RefusedError when that cannot be."""


_KEYS_LIMIT = const(65)


class Update:
    """The depot of the kinds MANIFEST and SEGMENT.

    The manifest stays in the inbox and is verified again after a reset. `feed` is called while
    a signature is verified, which takes seconds on the chip. `next_image` gives the partition of
    the chip that an image goes to.
    """

    def __init__(
        self,
        inbox: "Inbox",
        boot: "Boot",
        device_class: str,
        keys_path: str,
        next_image: "Callable[[], Partition | None]",
        feed: "Callable[[], None]",
        opener: "Callable[[bytes, list[bytes], Callable[[], None]], Manifest]" = open_manifest,
    ) -> None:
        self._inbox = inbox
        self._boot = boot
        self._device_class = device_class
        self._keys_path = keys_path
        self._next_image = next_image
        self._feed = feed
        self._opener = opener
        self._manifest: Manifest | None = None
        self._target: Target | None = None
        self._digest = b""
        self._index = 0

    async def offer(self, kind: int, index: int, size: int, digest: bytes) -> "Sink":
        """Return where the manifest or a segment of it goes."""
        if self._boot.busy:
            raise RefusedError("another update is on trial")
        if kind == MANIFEST:
            return await self._offer_manifest(index, size, digest)
        target, manifest = await self._prepared()
        if index >= len(manifest.segments):
            raise RefusedError("the manifest has no segment " + str(index))
        segment = manifest.segments[index]
        if (segment.size, segment.sha256) != (size, digest):
            raise RefusedError("segment " + str(index) + " is another one in the manifest")
        self._index = index
        return await target.sink(index)

    async def complete(self, kind: int) -> bool:
        """Take the manifest, or the segment that was offered."""
        if kind == SEGMENT:
            target, _ = await self._prepared()
            return await target.complete(self._index)
        path = self._inbox.place(MANIFEST, self._digest)
        if await file_digest(path) != self._digest:
            return False
        await self._open(path)
        return True

    async def apply(self, kind: int) -> "int | None":
        """Verify every segment, then let the next boot try them."""
        if kind != SEGMENT:
            raise RefusedError("apply kind " + str(SEGMENT))
        if self._boot.busy:
            raise RefusedError("another update is on trial")
        target, _ = await self._prepared()
        await target.verify()
        target.begin()
        return UPDATED

    async def _offer_manifest(self, index: int, size: int, digest: bytes) -> "Sink":
        if index or size > MANIFEST_LIMIT:
            raise RefusedError("a manifest has index 0 and at most 16384 bytes")
        self._manifest = self._target = None
        self._digest = digest
        sink = FileSink(self._inbox.place(MANIFEST, digest), size)
        if sink.held == size and not await self.complete(MANIFEST):
            sink.drop()
        return sink

    async def _prepared(self) -> "tuple[Target, Manifest]":
        if self._target is None or self._manifest is None:
            path = self._inbox.find(MANIFEST)
            if path is None:
                raise RefusedError("no manifest: offer it first")
            return await self._open(path)
        return self._target, self._manifest

    async def _open(self, path: str) -> "tuple[Target, Manifest]":
        """Verify the manifest and make room for it; a bad one is dropped."""
        try:
            manifest = self._verified(read_file(path, MANIFEST_LIMIT + 1) or b"")
            target = self._target_of(manifest)
            await target.prepare()
        except RefusedError:
            remove_file(path)
            raise
        self._manifest, self._target = manifest, target
        return target, manifest

    def _verified(self, data: bytes) -> "Manifest":
        keys = read_file(self._keys_path, _KEYS_LIMIT)
        if keys is None:
            raise RefusedError(self._keys_path + " is missing: this node takes no updates")
        try:
            manifest = self._opener(data, split_public_keys(keys), self._feed)
        except ProtocolError as problem:
            raise RefusedError(str(problem))
        self._check(manifest)
        return manifest

    def _check(self, manifest: "Manifest") -> None:
        if manifest.device_class != self._device_class:
            raise RefusedError(
                "it is for " + manifest.device_class + ", this is " + self._device_class
            )
        highest, running = self._boot.highest, self._boot.confirmed_sequence
        if manifest.sequence <= highest:
            raise RefusedError(
                "sequence " + str(manifest.sequence) + " is not above " + str(highest)
            )
        if manifest.oldest > running:
            raise RefusedError(
                "it follows sequence " + str(manifest.oldest) + ", this is " + str(running)
            )

    def _target_of(self, manifest: "Manifest") -> "Target":
        if manifest.kind == APPLICATION:
            return SlotFolder(self._inbox, self._boot, manifest)
        return ImagePartition(self._inbox, self._boot, manifest, self._next_image())
