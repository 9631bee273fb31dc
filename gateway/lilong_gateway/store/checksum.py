"""A row that a page of the disk spoilt, in a place that SQLite does not check, is not a row."""

from zlib import crc32

from lilong_gateway.store.records import Slot


def checksum(
    slot: Slot, descriptor: int | None, quality: str, offset_ms: int | None, item: bytes
) -> int:
    """Return the CRC-32 of what goes north of a batch."""
    eui, epoch, stream, seq = slot
    told = f"{epoch} {stream} {seq} {descriptor} {quality} {offset_ms}".encode()
    return crc32(item, crc32(told, crc32(eui)))


def row_sum(*values: object) -> int:
    """Return the CRC-32 of the fields of a small row."""
    return crc32(repr(values).encode())
