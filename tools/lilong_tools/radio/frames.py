"""Frames between a virtual node and its radio, over a socket (the node's side: virtual/radio).

A frame is `<u16 length of the body> <u8 kind> <u8 connection>` and the body, little endian. A
handle is the node's number of an attribute; connections have the lowest number that is free.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_HEAD = struct.Struct("<HBB")
_RECORD = struct.Struct("<BHHB")


class FromNode(IntEnum):
    """What a node says; the body of each."""

    POWER = 1
    """u8: on or off; on means anew."""
    NAME = 2
    """The GAP device name."""
    MTU = 3
    """u16: the ATT MTU it agrees to at most."""
    TABLE = 4
    """Records: u8 sort, u16 handle, u16 flags, u8 length of the UUID, UUID."""
    ADVERTISE = 5
    """u16 interval in 0.625 ms, u8 connectable, u8 length of the data, data, scan response."""
    QUIET = 6
    """Stop advertising."""
    HANG_UP = 7
    """End the connection."""
    NOTIFY = 8
    """u16 handle, value."""
    INDICATE = 9
    """u16 handle, value."""
    WRITTEN = 10
    """u8 ATT error: the answer to a WRITE; answers come in the order of asking."""
    VALUE = 11
    """u8 ATT error, value: the answer to a READ."""
    FAREWELL = 12
    """The program ends and waits for the end of the line."""


class ToNode(IntEnum):
    """What a radio says; the body of each."""

    CONNECTED = 32
    """u8 type of the central's address, address, big endian."""
    DISCONNECTED = 33
    """As of CONNECTED."""
    MTU = 34
    """u16: the ATT MTU agreed on."""
    WRITE = 35
    """u16 handle, value: a request, which the node answers."""
    READ = 36
    """u16 handle."""
    TAKEN = 37
    """u16: how many more notifications and indications the controller has taken."""
    CONFIRMED = 38
    """u16 handle, u8 NimBLE's error of an indication."""
    SUBSCRIBED = 39
    """u16 handle, u8 client configuration."""
    COMMAND = 40
    """u16 handle, value: a write that is not answered."""


class Sort(IntEnum):
    """What a record of a TABLE is."""

    SERVICE = 0
    CHARACTERISTIC = 1
    DESCRIPTOR = 2


@dataclass(frozen=True)
class Record:
    """One attribute of a TABLE; `uuid` is little endian."""

    sort: Sort
    handle: int
    flags: int
    uuid: bytes


def pack(kind: ToNode, connection: int, body: bytes) -> bytes:
    """Build a frame."""
    return _HEAD.pack(len(body), kind, connection) + body


def records(body: bytes) -> Iterator[Record]:
    """Yield the records of a TABLE."""
    start = 0
    while start < len(body):
        sort, handle, flags, size = _RECORD.unpack_from(body, start)
        start += _RECORD.size + size
        yield Record(Sort(sort), handle, flags, body[start - size : start])


class FrameReader:
    """Finds the frames in what comes from a node."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[FromNode, int, bytes]]:
        """Yield the kind, connection and body of each frame that is complete; use it up."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _HEAD.size:
            size, kind, connection = _HEAD.unpack_from(self._buffer, start)
            end = start + _HEAD.size + size
            if end > len(self._buffer):
                break
            body = bytes(self._buffer[start + _HEAD.size : end])
            start = end
            yield FromNode(kind), connection, body
        del self._buffer[:start]
