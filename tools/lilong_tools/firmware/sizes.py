"""What modules take: bytes of source and bytecode, and blocks of the file system."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilong_tools.errors import ToolError

BLOCK_BYTES = 4096
_INLINE_BYTES = 128
"""LittleFS keeps a file up to the size of its cache in the folder: as much on the port."""

_POINTER_BYTES = 8
"""Blocks of a file are linked: the later ones hold two pointers on average (its DESIGN.md)."""

_PAIR_BLOCKS = 2
_PAIR_BYTES = 1024
"""A folder is pairs of blocks; one is split when it is half full, and so mostly a quarter full."""

_ENTRY_BYTES = 64
"""Of a folder for a file, beside its name: place, size, time, check sums. As measured."""

_OWN_BLOCKS = 16
"""For the node's other files, and what is in the inbox."""

_NAME, _SIZE = 0, 4


@dataclass(frozen=True, slots=True)
class Row:
    """A module, or all of a folder."""

    name: str
    in_slot: bool
    source_bytes: int
    mpy_bytes: Mapping[str, int]
    """By architecture."""

    machine_code: bool

    @property
    def largest(self) -> int:
        """The most that it takes anywhere."""
        return max(self.mpy_bytes.values())


def by_folder(rows: Sequence[Row]) -> list[Row]:
    """Add up the modules of each folder, and all of them."""
    folders: dict[str, list[Row]] = {}
    for row in rows:
        folder = row.name.rpartition("/")[0] if row.in_slot else "base"
        folders.setdefault(folder, []).append(row)
    sums = [_sum(folder, inside) for folder, inside in sorted(folders.items())]
    return [*sums, _sum("all", rows)]


def slot_blocks(rows: Iterable[Row]) -> int:
    """Count the blocks of the file system that one slot takes."""
    blocks = 0
    folders = {"": 0}
    for row in rows:
        if row.in_slot:
            _enter(folders, row.name, row.largest)
            blocks += _file_blocks(row.largest)
    return blocks + sum(
        _PAIR_BLOCKS * max(1, -(-size // _PAIR_BYTES)) for size in folders.values()
    )


def slots_held(blocks: int, room: int) -> int:
    """Count the slots of `blocks` that fit a file system of `room` blocks, beside the rest."""
    return (room - _OWN_BLOCKS) // blocks


def file_system_blocks(boards: Path) -> dict[str, int]:
    """Read from each partition table how many blocks its file system has; ToolError."""
    found = {}
    for path in sorted(boards.glob("partitions-*.csv")):
        rows = [line.split(",") for line in _text(path).splitlines() if line[:1] not in {"", "#"}]
        try:
            sizes = {row[_NAME].strip(): int(row[_SIZE], 0) for row in rows}
            found[path.stem.removeprefix("partitions-")] = sizes["vfs"] // BLOCK_BYTES
        except (IndexError, KeyError, ValueError) as error:
            problem = f"{path} is no partition table with a file system ({error!r})"
            raise ToolError(problem, "correct it") from error
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} cannot be read ({error})", "restore it") from error


def _sum(name: str, rows: Sequence[Row]) -> Row:
    architectures = rows[0].mpy_bytes
    return Row(
        name,
        in_slot=all(row.in_slot for row in rows),
        source_bytes=sum(row.source_bytes for row in rows),
        mpy_bytes={each: sum(row.mpy_bytes[each] for row in rows) for each in architectures},
        machine_code=any(row.machine_code for row in rows),
    )


def _enter(folders: dict[str, int], name: str, size: int) -> None:
    """Add what a file takes in its folder, and that in those around it."""
    around, _, last = name.rpartition("/")
    if around not in folders:
        _enter(folders, around, 0)
        folders[around] = 0
    folders[around] += _ENTRY_BYTES + len(last) + (size if size <= _INLINE_BYTES else 0)


def _file_blocks(size: int) -> int:
    if size <= _INLINE_BYTES:
        return 0
    return 1 + max(0, -(-(size - BLOCK_BYTES) // (BLOCK_BYTES - _POINTER_BYTES)))
