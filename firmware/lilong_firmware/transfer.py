"""OFFER, WRITE and APPLY: objects that a gateway pushes, resumed wherever they were left."""

from lilong_firmware.errors import RefusedError
from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import ranged
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lilong_firmware.restart import Restart
    from lilong_firmware.sink import Sink
    from lilong_protocol.cbor import Item

    class Depot(Protocol):
        """Keeps objects of some kinds. RefusedError says why not."""

        async def offer(self, kind: int, index: int, size: int, digest: bytes) -> "Sink":
            """Return where the object goes; its `held` bytes are there already."""

        async def complete(self, kind: int) -> bool:
            """Take what is whole now; False when it is not what was offered, and is dropped."""

        async def apply(self, kind: int) -> "int | None":
            """Put it to use; return the cause of the restart that this needs, if any."""


CONFIGURATION = 0
MANIFEST = 1
SEGMENT = 2

_KINDS = const(3)
_INDICES = const(65535)
_SIZE_LIMIT = 1 << 24
_DIGEST_BYTES = const(32)


class Transfer:
    """At most one object is under way.

    `open_updates` gives the depot of manifests and segments; it is called when one first comes.
    """

    def __init__(
        self, configurations: "Depot", open_updates: "Callable[[], Depot]", restart: "Restart"
    ) -> None:
        self._configurations = configurations
        self._open_updates = open_updates
        self._updates: Depot | None = None
        self._restart = restart
        self._kind = 0
        self._sink: Sink | None = None

    async def offer(self, body: bytes) -> bytes:
        """Take [kind, index, size, sha256]; return [bytes of exactly that which are held]."""
        fields = _fields(body, 4)
        kind = ranged(fields[0], 0, _KINDS - 1, "kind")
        index = ranged(fields[1], 0, _INDICES, "index")
        size = ranged(fields[2], 1, _SIZE_LIMIT, "size")
        digest = fields[3]
        if not isinstance(digest, bytes) or len(digest) != _DIGEST_BYTES:
            raise DecodeError("a SHA-256 of 32 bytes is missing")
        self._end()
        sink = await self._depot(kind).offer(kind, index, size, digest)
        self._kind, self._sink = kind, sink
        return cbor.encode_sequence((sink.held,))

    async def write(self, body: bytes) -> bytes:
        """Take [offset, bytes]; return [the offset that is wanted next]."""
        fields = _fields(body, 2)
        offset = ranged(fields[0], 0, _SIZE_LIMIT, "offset")
        data = fields[1]
        if not isinstance(data, bytes):
            raise DecodeError("the bytes are missing")
        sink = self._sink
        if sink is None:
            raise RefusedError("nothing is under way: offer it first")
        if offset == sink.held and data:
            if offset + len(data) > sink.size:
                raise RefusedError("longer than it was offered")
            await self._take(sink, data)
        return cbor.encode_sequence((sink.held,))

    async def apply(self, body: bytes) -> bytes:
        """Take [kind]; the node restarts after the answer."""
        kind = ranged(_fields(body, 1)[0], 0, _KINDS - 1, "kind")
        self._end()
        self._restart.wanted = await self._depot(kind).apply(kind)
        return b""

    async def _take(self, sink: "Sink", data: bytes) -> None:
        sink.write(data)
        if sink.held < sink.size:
            return
        sink.close()
        try:
            if not await self._depot(self._kind).complete(self._kind):
                sink.drop()
        except RefusedError:
            self._sink = None
            raise

    def _depot(self, kind: int) -> "Depot":
        if kind == CONFIGURATION:
            return self._configurations
        if self._updates is None:
            self._updates = self._open_updates()
        return self._updates

    def _end(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()


def _fields(body: bytes, count: int) -> "list[Item]":
    fields = cbor.decode_sequence(body)
    if len(fields) < count:
        raise DecodeError("too few fields")
    return fields
