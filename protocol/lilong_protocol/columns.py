"""R1: a column of integers as Rice-coded residuals in a byte string.

Layout: header | base | bits. The header holds the order in bit 7 (1: each residual is the
difference from the value before; 0: from the base), "all residuals are zero, no bits follow"
in bit 6, two reserved zeros and k in the low four. The base is the first value (order 1) or any
integer (order 0), as zigzag LEB128. The bits are the residuals, zigzag, as in rice.py.
"""

from lilong_protocol import rice
from lilong_protocol.column_encoder import MAX_COUNT, encode_column
from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import const
from lilong_protocol.sums import running_sums

__all__ = ("MAX_COUNT", "decode_column", "encode_column")

_DELTA = const(0x80)
_ALL_ZERO = const(0x40)
_RESERVED = const(0x30)
_K = const(0x0F)
_BASE_BITS = const(63)


def decode_column(data: bytes, count: int) -> "list[int]":
    """Return the `count` values of a column. DecodeError unless `data` is exactly that."""
    if not 0 < count <= MAX_COUNT or len(data) < 2 or data[0] & _RESERVED:
        raise DecodeError("column: wrong count or header")
    header = data[0]
    base, at = _base(data)
    if header & _ALL_ZERO:
        if at != len(data):
            raise DecodeError("column: bytes after a constant")
        return [base] * count
    if not header & _DELTA:
        return [base + step for step in rice.residuals(data[at:], header & _K, count)]
    return running_sums(base, rice.residuals(data[at:], header & _K, count - 1))


def _base(data: bytes) -> "tuple[int, int]":
    """Return the base and where the bits begin."""
    rest = shift = 0
    at = 1
    while at < len(data):
        byte = data[at]
        at += 1
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            if rest >> 64:
                break
            return rest >> 1 if not rest & 1 else ~(rest >> 1), at
        shift += 7
        if shift > _BASE_BITS:
            break
    raise DecodeError("column: base truncated or outside int64")
