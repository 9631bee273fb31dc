"""The eight clear bytes in front of every secure frame (SPEC section "Secure frame")."""

import struct

from lilong_protocol.errors import DecodeError

VERSION = 1
HEADER_BYTES = 8
TAG_BYTES = 8
MAX_FRAME_BYTES = 1024

HELLO = 0
WELCOME = 1
DATA = 2
ACK = 3
TIME = 5
REQUEST = 6
RESPONSE = 7
RESET = 10
DESCRIBE = 11

ALARM_STREAM = 0
CONTROL_STREAM = 1
DATA_STREAM = 2
BULK_STREAM = 3
STREAMS = 4


class Header:
    """Type, stream, short id and counter of one frame, and the version that wrote it."""

    def __init__(self, kind: int, counter: int = 0, stream: int = 0, short_id: int = 0) -> None:
        self.kind = kind
        self.counter = counter
        self.stream = stream
        self.short_id = short_id

    def pack(self) -> bytes:
        """Return the eight bytes."""
        return struct.pack(
            ">BBHI", VERSION << 5 | self.kind, self.stream << 6, self.short_id, self.counter
        )


def parse_header(frame: bytes) -> Header:
    """Return the header of a frame; DecodeError for a wrong length or version."""
    if not HEADER_BYTES <= len(frame) <= MAX_FRAME_BYTES:
        raise DecodeError("a frame of " + str(len(frame)) + " bytes")
    first, second, short_id, counter = struct.unpack(">BBHI", frame[:HEADER_BYTES])
    if first >> 5 != VERSION:
        raise DecodeError("version " + str(first >> 5))
    return Header(first & 0x1F, counter, second >> 6, short_id)
