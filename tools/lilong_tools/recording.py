"""Recordings: what a CSV file holds, and how a node can play it without losing a digit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lilong_tools.errors import ToolError
from lilong_tools.moment import UNIX_2000_S, decimals, parse_moment
from lilong_tools.resolution import Resolution

VALUE_LIMIT = 2**64
FINEST, COARSEST = -24, 18

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)
_ABSENT = frozenset({"", "nan", "na"})
_TIME_WORDS = ("time", "date")
_NAME_LIMIT = 32
_CELL_LIMIT = 64
_LINE_LIMIT = 1023
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
    """One file. Times are UNIX seconds; time_exponent is 0 (s) or -3 (ms)."""

    path: Path
    header: bool
    time_column: int
    time_exponent: int
    times_rounded: bool
    columns: tuple[Column, ...]
    rows: int
    readings: int
    first: Decimal
    last: Decimal

    @property
    def span_s(self) -> float:
        """Seconds from the first to the last row."""
        return float(self.last - self.first)

    def remarks(self) -> list[str]:
        """Say in a line each what is not played digit by digit."""
        remarks = [
            f"{self.path.name}: {column.name} is rounded to 10^{column.exponent}"
            for column in self.columns
            if column.rounded
        ]
        if self.times_rounded:
            remarks.append(f"{self.path.name}: times are rounded to milliseconds")
        return remarks


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file, its UNIX time in seconds, a value or None by column."""

    line: int
    time: Decimal
    values: tuple[Decimal | None, ...]


def scan(path: Path, resolution: Resolution | None = None) -> Recording:
    """Read the file once and say how to play it; raise ToolError when it cannot be played."""
    layout = _layout(path)
    census = [_Census() for _ in layout.columns]
    rows, places = 0, 0
    first = last = None
    for row in _rows(path, layout):
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
        rows=rows,
        readings=sum(one.count for one in census),
        first=first,
        last=last,
    )


def rows_of(recording: Recording) -> Iterator[Row]:
    """Read the rows of a scanned file again."""
    return _rows(recording.path, _layout(recording.path))


@dataclass(frozen=True, slots=True)
class _Layout:
    header: bool
    headers: Sequence[str]
    time: int
    columns: Sequence[int]


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
    exponent = min(0, census.finest) if asked is None else asked
    exponent = max(exponent, FINEST)
    while census.largest.scaleb(-exponent) >= VALUE_LIMIT and exponent < COARSEST:
        exponent += 1
    if census.largest.scaleb(-exponent) >= VALUE_LIMIT:
        raise ToolError(
            f"{path}, column {header!r}: {census.largest} is too large",
            "remove the column or give it in a larger unit",
        )
    return Column(index, header, name, exponent, rounded=exponent > census.finest)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give line number and cells of every line that is not blank."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, [cell.strip().strip('"') for cell in line.split(",")]
    except OSError as error:
        raise ToolError(f"{path} cannot be read ({error.strerror})", "name a CSV file") from error


def _layout(path: Path) -> _Layout:
    lines = _lines(path)
    number, head = next(lines, (0, []))
    if not number:
        raise ToolError(f"{path} is empty", "name a file with a header and one row or more")
    header = not any(parse_moment(cell) is not None for cell in head)
    number, cells = next(lines, (0, [])) if header else (number, head)
    if not number:
        raise ToolError(f"{path} holds a header and no rows", "name a file with one row or more")
    headers = head if header else ["" for _ in head]
    time = _time_column(path, number, headers, cells)
    columns = _value_columns(path, time, len(headers))
    if not columns:
        raise ToolError(
            f"{path}, line {number}: no column but the time holds numbers",
            "give the values as plain numbers, separated by commas",
        )
    return _Layout(header, headers, time, columns)


def _time_column(path: Path, number: int, headers: Sequence[str], cells: Sequence[str]) -> int:
    width = min(len(cells), len(headers))
    found = [index for index in range(width) if parse_moment(cells[index]) is not None]
    named = [i for i in found if any(word in headers[i].lower() for word in _TIME_WORDS)]
    if not found:
        raise ToolError(
            f"{path}, line {number}: no column holds a time",
            "write times as 2018-06-01 04:05:00 or as UNIX seconds, columns separated by commas",
        )
    return (named or found)[0]


def _value_columns(path: Path, time: int, width: int) -> list[int]:
    """Give the columns whose first cell that holds anything holds a number."""
    undecided = set(range(width)) - {time}
    columns = []
    for number, cells in _lines(path):
        for index in sorted(undecided):
            cell = cells[index] if index < len(cells) else ""
            if cell.lower() in _ABSENT or (number == 1 and not _NUMBER.match(cell)):
                continue
            undecided.discard(index)
            if _NUMBER.match(cell):
                columns.append(index)
        if not undecided:
            break
    return sorted(columns)


def _rows(path: Path, layout: _Layout) -> Iterator[Row]:
    lines = _lines(path)
    if layout.header:
        next(lines)
    for number, cells in lines:
        if len(cells) < len(layout.headers):
            raise ToolError(
                f"{path}, line {number}: {len(cells)} columns, not {len(layout.headers)}",
                "complete or remove the line",
            )
        time = _time(path, number, cells[layout.time])
        if not all(map(str.isascii, cells)) or sum(map(len, cells)) + len(cells) > _LINE_LIMIT:
            raise ToolError(
                f"{path}, line {number}: not ASCII, or longer than {_LINE_LIMIT} bytes",
                "correct or remove the line",
            )
        values = [_value(path, number, layout, i, cells[i]) for i in layout.columns]
        yield Row(number, time, tuple(values))


def _time(path: Path, number: int, cell: str) -> Decimal:
    time = parse_moment(cell)
    if time is None:
        raise ToolError(
            f"{path}, line {number}: {cell!r} is no time", "correct or remove the line"
        )
    if time < UNIX_2000_S:
        raise ToolError(
            f"{path}, line {number}: {cell} is before 2000, which no node can tell",
            "correct or remove the line",
        )
    return time


def _value(path: Path, number: int, layout: _Layout, index: int, cell: str) -> Decimal | None:
    if cell.lower() in _ABSENT:
        return None
    if not _NUMBER.match(cell) or len(cell) > _CELL_LIMIT:
        header = layout.headers[index] or f"number {index + 1}"
        raise ToolError(
            f"{path}, line {number}: {cell!r} in column {header} is not a number",
            "correct it, or leave the cell empty",
        )
    return Decimal(cell)


def _names(headers: Sequence[str]) -> list[str]:
    """Make SenML names (RFC 8428 section 4.5.1) of headers, each one different."""
    names: list[str] = []
    for position, header in enumerate(headers, 1):
        clean = re.sub(r"[^A-Za-z0-9:._/-]+", "_", header).lstrip("_:./-").rstrip("_")
        name = clean[:_NAME_LIMIT] or f"value{position}"
        if name in names:
            name = f"{name[: _NAME_LIMIT - 3]}.{position}"
        names.append(name)
    return names
