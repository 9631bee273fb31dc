"""R1: a column of integers as Rice-coded residuals in a byte string.

Layout: header | base | bits. The header holds the order in bit 7 (1: each residual is the
difference from the value before; 0: from the base), "all residuals are zero, no bits follow"
in bit 6, two reserved zeros and k in the low four. The base is the first value (order 1) or any
integer (order 0), as zigzag LEB128. The bits are the residuals, zigzag, as in rice.py.
"""

from lilong_protocol import rice
from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COUNT = 1024
"""Values in one column."""

_DELTA = const(0x80)
_ALL_ZERO = const(0x40)
_RESERVED = const(0x30)
_K = const(0x0F)
_BASE_BITS = const(63)


def encode_column(values: "Sequence[int]") -> "bytes | None":
    """Return the R1 bytes; None if a residual or the base is too wide for R1.

    RangeError unless there are 1 to MAX_COUNT values.
    """
    count = len(values)
    if not 0 < count <= MAX_COUNT:
        raise RangeError(f"column: 1 to {MAX_COUNT} values, not {count}")
    symbols = _steps(values)
    if not any(symbols):
        return _packed(_DELTA | _ALL_ZERO, values[0], ())
    bits, k = rice.cheapest(symbols, rice.TOO_WIDE)
    median = sorted(values)[count >> 1]
    offsets = [_zigzag(value - median) for value in values]
    offset_bits, offset_k = rice.cheapest(offsets, bits)
    if offset_bits < bits:
        return _packed(offset_k, median, offsets)
    return None if bits == rice.TOO_WIDE else _packed(_DELTA | k, values[0], symbols)


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
    values = [base]
    for step in rice.residuals(data[at:], header & _K, count - 1):
        base += step
        values.append(base)
    return values


def _packed(header: int, base: int, symbols: "Sequence[int]") -> "bytes | None":
    if not -(1 << _BASE_BITS) <= base < 1 << _BASE_BITS:
        return None
    out = bytearray((header,))
    _put_base(out, base)
    rice.append_symbols(out, symbols, header & _K)
    return bytes(out)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)


def _steps(values: "Sequence[int]") -> "list[int]":
    """Return the zigzag form of each difference from the value before."""
    symbols = []
    last = values[0]
    for value in values:
        step = value - last
        symbols.append(step << 1 if step >= 0 else ~(step << 1))
        last = value
    return symbols[1:]


def _put_base(out: bytearray, base: int) -> None:
    rest = _zigzag(base)
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)


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
