"""Writes R1 columns; columns.py and rice.py say their layout, and read them."""

from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COUNT = 1024
"""Values in one column."""

_DELTA = const(0x80)
_ALL_ZERO = const(0x40)
_K = const(0x0F)
_BASE_BITS = const(63)
_TOO_WIDE = const(0x7FFFFF)
"""The cost in bits of a symbol above 32 bits: more than any column has."""

_MAX_K = const(14)
_ESCAPE = const(12)
_ESCAPE_BITS = const(17)
_WORD_BITS = const(32)


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
    bits, k = _cheapest(symbols, _TOO_WIDE)
    median = sorted(values)[count >> 1]
    offsets = [_zigzag(value - median) for value in values]
    offset_bits, offset_k = _cheapest(offsets, bits)
    if offset_bits < bits:
        return _packed(offset_k, median, offsets)
    return None if bits == _TOO_WIDE else _packed(_DELTA | k, values[0], symbols)


def _packed(header: int, base: int, symbols: "Sequence[int]") -> "bytes | None":
    if not -(1 << _BASE_BITS) <= base < 1 << _BASE_BITS:
        return None
    out = bytearray((header,))
    _put_base(out, base)
    _append_symbols(out, symbols, header & _K)
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


def _cheapest(symbols: "list[int]", bound: int) -> "tuple[int, int]":
    """Return (bits, k) at the best k; bits is _TOO_WIDE if a symbol is too wide.

    Median and trimmed mean enclose the best k or lie beside it; it is sought no further when
    `bound` bits are clearly out of reach.
    """
    ordered = sorted(symbols)
    count = len(ordered)
    if ordered[-1] >> _WORD_BITS:
        return _TOO_WIDE, 0
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


def _append_symbols(out: bytearray, symbols: "Sequence[int]", k: int) -> None:
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
