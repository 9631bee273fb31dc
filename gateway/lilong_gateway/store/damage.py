"""A damaged store file never stops the gateway: what it holds moves to a new one, and it is kept.

A kill at any moment leaves one of these:

    the damaged file in its place             the next start begins again
    the damaged file aside, the new one done  complete() puts the new one in its place
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreFullError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.store.database import Database, translated
from lilong_gateway.store.folder import sync_folder
from lilong_gateway.store.salvage import Salvaged, salvage

_PARTS = ("", "-wal", "-shm")
_ASIDES_KEPT = 2
_KEPT_S = 30 * 86_400


class Replacement(NamedTuple):
    """Where the damaged file is now, and what was taken over from it."""

    aside: Path
    salvaged: Salvaged


def replace(
    file: Path, max_bytes: int = Storage.max_bytes, repair: Pulse | None = None
) -> Replacement:
    """Put a new store, with all that can be read of the damaged one, in the place of that one.

    StoreError: nothing has changed.
    """
    fresh = _fresh(file)
    try:
        salvaged = _rebuild(file, fresh, max_bytes, repair)
    except StoreFullError:
        remove_copy(fresh)
        problem = f"{file}: damaged, and no room for a sound copy; free some space on this disk"
        raise StoreFullError(problem) from None
    with translated(file):
        aside = _set_aside(file)
    complete(file)
    return Replacement(aside, salvaged)


def complete(file: Path) -> None:
    """Finish a replacement that was cut short after the damaged file was put aside; StoreError.

    A copy that was being made by somebody who was killed goes.
    """
    remove_copy(file.with_name(f"{file.stem}.compact{file.suffix}"))
    fresh = _fresh(file)
    with translated(file):
        if fresh.exists() and not file.exists():
            _move_companions(file, _aside(file, aside_count(file)))
            fresh.rename(file)
            sync_folder(file.parent)


def aside_count(file: Path) -> int:
    """Return how many damaged files lie beside this one."""
    return len(asides(file))


def asides(file: Path) -> list[Path]:
    """Return the damaged files that lie beside this one, the latest last."""
    found = file.parent.glob(f"{file.stem}.damaged-*{file.suffix}")
    return sorted(found, key=lambda one: one.stat().st_mtime_ns)


def parts(file: Path) -> list[Path]:
    """Return a file and what SQLite keeps beside it, as far as they are there."""
    every = [file.with_name(file.name + part) for part in _PARTS]
    return [one for one in every if one.exists()]


def forget_aside(file: Path, now_ms: int | None, limits_s: Sequence[int | None]) -> int:
    """Delete damaged files of which nobody knows how private they are, once they may be too old.

    Of those that are younger the latest two stay. Returns how many went; StoreError.
    """
    kept_s = min([limit for limit in limits_s if limit is not None], default=_KEPT_S)
    gone = 0
    with translated(file):
        found = asides(file)
        for number, aside in enumerate(found):
            since_ms = aside.stat().st_mtime_ns // 1_000_000 - UNIX_2000_MS
            old = now_ms is not None and now_ms - since_ms > min(kept_s, _KEPT_S) * 1000
            if old or number < len(found) - _ASIDES_KEPT:
                gone += 1
                for part in parts(aside):
                    part.unlink()
    return gone


def _rebuild(file: Path, fresh: Path, max_bytes: int, repair: Pulse | None) -> Salvaged:
    remove_copy(fresh)
    database = Database(fresh, max_bytes, repair)
    try:
        salvaged = salvage(file, database)
        database.checkpoint()
    finally:
        database.close()
    return salvaged


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := _aside(file, number)).exists():
        number += 1
    if file.exists():
        os.utime(file)  # from now on its age counts
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


def remove_copy(fresh: Path) -> None:
    """Remove a copy that was never finished."""
    for part in _PARTS:
        with translated(fresh):
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
