"""What a sector of the journal holds: a header, then batches and positions; little endian.

    header      magic, sectors of the area, number of this sector, epoch, positions, CRC-32
    record      magic, kind, payload bytes, seq, CRC-32, payload, padding to 4 bytes
    kind        stream | generation << 2 | COPIED | MARKED; of a record of positions 0

The CRC-32 of a record starts from the epoch, so that none of another epoch is taken for one.
"""

import struct
from binascii import crc32

from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Final

_MAGIC = const(b"LJ2\n")
_HEADER = const("<4sIII")
_HEADER_BYTES = const(16)
_STREAM = const("<IIIIB")
_STREAM_BYTES = const(17)
_CRC_BYTES = const(4)
_RECORD = const("<BBHI")
_RECORD_BYTES = const(8)
_MARK = const("<IIB")

VOID = b"\0\0\0\0"
"""Takes the place of the magic when nothing of a sector counts any more."""
POSITIONS_BYTES = STREAMS * _STREAM_BYTES
HEADER_BYTES = _HEADER_BYTES + POSITIONS_BYTES + _CRC_BYTES
HEAD_BYTES = _RECORD_BYTES + _CRC_BYTES
"""Bytes of a record in front of its payload."""
MARK_BYTES = 9
ITEM_LIMIT = 1024
"""Bytes of the longest item that a record holds."""
RECORD_LIMIT = HEAD_BYTES + MARK_BYTES + ITEM_LIMIT + 3
"""Bytes of the longest record, padding included."""
BATCH = 0xB5
"""First byte of a batch."""
POSITIONS = 0x96
"""First byte of a record of positions."""
COPIED = 0x20
MARKED = 0x40
LAST_GENERATION = 7

NOWHERE: "Final" = (0, 0, 0)
"""The mark of a batch whose source has no position, see batcher.Mark."""


class Positions:
    """Of each stream: the lowest number not acknowledged, the next one, the newest mark."""

    def __init__(self) -> None:
        self.first = [0] * STREAMS
        self.next = [0] * STREAMS
        self.marks = [NOWHERE] * STREAMS

    def pack(self) -> bytes:
        """Return POSITIONS_BYTES bytes."""
        packed = bytearray(POSITIONS_BYTES)
        for stream in range(STREAMS):
            offset = stream * _STREAM_BYTES
            source, position, part = self.marks[stream]
            numbers = (self.first[stream], self.next[stream])
            struct.pack_into(_STREAM, packed, offset, *numbers, source, position, part)
        return bytes(packed)

    def merge(self, packed: "bytes | memoryview") -> None:
        """Take over what `packed` knows beyond this; numbers never go back."""
        for stream in range(STREAMS):
            fields = struct.unpack_from(_STREAM, packed, stream * _STREAM_BYTES)
            self.first[stream] = max(self.first[stream], fields[0])
            if fields[1] >= self.next[stream]:
                self.next[stream] = fields[1]
                self.marks[stream] = fields[2:]

    def used(self, stream: int, seq: int, mark: "tuple[int, int, int]") -> None:
        """Take note of a batch."""
        if seq >= self.next[stream]:
            self.next[stream] = seq + 1
            self.marks[stream] = mark


def pack_header(sectors: int, number: int, epoch: int, positions: Positions) -> bytes:
    """Return the first bytes of a sector."""
    body = struct.pack(_HEADER, _MAGIC, sectors, number, epoch) + positions.pack()
    return body + struct.pack("<I", crc32(body))


def parse_header(data: memoryview) -> "tuple[int, int, int, memoryview] | None":
    """Return (sectors, number, epoch, packed positions), None when the header is not sound."""
    body = data[:-_CRC_BYTES]
    if data[:4] != _MAGIC or crc32(body) != struct.unpack_from("<I", data, len(body))[0]:
        return None
    _, sectors, number, epoch = struct.unpack_from(_HEADER, data)
    return sectors, number, epoch, body[_HEADER_BYTES:]


def record_bytes(payload_bytes: int) -> int:
    """Return what a record takes of a sector."""
    return (HEAD_BYTES + payload_bytes + 3) & ~3


def seal(buffer: bytearray, magic: int, kind: int, size: int, seq: int, epoch: int) -> int:
    """Complete the record whose payload lies in `buffer` behind the head; return its bytes."""
    struct.pack_into(_RECORD, buffer, 0, magic, kind, size, seq)
    struct.pack_into("<I", buffer, _RECORD_BYTES, _checksum(buffer, size, epoch))
    end = record_bytes(size)
    for index in range(HEAD_BYTES + size, end):
        buffer[index] = 0xFF
    return end


def parse_head(data: memoryview) -> "tuple[int, int, int, int] | None":
    """Return (magic, kind, payload bytes, seq) when this can be the head of a record."""
    magic, kind, size, seq = struct.unpack_from(_RECORD, data)
    if magic == BATCH:
        low = MARK_BYTES if kind & MARKED else 0
        plausible = kind < MARKED << 1 and low <= size <= low + ITEM_LIMIT
    else:
        plausible = magic == POSITIONS and kind == 0 and size == POSITIONS_BYTES
    return (magic, kind, size, seq) if plausible else None


def is_whole(buffer: bytearray, size: int, epoch: int) -> bool:
    """Whether the record at the begin of `buffer` is what was written."""
    return bool(
        struct.unpack_from("<I", buffer, _RECORD_BYTES)[0] == _checksum(buffer, size, epoch)
    )


def pack_mark(buffer: bytearray, mark: "tuple[int, int, int]") -> None:
    """Write a mark as the begin of the payload."""
    struct.pack_into(_MARK, buffer, HEAD_BYTES, *mark)


def parse_mark(buffer: bytearray) -> "tuple[int, int, int]":
    """Return the mark at the begin of the payload."""
    source, position, part = struct.unpack_from(_MARK, buffer, HEAD_BYTES)
    return source, position, part


def _checksum(buffer: bytearray, size: int, epoch: int) -> int:
    view = memoryview(buffer)
    head = crc32(view[:_RECORD_BYTES], epoch)
    return crc32(view[HEAD_BYTES : HEAD_BYTES + size], head)
