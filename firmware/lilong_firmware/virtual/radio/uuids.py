"""The UUID of MicroPython's bluetooth."""

import struct
from binascii import unhexlify

from micropython import const

_DIGITS = const(32)


class UUID(bytes):
    """A UUID of 16, 32 or 128 bits: a number, its little-endian bytes, or the usual text.

    As a buffer it is little endian. ValueError for what is none.
    """

    def __init__(self, value: "int | str | bytes") -> None:
        super().__init__(_little_endian(value))

    def __repr__(self) -> str:
        text = "".join(["%02x" % byte for byte in reversed(bytes(self))])
        if len(text) < _DIGITS:
            return "UUID(0x" + text + ")"
        parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
        return "UUID('" + "-".join(parts) + "')"

    __str__ = __repr__


def _little_endian(value: "int | str | bytes") -> bytes:
    if isinstance(value, int):
        if value > 0xFFFF:
            raise ValueError("invalid UUID")
        return struct.pack("<H", value & 0xFFFF)
    if len(value) in {2, 4, 16}:
        return bytes(value)
    digits = (value if isinstance(value, str) else str(value, "ascii")).replace("-", "")
    if len(digits) != _DIGITS:
        raise ValueError("UUID too " + ("short" if len(digits) < _DIGITS else "long"))
    return bytes(reversed(unhexlify(digits)))
