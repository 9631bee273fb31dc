"""A row that a page of the disk spoilt, in a place that SQLite does not check, is not a batch."""

from zlib import crc32

from lilong_gateway.store.records import Slot


def checksum(slot: Slot, quality: str, offset_ms: int | None, item: bytes) -> int:
    """Return the CRC-32 of what goes north of a batch."""
    return crc32(
        item, crc32(b"%d %d %d %b" % (*slot[1:], slot.eui), crc32(_dated(quality, offset_ms)))
    )


def _dated(quality: str, offset_ms: int | None) -> bytes:
    return f"{quality} {offset_ms}".encode()
