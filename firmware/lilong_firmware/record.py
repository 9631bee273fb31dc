"""One batch as a file of the journal: header, item, CRC-32 of both."""

import struct
from binascii import crc32

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Final

_MAGIC = b"LJ\x01"
_HEADER = "<3sBIIIIBH"
_HEADER_BYTES = const(23)
_CRC_BYTES = const(4)
ITEM_LIMIT = 1024
"""Bytes of the longest item that a record holds."""
OVERHEAD = _HEADER_BYTES + _CRC_BYTES
"""Bytes that a record adds to its item."""

NOWHERE: "Final" = (0, 0, 0)
"""The mark of a batch whose source has no position."""


class Record:
    """An item, its identity, and how far its source had got when it was sealed.

    mark = (source, position, part), see batcher.Mark.
    """

    def __init__(
        self, epoch: int, stream: int, seq: int, item: bytes, mark: "tuple[int, int, int]"
    ) -> None:
        self.epoch = epoch
        self.stream = stream
        self.seq = seq
        self.item = item
        self.mark = mark

    def pack(self) -> bytes:
        """Return the bytes of the file."""
        source, position, part = self.mark
        head = struct.pack(
            _HEADER,
            _MAGIC,
            self.stream,
            self.epoch,
            self.seq,
            source,
            position,
            part,
            len(self.item),
        )
        body = head + self.item
        return body + struct.pack("<I", crc32(body))


def unpack_record(data: bytes) -> "Record | None":
    """Return the record that `data` is, or None when it is torn, damaged or foreign."""
    if len(data) < OVERHEAD:
        return None
    fields = struct.unpack(_HEADER, data[:_HEADER_BYTES])
    magic, stream, epoch, seq, source, position, part, size = fields
    if magic != _MAGIC or len(data) != size + OVERHEAD:
        return None
    if crc32(data[:-_CRC_BYTES]) != struct.unpack("<I", data[-_CRC_BYTES:])[0]:
        return None
    item = data[_HEADER_BYTES:-_CRC_BYTES]
    return Record(epoch, stream, seq, item, (source, position, part))
