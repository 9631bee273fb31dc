"""The numbers of advertisements: under one key none is used twice, and none goes back."""

from lilong_firmware.errors import StorageError
from lilong_firmware.files import read_file, replace_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

_AHEAD = const(1024)
_DIGITS = const(16)
_END = const(0xFFFFFFFF)
_LATEST_S = const(0xC0000000)
_RANDOM_SHIFT = const(3)


class Counter:
    """Durable in the file at `path`, which says below what all may be used up.

    A number is at least the seconds since 2000, once the node knows the time. Fewer than one a
    second are used, so that a node that has lost its flash is soon beyond all that it used before;
    until it knows the time, it begins at random below them. `random(n)` returns n random bytes.
    """

    def __init__(self, path: str, random: "Callable[[int], bytes]") -> None:
        text = (read_file(path, _DIGITS) or b"").strip()
        drawn = int.from_bytes(random(4), "little") >> _RANDOM_SHIFT
        self._path = path
        self.spare = int(text) if text.isdigit() else drawn
        """A number that is never taken: for the one thing to say while flash refuses."""
        self._ceiling = self._next = self.spare + 1

    def take(self, time_ms: "int | None") -> "int | None":
        """Return the next number; None when flash refuses, or all numbers are used up.

        time_ms: milliseconds since 2000, None while they are not known.
        """
        time_s = 0 if time_ms is None else time_ms // 1000
        number = max(self._next, time_s) if time_s < _LATEST_S else self._next
        if number > _END:
            return None
        if number >= self._ceiling and not self._reserve(number + _AHEAD):
            return None
        self._next = number + 1
        return number

    def _reserve(self, ceiling: int) -> bool:
        try:
            replace_file(self._path, str(ceiling).encode())
        except StorageError:
            return False
        self._ceiling = ceiling
        return True
