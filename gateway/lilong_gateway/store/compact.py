"""A store written anew without its unused pages, and put in its place once it was compared.

A kill at any moment leaves the store as it was, or the new one; a copy that was never finished
goes with the next start.
"""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from lilong_gateway.errors import StoreDamagedError, StoreFullError
from lilong_gateway.store.damage import parts, remove_copy
from lilong_gateway.store.database import Database, free_bytes, translated
from lilong_gateway.store.folder import sync_folder

_ROOM_BYTES = 8 << 20


class Compacted(NamedTuple):
    """Bytes of the store's files."""

    before: int
    after: int


def compact(file: Path, max_bytes: int, sinks: Collection[str]) -> Compacted:
    """Write a store anew; whoever calls holds its folder. StoreError: nothing has changed.

    Cursors of other sinks than these are forgotten.
    """
    copy = copy_of(file)
    remove_copy(copy)
    before = _size(file)
    database = Database(file, max_bytes)
    try:
        _forget_sinks(database, sinks)
        if not database.checkpoint():
            database.refuse_busy()
        _check_room(database)
        with translated(file):
            database.connection.execute("VACUUM INTO ?", (str(copy),))
        _compare(database, copy, max_bytes)
    except BaseException:
        remove_copy(copy)
        raise
    finally:
        database.close()
    with translated(file):
        _sync(copy)
        copy.replace(file)
        sync_folder(file.parent)
    return Compacted(before, _size(file))


def copy_of(file: Path) -> Path:
    """Return the name of the copy while it is made."""
    return file.with_name(f"{file.stem}.compact{file.suffix}")


def _forget_sinks(database: Database, sinks: Collection[str]) -> None:
    with database.transaction() as connection:
        known = [row[0] for row in connection.execute("SELECT DISTINCT sink FROM cursor")]
        gone = [(sink,) for sink in known if sink not in sinks]
        connection.executemany("DELETE FROM cursor WHERE sink = ?", gone)


def _check_room(database: Database) -> None:
    used = database.number("page_count") - database.number("freelist_count")
    need = used * database.limits.page_bytes + _ROOM_BYTES
    if free_bytes(database.file.parent) < need:
        problem = f"{database.file.parent}: a copy of the store needs {need >> 20} MiB"
        raise StoreFullError(f"{problem}; free some space on this disk")


def _compare(database: Database, copy: Path, max_bytes: int) -> None:
    """StoreDamagedError unless the copy holds the same, row by row."""
    other = Database(copy, max_bytes)
    try:
        same = _digest(database) == _digest(other)
        other.checkpoint()
    finally:
        other.close()
    if not same:
        raise StoreDamagedError(f"{copy}: is not what the store is; try again, check the disk")


def _digest(database: Database) -> str:
    digest = hashlib.sha256()
    with database.reading() as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        for (table,) in connection.execute(query).fetchall():
            digest.update(table.encode())
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - our own names
                digest.update(repr(row).encode())
    return digest.hexdigest()


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in parts(file))
