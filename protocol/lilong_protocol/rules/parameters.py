"""What a person has set for one rule, checked key by key."""

from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

_GREATEST = (1 << 63) - 1
_WEEK_MS = const(604800000)


class Parameters:
    """Integers by their names; a key that is null is not given.

    RangeError names the key and says what to do.
    """

    LONGEST_MS = _WEEK_MS

    def __init__(self, values: "Any") -> None:
        if not isinstance(values, dict):
            raise RangeError("the parameters of a rule must be an object {...}")
        self._values: dict[str, Any] = values
        self._known: list[str] = []

    def number(self, key: str, low: int, high: int, default: "int | None" = None) -> int:
        """Return an integer low..high; without a default it must be there."""
        found = self._find(key, low, high)
        if found is not None:
            return found
        if default is None:
            raise RangeError(key + ": is missing; give a whole number " + _range(low, high))
        return default

    def value(self, key: str) -> "int | None":
        """Return a value of the channel, None when it is not given."""
        return self._find(key, -_GREATEST, _GREATEST)

    def amount(self, key: str) -> "int | None":
        """Return by how much a value changes, None when it is not given."""
        return self._find(key, 1, _GREATEST)

    def time_ms(self, key: str) -> int:
        """Return a time, 0 when it is not given."""
        return self.number(key, 0, _WEEK_MS, 0)

    def span_ms(self, key: str) -> "int | None":
        """Return a time that is not 0, None when it is not given."""
        return self._find(key, 1, _WEEK_MS)

    def refuse_others(self) -> None:
        """RangeError for a key that nobody has asked for."""
        for key in self._values:
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                raise RangeError(str(key) + ": means nothing for this kind; it has " + known)

    def _find(self, key: str, low: int, high: int) -> "int | None":
        self._known.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            problem = "must be a whole number " + _range(low, high)
            raise RangeError(key + ": " + problem + ", not " + repr(value)[:40])
        return value


def _range(low: int, high: int) -> str:
    if high < _GREATEST:
        return str(low) + ".." + str(high)
    return "of 64 bits" if low < 0 else "from " + str(low)
