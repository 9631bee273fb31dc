"""Secure frames on a serial line: 00? COBS( frame | CRC-32 of it, little endian ) 00.

Device logs may share the line: they hold no 00, fail the CRC and are kept as text.
"""

from binascii import crc32

from lilong_protocol import cobs
from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.portable import const

FRAME_LIMIT = 1024
"""Bytes of one secure frame."""

_CRC = const(4)
_TEXT_KEPT = const(4096)
_PRINTABLE = const(0x20)
_DELETE = const(0x7F)


def wrap(frame: bytes, *, leading: bool = False) -> bytes:
    """Return the bytes that carry `frame`; `leading` puts a 00 first, after a silent line.

    RangeError if the frame is empty or longer than FRAME_LIMIT.
    """
    if not 0 < len(frame) <= FRAME_LIMIT:
        raise RangeError(f"serial: a frame holds 1 to {FRAME_LIMIT} bytes, not {len(frame)}")
    body = cobs.encode(frame + crc32(frame).to_bytes(_CRC, "little"))
    return (b"\0" + body if leading else body) + b"\0"


class FrameReader:
    """Finds frames in the bytes of a serial line, however they are split or damaged.

    Holds at most one frame and 4096 bytes of text, whatever the peer sends.
    """

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self.damaged = 0
        """Pieces between two 00 that were neither a frame nor text."""
        self.oversized = 0
        """Frames, or stretches without 00, that were longer than the limit."""
        self.text = 0
        """Bytes of foreign text."""
        self._limit = limit
        self._piece_limit = limit + _CRC + 1 + (limit + _CRC) // 254
        self._pending = b""
        self._skipping = False
        self._kept = b""

    def feed(self, data: bytes) -> "list[bytes]":
        """Take the next bytes of the line; return the frames that they complete."""
        frames: list[bytes] = []
        pieces = bytes(data).split(b"\0")
        for index in range(len(pieces) - 1):
            self._extend(pieces[index])
            self._finish(frames)
        self._extend(pieces[-1])
        return frames

    def flush(self) -> None:
        """Give up the piece that has begun; for a line that fell silent, to see its text."""
        self._finish([])

    def take_text(self) -> bytes:
        """Return the text since the last call, the newest 4096 bytes of it."""
        kept = self._kept
        self._kept = b""
        return kept

    def _extend(self, part: bytes) -> None:
        if self._skipping or not part:
            return
        piece = self._pending + part if self._pending else part
        if len(piece) > self._piece_limit:
            piece = self._without_lines(piece)
            if len(piece) > self._piece_limit:
                self.oversized += 1
                self._skipping = True
                piece = b""
        self._pending = piece

    def _finish(self, frames: "list[bytes]") -> None:
        piece = self._pending
        self._pending = b""
        self._skipping = False
        if not piece:
            return
        frame = self._opened(piece)
        if frame is None:
            # A log line may stand right before a frame, with no 00 between them.
            piece = self._without_lines(piece)
            frame = self._opened(piece)
        if frame is None:
            self._count(piece)
        elif len(frame) > self._limit:
            self.oversized += 1
        else:
            frames.append(frame)

    def _opened(self, piece: bytes) -> "bytes | None":
        try:
            body = cobs.decode(piece)
        except DecodeError:
            return None
        frame = body[:-_CRC]
        if frame and crc32(frame).to_bytes(_CRC, "little") == body[-_CRC:]:
            return frame
        return None

    def _without_lines(self, piece: bytes) -> bytes:
        """Keep the lines of text that `piece` begins with; return the rest."""
        end = piece.rfind(b"\n", 0, _text_size(piece)) + 1
        self._keep(piece[:end])
        return piece[end:]

    def _count(self, piece: bytes) -> None:
        if _text_size(piece) == len(piece):
            self._keep(piece)
        else:
            self.damaged += 1

    def _keep(self, text: bytes) -> None:
        self.text += len(text)
        self._kept = (self._kept + text)[-_TEXT_KEPT:]


def _text_size(piece: bytes) -> int:
    """Return how many bytes at the start are printable ASCII, blanks or escapes."""
    for index, byte in enumerate(piece):
        if (byte < _PRINTABLE and byte not in b"\t\n\r\x1b") or byte >= _DELETE:
            return index
    return len(piece)
