"""Rice codes by the windowful, for an interpreter with memory to spare: the same as rice.py.

A window of 12 bits tells at once which symbols end in it. The 4096 answers for one k take some
12 ms to work out and half a megabyte to keep.
"""

from functools import lru_cache

from lilong_protocol.portable import const

_WINDOW = const(12)
_MASK = const(0xFFF)
_PARAMETERS = const(16)

_Window = tuple[tuple[int, ...], int]


def read_windows(bits: int, at: int, k: int, count: int, values: list[int]) -> int:
    """Append up to `count` residuals from the bits below `at`; return how many bits are left.

    Stops before a symbol that does not end in its window, and where one would give too many.
    """
    windows = _windows(k)
    at -= _WINDOW
    room = count
    while at >= 0:
        found, used = windows[bits >> at & _MASK]
        room -= len(found)
        if room < 0 or not used:
            break
        values += found
        at -= used
    return at + _WINDOW


@lru_cache(maxsize=_PARAMETERS)
def _windows(k: int) -> tuple[_Window, ...]:
    return tuple(_symbols(f"{window:012b}", k) for window in range(1 << _WINDOW))


def _symbols(window: str, k: int) -> _Window:
    """Return the residuals that end in a window of bits, and how many bits these take."""
    found: list[int] = []
    used = 0
    while True:
        zero = window.find("0", used)
        end = zero + 1 + k
        if zero < 0 or end > _WINDOW:
            return tuple(found), used
        symbol = zero - used << k | int(window[zero:end], 2)
        found.append(~(symbol >> 1) if symbol & 1 else symbol >> 1)
        used = end
