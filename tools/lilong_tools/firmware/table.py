"""Sizes as a table for people and as an object for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from lilong_tools.firmware.sizes import Row, by_folder, slot_blocks, slots_held

_GAP = "  "


def account(rows: Sequence[Row], rooms: Mapping[str, int]) -> dict[str, Any]:
    """Give all that is known; `rooms`: blocks of the file system by partition table."""
    return {
        "modules": [_as_dict(row) for row in rows],
        "folders": [_as_dict(row) for row in by_folder(rows)],
        "slot_blocks": slot_blocks(rows),
        "file_system_blocks": dict(rooms),
    }


def lines(rows: Sequence[Row], rooms: Mapping[str, int], *, biggest: bool) -> list[str]:
    """Give the table, the sums, and what a slot takes."""
    shown = sorted(rows, key=lambda row: -row.largest) if biggest else rows
    architectures = list(rows[0].mpy_bytes)
    head = ["bytes", "source", *architectures]
    cells = [_cells(row) for row in shown]
    sums = [_cells(row) for row in by_folder(rows)]
    widths = [max(len(line[i]) for line in [head, *cells, *sums]) for i in range(len(head))]
    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    drawn = [_drawn(line, widths) for line in [head, *cells]]
    drawn += [rule, *(_drawn(line, widths) for line in sums)]
    return [*drawn, "", *_told(rows, rooms)]


def _told(rows: Sequence[Row], rooms: Mapping[str, int]) -> list[str]:
    blocks = slot_blocks(rows)
    native = [row.name for row in rows if row.machine_code]
    kind = "machine code in " + ", ".join(native) if native else "bytecode alone"
    said = [f"{len(rows)} modules, {kind}; a slot takes {blocks} blocks of 4 KiB."]
    for name, room in rooms.items():
        said.append(
            f"{name}: a file system of {room} blocks, slots that fit: {slots_held(blocks, room)}"
        )
    return said


def _cells(row: Row) -> list[str]:
    return [row.name, str(row.source_bytes), *(str(size) for size in row.mpy_bytes.values())]


def _drawn(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return _GAP.join([first, *numbers])


def _as_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "in_slot": row.in_slot,
        "source_bytes": row.source_bytes,
        "mpy_bytes": dict(row.mpy_bytes),
        "machine_code": row.machine_code,
    }
