"""A damaged store file never stops the gateway: what it holds moves to a new one, and it is kept.

A kill at any moment leaves one of these:

    the damaged file in its place             the next start begins again
    the damaged file aside, the new one done  complete() puts the new one in its place
"""

from pathlib import Path
from typing import NamedTuple

from lilong_gateway.errors import StoreFullError
from lilong_gateway.store.database import Database, translated
from lilong_gateway.store.folder import sync_folder
from lilong_gateway.store.salvage import Salvaged, salvage

_PARTS = ("", "-wal", "-shm")


class Replacement(NamedTuple):
    """Where the damaged file is now, and what was taken over from it."""

    aside: Path
    salvaged: Salvaged


def replace(file: Path) -> Replacement:
    """Put a new store, with all that can be read of the damaged one, in the place of that one.

    StoreError: nothing has changed.
    """
    fresh = _fresh(file)
    try:
        salvaged = _rebuild(file, fresh)
    except StoreFullError:
        _remove(fresh)
        problem = f"{file}: damaged, and no room for a sound copy; free some space on this disk"
        raise StoreFullError(problem) from None
    with translated(file):
        aside = _set_aside(file)
    complete(file)
    return Replacement(aside, salvaged)


def complete(file: Path) -> None:
    """Finish a replacement that was cut short after the damaged file was put aside; StoreError."""
    fresh = _fresh(file)
    with translated(file):
        if fresh.exists() and not file.exists():
            _move_companions(file, _aside(file, aside_count(file)))
            fresh.rename(file)
            sync_folder(file.parent)


def aside_count(file: Path) -> int:
    """Return how many damaged files lie beside this one."""
    return len(list(file.parent.glob(f"{file.stem}.damaged-*{file.suffix}")))


def _rebuild(file: Path, fresh: Path) -> Salvaged:
    _remove(fresh)
    database = Database(fresh)
    try:
        salvaged = salvage(file, database)
        with database.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        database.close()
    return salvaged


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := _aside(file, number)).exists():
        number += 1
    if file.exists():
        file.rename(aside)
        _move_companions(file, aside)
    sync_folder(file.parent)
    return aside


def _move_companions(file: Path, aside: Path) -> None:
    """Take away what SQLite would read together with a new file of the same name."""
    for part in _PARTS[1:]:
        present = file.with_name(file.name + part)
        if present.exists():
            present.rename(aside.with_name(aside.name + part))


def _fresh(file: Path) -> Path:
    return file.with_name(f"{file.stem}.new{file.suffix}")


def _aside(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")


def _remove(fresh: Path) -> None:
    """Remove a copy that was never finished."""
    for part in _PARTS:
        with translated(fresh):
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
