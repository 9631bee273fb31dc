"""Looking for bytes in the raw files: what was deleted must not be there."""

import re
import sqlite3
from collections.abc import Container, Iterable
from pathlib import Path
from typing import NamedTuple

_CHUNK = 1 << 20
_PIECE = 2000


class Look(NamedTuple):
    """Which of the sought the batches up to through hold; at_end: there are no others."""

    held: frozenset[bytes]
    through: int
    at_end: bool


def look_among(connection: sqlite3.Connection, sought: Container[bytes], pos: int) -> Look:
    """Look at some batches above pos: what one of them holds as well is no trace of another."""
    query = "SELECT pos, item FROM batch WHERE pos > ? ORDER BY pos LIMIT ?"
    found = connection.execute(query, (pos, _PIECE)).fetchall()
    held = frozenset(item for _, item in found if item in sought)
    return Look(held, found[-1][0] if found else pos, len(found) < _PIECE)


def find_traces(files: Iterable[Path], sought: Iterable[bytes]) -> dict[bytes, int]:
    """Return how often each of some byte strings stands in files, without those that do not.

    A file that is gone holds nothing. OSError.
    """
    needles = sorted({needle for needle in sought if needle}, key=len, reverse=True)
    if not needles:
        return {}
    pattern = re.compile(b"|".join(map(re.escape, needles)))
    overlap = len(needles[0]) - 1
    found: dict[bytes, int] = {}
    for file in files:
        try:
            _search(file, pattern, overlap, found)
        except FileNotFoundError:
            continue
    return found


def _search(file: Path, pattern: re.Pattern[bytes], overlap: int, found: dict[bytes, int]) -> None:
    with file.open("rb") as stream:
        tail = b""
        while chunk := stream.read(_CHUNK):
            data = tail + chunk
            for match in pattern.finditer(data):
                if match.end() > len(tail):
                    found[match.group()] = found.get(match.group(), 0) + 1
            tail = data[-overlap:] if overlap else b""
