"""Secure frames on a BLE link, cut into pieces that fit its values (SPEC section 15.2).

A value holds whole pieces, one after the other; a piece says how long it is. So values that were
joined on the way come apart again, one that was cut short is noticed, and several small frames
share a value.
"""

from lilong_protocol.frame import MAX_FRAME_BYTES
from lilong_protocol.portable import const

OVERHEAD = 2
"""Bytes in front of each piece."""

_FIRST = const(0x80)
_LAST = const(0x40)
_NUMBERS = const(64)
_LONGEST = const(255)
_MOST_PARTS = const(8)


class PieceWriter:
    """Cuts the frames of one connection in one direction; a new connection has a new writer."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._done = 0
        self._number = 0
        self.pending = 0
        """Bytes of frames that are still to be taken."""

    @property
    def waiting(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._frames)

    def put(self, frame: bytes) -> None:
        """Let a frame follow those that wait."""
        self._frames.append(frame)
        self.pending += len(frame)

    def take(self, size: int) -> bytes:
        """Return the next value, at most `size` bytes and as full as the frames allow.

        It counts as sent: who cannot send it keeps it, and sends the same value later.
        """
        parts = []
        room = size
        while self._frames and room > OVERHEAD:
            head, data = self._next(min(room - OVERHEAD, _LONGEST))
            parts.append(head)
            parts.append(data)
            room -= OVERHEAD + len(data)
        return b"".join(parts)

    def _next(self, most: int) -> "tuple[bytes, bytes]":
        frame, start = self._frames[0], self._done
        data = frame[start : start + most]
        mark = self._number | (_FIRST if start == 0 else 0)
        self._done += len(data)
        if self._done == len(frame):
            mark |= _LAST
            self._frames.pop(0)
            self._done = 0
        self._number = (self._number + 1) % _NUMBERS
        self.pending -= len(data)
        return bytes((mark, len(data))), data


class PieceReader:
    """Puts the frames of one connection in one direction together again.

    Holds at most one frame of `limit` bytes, and a few objects, whatever the peer sends.
    """

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.damaged = 0
        """Gaps in the numbers, values cut short, and pieces that belong to no frame."""
        self.oversized = 0
        self._limit = limit
        self._number = 0
        self._parts: list[bytes] | None = None
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> "list[bytes]":
        """Take a value, or several joined ones; return the frames that they complete."""
        frames: list[bytes] = []
        at = 0
        while at < len(data):
            end = at + OVERHEAD + (data[at + 1] if at + 1 < len(data) else 0)
            if end > len(data) or end == at + OVERHEAD:
                # Nobody knows where the next piece begins: the value ends here.
                self._spoil()
                break
            self._take(data[at], bytes(data[at + OVERHEAD : end]), frames)
            at = end
        return frames

    def _take(self, mark: int, part: bytes, frames: "list[bytes]") -> None:
        number = mark % _NUMBERS
        if number != self._number:
            self._spoil()
        self._number = (number + 1) % _NUMBERS
        if mark & _FIRST:
            if self._parts is not None:
                self._spoil()
            self._parts, self._size, self._skipping = [], 0, False
        elif self._parts is None and not self._skipping:
            self._spoil()
        if self._parts is not None:
            self._extend(self._parts, part)
        if mark & _LAST:
            self._end(frames)

    def _extend(self, parts: "list[bytes]", part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self.oversized += 1
            self._parts, self._skipping = None, True
            return
        parts.append(part)
        if len(parts) > _MOST_PARTS:
            # Pieces of one byte would cost a node 32 times their size.
            self._parts = [b"".join(parts)]

    def _end(self, frames: "list[bytes]") -> None:
        if self._parts is not None:
            frames.append(b"".join(self._parts))
        self._parts, self._skipping = None, False

    def _spoil(self) -> None:
        """Give up the frame that has begun, and the rest of it."""
        self.damaged += 1
        self._parts, self._skipping = None, True
