"""The requests that push objects to a node, as bodies and payloads (SPEC.md section 5.8)."""

from lilong_protocol import cbor
from lilong_protocol.fields import ranged
from lilong_protocol.request import BODY_LIMIT

CONFIGURATION = 0
MANIFEST = 1
SEGMENT = 2
"""Kinds of objects; APPLY takes CONFIGURATION or SEGMENT."""

_LENGTH_BYTES = 3
"""Before a byte string of 256 to 65535 bytes."""


def offer(kind: int, index: int, size: int, digest: bytes) -> bytes:
    """Return the body of OFFER; digest is the object's SHA-256."""
    return cbor.encode_sequence((kind, index, size, digest))


def write(offset: int, data: bytes) -> bytes:
    """Return the body of WRITE with as much of the object, from offset on, as one frame holds."""
    room = BODY_LIMIT - len(cbor.encode(offset)) - _LENGTH_BYTES
    return cbor.encode_sequence((offset, data[offset : offset + room]))


def apply(kind: int) -> bytes:
    """Return the body of APPLY."""
    return cbor.encode_sequence((kind,))


def parse_offset(payload: bytes, size: int) -> int:
    """Return where the node wants the object, of this size, to go on; DecodeError."""
    fields = cbor.decode_sequence(payload)
    return ranged(fields[0] if fields else None, 0, size, "offset")
