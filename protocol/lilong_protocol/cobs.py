"""Consistent Overhead Byte Stuffing: any bytes as bytes without 00.

Source: S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import const

_RUN = const(254)
_FULL = const(255)


def encode(data: bytes) -> bytes:
    """Return `data` without 00 in it; longer by at most 1 + len(data) // 254 bytes."""
    out = bytearray()
    at = size = 0
    for part in bytes(data).split(b"\0"):
        at = 0
        size = len(part)
        while size - at >= _RUN:
            out.append(_FULL)
            out.extend(part[at : at + _RUN])
            at += _RUN
        out.append(size - at + 1)
        out.extend(part[at:])
    if size and at == size:
        return bytes(out[:-1])  # a full last run needs no empty one after it
    return bytes(out)


def decode(data: bytes) -> bytes:
    """Return what `encode` was given. DecodeError if `data` holds 00 or ends inside a run."""
    if not data or 0 in data:
        raise DecodeError("cobs: empty, or a 00 inside")
    out = bytearray()
    at = 0
    size = len(data)
    while at < size:
        code = data[at]
        end = at + code
        if end > size:
            raise DecodeError(f"cobs: the run at {at} is longer than the data")
        out.extend(data[at + 1 : end])
        if code != _FULL and end < size:
            out.append(0)
        at = end
    return bytes(out)
