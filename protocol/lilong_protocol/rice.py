"""Rice codes of zigzag symbols, most significant bit first, zero bits in the last byte.

A symbol u with parameter k: q = u >> k ones, a zero, the k low bits of u. If q >= 12: twelve
ones, five bits w - 1, then u in w bits, w = 1..32.

Source: R. F. Rice, JPL Publication 79-22, 1979; the escape is ours.
"""

from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import ROOMY, const

if ROOMY:
    from lilong_protocol.rice_windows import read_windows

_ESCAPE_BITS = const(17)
_WINDOW = const(28)
_PAD = const(32)
_FEW_BITS = const(8)
"""From this k on few symbols end in one window."""
_WINDOWFUL = const(12)
"""Bits of a window: at the end, one could hold more residuals than there are."""


def residuals(data: bytes, k: int, count: int) -> "list[int]":
    """Return the `count` residuals that `data` holds. DecodeError unless it is exactly that."""
    if len(data) > count * 7:
        raise DecodeError("column: longer than its count allows")
    bits = int.from_bytes(data + b"\0\0\0\0", "big")
    values: list[int] = []
    try:
        if ROOMY and k < _FEW_BITS:
            left = _read_many(bits, len(data) * 8, k, count, values)
        else:
            left = _read(bits, len(data) * 8, k, count, values)
    except ValueError:  # of a shift by less than nothing
        raise DecodeError("column: bits end too early")
    if not 0 <= left < 8 or bits >> _PAD & (1 << left) - 1:
        raise DecodeError("column: length or padding is wrong")
    return values


def _read_many(bits: int, size: int, k: int, count: int, values: "list[int]") -> int:
    """Do as _read, most of it by the windowful."""
    last = _WINDOWFUL // (k + 1)
    missing = count
    while missing > last:
        size = read_windows(bits, size + _PAD, k, missing, values) - _PAD
        missing = count - len(values)
        if missing > last:
            size = _read(bits, size, k, 1, values)
            missing -= 1
    return _read(bits, size, k, missing, values)


def _read(bits: int, size: int, k: int, count: int, values: "list[int]") -> int:
    """Append `count` residuals from the `size` bits above the pad; return how many bits are left.

    One big integer, seen through a window of 28 bits: the quickest way on CPython.
    """
    at = size + _PAD - _WINDOW
    mask = (1 << k) - 1
    one = 1 << k
    used = k + 1
    shift = _WINDOW - used
    append = values.append
    for _ in range(count):
        symbol = bits >> at & 0xFFFFFFF
        if symbol < 0x8000000:
            symbol >>= shift
            at -= used
        elif symbol < 0xC000000:
            symbol = symbol >> shift - 1 & mask | one
            at -= used + 1
        elif symbol < 0xFFF0000:
            quotient = 2
            while symbol & 0x8000000 >> quotient:
                quotient += 1
            symbol = symbol >> shift - quotient & mask | quotient << k
            at -= used + quotient
        else:
            width = (symbol >> 11 & 31) + 1
            at -= _ESCAPE_BITS + width
            symbol = bits >> at + _WINDOW & (1 << width) - 1
        append(~(symbol >> 1) if symbol & 1 else symbol >> 1)
    return at - (_PAD - _WINDOW)
