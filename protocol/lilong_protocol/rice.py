"""Rice codes of zigzag symbols, most significant bit first, zero bits in the last byte.

A symbol u with parameter k: q = u >> k ones, a zero, the k low bits of u. If q >= 12: twelve
ones, five bits w - 1, then u in w bits, w = 1..32.

Source: R. F. Rice, JPL Publication 79-22, 1979; the escape is ours.
"""

from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence

TOO_WIDE = 0x7FFFFF
"""The cost in bits of a symbol above 32 bits: more than any column has."""

_MAX_K = const(14)
_ESCAPE = const(12)
_ESCAPE_BITS = const(17)
_WORD_BITS = const(32)
_WINDOW = const(28)
_PAD = const(32)


def cheapest(symbols: "list[int]", bound: int) -> "tuple[int, int]":
    """Return (bits, k) at the best k; bits is TOO_WIDE if a symbol is too wide.

    Median and trimmed mean enclose the best k or lie beside it; it is sought no further when
    `bound` bits are clearly out of reach.
    """
    ordered = sorted(symbols)
    count = len(ordered)
    if ordered[-1] >> _WORD_BITS:
        return TOO_WIDE, 0
    kept = count - (count >> 4)
    low = _k_near(ordered[count >> 1])
    high = _k_near(sum(ordered[:kept]) * 7 // (kept * 10))
    if low > high:
        low, high = high, low
    best = min([(_bits(symbols, k), k) for k in range(low, high + 1)])
    if best[0] > bound + (bound >> 3):
        return best
    if best[1] == high:
        best = _descended(symbols, best, 1)
    if best[1] == low:
        best = _descended(symbols, best, -1)
    return best


def append_symbols(out: bytearray, symbols: "Sequence[int]", k: int) -> None:
    """Append the bits. At most 24 of them are held: a small int on every MicroPython."""
    held = word = 0
    for symbol in symbols:
        quotient = symbol >> k
        if quotient < _ESCAPE:
            word = (word << quotient + 1) | (2 << quotient) - 2
            held += quotient + 1
            rest = k
        else:
            rest = _width(symbol)
            word = word << _ESCAPE_BITS | 0x1FFE0 | rest - 1
            held += _ESCAPE_BITS
        while True:
            while held > 7:
                held -= 8
                out.append(word >> held & 0xFF)
            word &= 0x7F
            if rest == 0:
                break
            size = min(16, rest)
            rest -= size
            word = word << size | symbol >> rest & (1 << size) - 1
            held += size
    if held:
        out.append(word << 8 - held & 0xFF)


def residuals(data: bytes, k: int, count: int) -> "list[int]":
    """Return the `count` residuals that `data` holds. DecodeError unless it is exactly that."""
    if len(data) > count * 7:
        raise DecodeError("column: longer than its count allows")
    bits = int.from_bytes(data + b"\0\0\0\0", "big")
    values: list[int] = []
    try:
        left = _read(bits, len(data) * 8, k, count, values)
    except ValueError:  # of a shift by less than nothing
        raise DecodeError("column: bits end too early")
    if not 0 <= left < 8 or bits >> _PAD & (1 << left) - 1:
        raise DecodeError("column: length or padding is wrong")
    return values


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


def _descended(symbols: "list[int]", best: "tuple[int, int]", step: int) -> "tuple[int, int]":
    """Return the best (bits, k) on the way from best's k, for as long as it gets cheaper."""
    k = best[1] + step
    while 0 <= k <= _MAX_K:
        bits = _bits(symbols, k)
        if bits >= best[0]:
            break
        best = (bits, k)
        k += step
    return best


def _k_near(level: int) -> int:
    k = 0
    while k < _MAX_K and (2 << k) <= level + 1:
        k += 1
    return k


def _bits(symbols: "list[int]", k: int) -> int:
    """Return how many bits `symbols` take with this k."""
    total = len(symbols) * (k + 1)
    for symbol in symbols:
        quotient = symbol >> k
        if quotient < _ESCAPE:
            total += quotient
        else:
            total += _ESCAPE_BITS + _width(symbol) - k - 1
    return total


def _width(symbol: int) -> int:
    width = 1
    while symbol >> width:
        width += 1
    return width
