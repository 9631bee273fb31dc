"""Resolutions asked for on the command line: `0.01` for all columns, `COLUMN=0.01` for one."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from lilong_tools.errors import ToolError

_FINEST, _COARSEST = -24, 18
_EVERY = ""


class Resolution:
    """Powers of ten by column header or name; "" stands for every column.

    finest: digits beyond 10**finest are not kept of columns for which nothing was asked.
    """

    def __init__(self, exponents: Mapping[str, int], finest: int = _FINEST) -> None:
        """Take the exponents as they are."""
        self.finest = finest
        self._exponents = dict(exponents)

    def exponent(self, header: str, name: str) -> int | None:
        """Give the exponent asked for a column, None when nothing was asked."""
        for key in (header, name, _EVERY):
            if key in self._exponents:
                return self._exponents[key]
        return None

    def unknown(self, known: Iterable[str]) -> list[str]:
        """Give the columns that were named and that are not among `known`."""
        return sorted(set(self._exponents) - set(known) - {_EVERY})


def parse_resolution(words: Iterable[str], finest: int = _FINEST) -> Resolution:
    """Read the values of --resolution; raise ToolError."""
    exponents = {}
    for word in words:
        column, _, step = word.rpartition("=")
        exponents[column] = _exponent(word, step)
    return Resolution(exponents, finest)


def _exponent(word: str, step: str) -> int:
    try:
        value = Decimal(step).normalize()
    except InvalidOperation:
        value = Decimal(0)
    sign, digits, exponent = value.as_tuple()
    power = isinstance(exponent, int) and not sign and digits == (1,)
    if not power or not _FINEST <= int(exponent) <= _COARSEST:
        raise ToolError(
            f"--resolution {word} is not a power of ten",
            "write for example 0.01, or COLUMN=0.01 for one column",
        )
    return int(exponent)
