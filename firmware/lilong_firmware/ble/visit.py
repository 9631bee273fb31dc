"""One connection of a gateway, or of whoever it is."""

from lilong_protocol.node_session import OPEN
from lilong_protocol.pieces import PieceReader, PieceWriter
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_protocol.node_session import NodeSession

_LEAST_MTU = const(23)
_MOST_MTU = const(247)
_ATT_BYTES = const(3)
_STRANGE_MS = const(10000)
_SILENT_MS = const(30000)


class Visit:
    """From when a central connects until it is gone."""

    def __init__(self, handle: int, now_ms: int) -> None:
        self.handle = handle
        self.greeted = False
        """Whether the gateway has written something: before that it may not listen yet."""
        self.dismissed_ms: int | None = None
        """Since when the connection is to end."""
        self.moved_ms = now_ms
        """When a value left, or it was noted that none does."""
        self.retry_ms = now_ms
        """Not before that a value may find room."""
        self._begun_ms = self._open_ms = now_ms
        self._size: int = _LEAST_MTU - _ATT_BYTES
        self._value = b""
        self._writer = PieceWriter()
        self._reader = PieceReader()

    @property
    def damaged(self) -> int:
        """Pieces that were no part of a whole frame."""
        return self._reader.damaged + self._reader.oversized

    def resize(self, mtu: int) -> None:
        """Take note of the ATT_MTU."""
        self._size = max(_LEAST_MTU, min(mtu, _MOST_MTU)) - _ATT_BYTES

    def take(self, data: bytes) -> "list[bytes]":
        """Return the frames that are complete with these bytes."""
        self.greeted = True
        return self._reader.feed(data)

    def value(self, session: "NodeSession", now_ms: int) -> bytes:
        """Return what is to leave next, the same until `sent`; empty when nothing is.

        The session is asked for no more than fills it, so that what is urgent has little before
        it.
        """
        if not self._value:
            while self._writer.pending < self._size:
                frame = session.poll(now_ms)
                if frame is None:
                    break
                self._writer.put(frame)
            self._value = self._writer.take(self._size)
        return self._value

    def sent(self, now_ms: int) -> int:
        """The value has left; return its size."""
        size = len(self._value)
        self._value = b""
        self.moved_ms = now_ms
        return size

    def overstays(self, session: "NodeSession", now_ms: int) -> bool:
        """Whether this is nobody whom the node knows: no session opens, or nothing is proven."""
        if session.state == OPEN:
            self._open_ms = now_ms
        strange = now_ms - self._open_ms >= _STRANGE_MS
        return strange or now_ms - max(self._begun_ms, session.heard_ms) >= _SILENT_MS
