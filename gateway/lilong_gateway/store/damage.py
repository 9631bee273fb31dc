"""A damaged store file never stops the gateway: it is put aside, and nothing of it is deleted."""

from pathlib import Path

from lilong_gateway.store.database import translated

_PARTS = ("", "-wal", "-shm")


def set_aside(file: Path) -> Path:
    """Rename the database with its companions; return the new name. StoreError if not possible."""
    number = 1
    while (aside := file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")).exists():
        number += 1
    with translated(file):
        for part in _PARTS:
            present = file.with_name(file.name + part)
            if present.exists():
                present.rename(aside.with_name(aside.name + part))
    return aside


def aside_count(file: Path) -> int:
    """Return how many damaged files lie beside this one."""
    return len(list(file.parent.glob(f"{file.stem}.damaged-*{file.suffix}")))
