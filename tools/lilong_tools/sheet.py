"""A CSV file as the node's replay sensor reads it: lines of ASCII, cells between commas."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from lilong_tools.errors import ToolError
from lilong_tools.moment import UNIX_2000_S, parse_moment

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,2}))?\Z", re.ASCII)
_ABSENT = frozenset({"", "nan", "na"})
_TIME_WORDS = ("time", "date")
_BLANKS = " \t\n\r\v\f"
_MARK = "\ufeff"
_CELL_LIMIT = 64
_POWER_LIMIT = 64
_LINE_LIMIT = 1023
_READ_LIMIT = 1 << 20
_UNIX_10000_S = 253_402_300_800
_DELETE = "\x7f"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file, its UNIX time in seconds, a value or None by column."""

    line: int
    time: Decimal
    values: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is where: the headers, the columns of the time and of values, those of neither."""

    header: bool
    headers: Sequence[str]
    time: int
    columns: Sequence[int]
    left_out: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    cells: Sequence[str]


def read_layout(path: Path) -> Layout:
    """Find the time and the columns of numbers; raise ToolError when there are none."""
    lines = _lines(path)
    head = next(lines, None)
    if head is None:
        raise ToolError(f"{path} is empty", "name a file with a header and one row or more")
    header = not any(parse_moment(cell) is not None for cell in head.cells)
    first = next(lines, None) if header else head
    if first is None:
        raise ToolError(f"{path} holds a header and no rows", "name a file with one row or more")
    headers = head.cells if header else ["" for _ in head.cells]
    time = _time_column(path, first, headers)
    _check(path, first, len(headers))
    columns, left_out = _value_columns(_body(path, header), time, len(headers))
    if not columns:
        raise ToolError(
            f"{path}, line {first.number}: no column but the time holds numbers",
            "give the values as plain numbers, separated by commas",
        )
    return Layout(header, headers, time, columns, left_out)


def read_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Give the rows in their order; raise ToolError at one that a node cannot read."""
    for line in _body(path, layout.header):
        _check(path, line, len(layout.headers))
        time = _time(path, line.number, line.cells[layout.time])
        values = [_value(path, line, layout, index) for index in layout.columns]
        yield Row(line.number, time, tuple(values))


def _lines(path: Path) -> Iterator[_Line]:
    """Give every line that is not blank."""
    try:
        # A pipe or a device can be read once, or for ever; the file is read several times.
        if path.exists() and not path.is_file():
            raise ToolError(f"{path} is not a file", "name a CSV file")
        with path.open("rb") as file:
            for number, data in enumerate(_chunks(path, file), 1):
                text = data.decode("utf-8", "replace")
                cells = [_clean(cell) for cell in text.removeprefix(_MARK).split(",")]
                if any(cells[:1]) or len(cells) > 1:
                    yield _Line(number, text, cells)
    except OSError as error:
        raise ToolError(f"{path} cannot be read ({error.strerror})", "name a CSV file") from error


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Give the lines, each with its end; refuse what is no text, whatever its size."""
    while data := file.readline(_READ_LIMIT):
        if b"\0" in data or len(data) == _READ_LIMIT:
            raise ToolError(f"{path} is not a text file", "save it as CSV in UTF-8")
        yield data


def _body(path: Path, header: bool) -> Iterator[_Line]:  # noqa: FBT001
    lines = _lines(path)
    if header:
        next(lines, None)
    return lines


def _clean(cell: str) -> str:
    """Take blanks and quotes away, as the node does."""
    return cell.strip(_BLANKS).strip('"')


def _time_column(path: Path, line: _Line, headers: Sequence[str]) -> int:
    width = min(len(line.cells), len(headers))
    found = [index for index in range(width) if parse_moment(line.cells[index]) is not None]
    named = [i for i in found if any(word in headers[i].lower() for word in _TIME_WORDS)]
    if found:
        return (named or found)[0]
    if other := re.search(r"[;\t|]", line.text):
        raise ToolError(
            f"{path}, line {line.number}: columns are separated by {other[0]!r}",
            "save it with commas between the columns and a point in the numbers",
        )
    raise ToolError(
        f"{path}, line {line.number}: no column holds a time",
        "write times as 2018-06-01 04:05:00 or as UNIX seconds, columns separated by commas",
    )


def _value_columns(lines: Iterator[_Line], time: int, width: int) -> tuple[list[int], list[int]]:
    """Give the columns whose first cell that holds anything holds a number, and the others."""
    undecided = set(range(width)) - {time}
    columns = []
    for line in lines:
        for index in sorted(undecided):
            cell = line.cells[index] if index < len(line.cells) else ""
            if cell.lower() not in _ABSENT:
                undecided.discard(index)
                if _NUMBER.match(cell):
                    columns.append(index)
        if not undecided:
            break
    return sorted(columns), sorted(set(range(width)) - {time, *columns})


def _check(path: Path, line: _Line, width: int) -> None:
    """Raise ToolError at a line that the node would skip or whose cells it would misplace."""
    if not line.text.isascii() or _DELETE in line.text:
        cells = line.text.split(",")
        strange = next(cell for cell in cells if not cell.isascii() or _DELETE in cell)
        raise ToolError(
            f"{path}, line {line.number}: {strange.strip(_BLANKS)!r} is not ASCII",
            "correct the cell or remove its column, a node reads ASCII only",
        )
    if len(line.text.rstrip("\n")) > _LINE_LIMIT:
        raise ToolError(
            f"{path}, line {line.number}: longer than {_LINE_LIMIT} bytes",
            "remove columns that are not to be played",
        )
    if '"' in line.text and any(cell.count('"') % 2 for cell in line.text.split(",")):
        raise ToolError(
            f"{path}, line {line.number}: a quoted comma, or a quote that is not closed",
            "remove the comma or the column, a node takes every comma for a separator",
        )
    if len(line.cells) < width or any(line.cells[width:]):
        raise ToolError(
            f"{path}, line {line.number}: {len(line.cells)} columns, not {width}",
            "complete or remove the line",
        )


def _time(path: Path, number: int, cell: str) -> Decimal:
    time = parse_moment(cell)
    if time is None:
        raise ToolError(
            f"{path}, line {number}: {cell!r} is no time", "correct or remove the line"
        )
    early = time < UNIX_2000_S or (cell[4] == "-" and cell < "2000")
    if early or time >= _UNIX_10000_S:
        raise ToolError(
            f"{path}, line {number}: {cell} is {'before 2000' if early else 'after 9999'},"
            " which no node can tell",
            "correct or remove the line",
        )
    return time


def _value(path: Path, line: _Line, layout: Layout, index: int) -> Decimal | None:
    cell = line.cells[index]
    if cell.lower() in _ABSENT:
        return None
    match = _NUMBER.match(cell)
    if match is None or len(cell) > _CELL_LIMIT or abs(int(match[1] or 0)) > _POWER_LIMIT:
        header = layout.headers[index] or f"number {index + 1}"
        raise ToolError(
            f"{path}, line {line.number}: {cell!r} in column {header} is not a number",
            "correct it, or leave the cell empty",
        )
    return Decimal(cell)
