"""Recordings: what a CSV file holds, and how a node can play it without losing a digit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path

from lilong_tools.errors import ToolError
from lilong_tools.moment import decimals
from lilong_tools.resolution import Resolution
from lilong_tools.sheet import Row, read_layout, read_rows

VALUE_LIMIT = 2**64
FINEST, COARSEST = -24, 18

_NAME_LIMIT = 32
_MILLISECONDS = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One column of values: where it is, its header, its SenML name, its power of ten.

    rounded: some values have more digits than 10**exponent keeps.
    """

    index: int
    header: str
    name: str
    exponent: int
    rounded: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. Times are UNIX seconds; time_exponent is 0 (s) or -3 (ms).

    left_out: headers of the columns that hold no numbers.
    """

    path: Path
    header: bool
    time_column: int
    time_exponent: int
    times_rounded: bool
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    rows: int
    readings: int
    first: Decimal
    last: Decimal

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last row."""
        return float(self.last - self.first)

    def remarks(self) -> list[str]:
        """Say in a line each what is not played, or not digit by digit."""
        remarks = [
            f"{self.path.name}: column {header} holds no numbers and is left out"
            for header in self.left_out
        ]
        remarks += [
            f"{self.path.name}: {column.name} is rounded to 10^{column.exponent}"
            for column in self.columns
            if column.rounded
        ]
        if self.times_rounded:
            remarks.append(f"{self.path.name}: times are rounded to milliseconds")
        return remarks


def scan(path: Path, resolution: Resolution | None = None) -> Recording:
    """Read the file once and say how to play it; raise ToolError when it cannot be played."""
    layout = read_layout(path)
    census = [_Census() for _ in layout.columns]
    rows, places = 0, 0
    first = last = None
    for row in read_rows(path, layout):
        rows += any(value is not None for value in row.values)
        places = max(places, decimals(row.time))
        first = row.time if first is None else min(first, row.time)
        last = row.time if last is None else max(last, row.time)
        for one, value in zip(census, row.values, strict=True):
            if value is not None:
                one.take(value)
    if first is None or last is None:
        raise ToolError(f"{path} holds no rows", "name a file with one reading or more")
    wanted = resolution or Resolution({})
    names = _names([layout.headers[index] for index in layout.columns])
    columns = tuple(
        _column(path, one, index, layout.headers[index], name, wanted)
        for one, index, name in zip(census, layout.columns, names, strict=True)
    )
    return Recording(
        path=path,
        header=layout.header,
        time_column=layout.time,
        time_exponent=-_MILLISECONDS if places else 0,
        times_rounded=places > _MILLISECONDS,
        columns=columns,
        left_out=tuple(
            layout.headers[index] or f"number {index + 1}" for index in layout.left_out
        ),
        rows=rows,
        readings=sum(one.count for one in census),
        first=first,
        last=last,
    )


def rows_of(recording: Recording) -> Iterator[Row]:
    """Read the rows of a scanned file again."""
    return read_rows(recording.path, read_layout(recording.path))


class _Census:
    """What the values of one column need."""

    def __init__(self) -> None:
        self.count = 0
        self.finest = COARSEST
        self.largest = Decimal(0)

    def take(self, value: Decimal) -> None:
        self.count += 1
        if value:
            self.finest = min(self.finest, _last_place(value))
            self.largest = max(self.largest, abs(value))


def _last_place(value: Decimal) -> int:
    """Give the power of ten of the last digit that is not 0."""
    _, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    return int(exponent) + len(text) - len(text.rstrip("0"))


def _column(
    path: Path, census: _Census, index: int, header: str, name: str, wanted: Resolution
) -> Column:
    asked = wanted.exponent(header, name)
    exponent = max(min(0, census.finest), wanted.finest) if asked is None else asked
    exponent = max(exponent, FINEST)
    while census.largest.scaleb(-exponent) > VALUE_LIMIT - 1 and exponent < COARSEST:
        exponent += 1
    if census.largest.scaleb(-exponent) > VALUE_LIMIT - 1:
        raise ToolError(
            f"{path}, column {header!r}: {census.largest} is too large",
            "remove the column or give it in a larger unit",
        )
    return Column(index, header, name, exponent, rounded=exponent > census.finest)


def _names(headers: Sequence[str]) -> list[str]:
    """Make SenML names (RFC 8428 section 4.5.1) of headers, each one different."""
    names: list[str] = []
    for position, header in enumerate(headers, 1):
        clean = re.sub(r"[^A-Za-z0-9:._/-]+", "_", header).lstrip("_:./-").rstrip("_")
        name = stem = clean[:_NAME_LIMIT] or f"value{position}"
        turns = count(position)
        while name in names:
            end = f".{next(turns)}"
            name = stem[: _NAME_LIMIT - len(end)] + end
        names.append(name)
    return names
