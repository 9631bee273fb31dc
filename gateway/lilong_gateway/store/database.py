"""One SQLite file: opened, checked, its errors turned into ours."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lilong_gateway.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from lilong_gateway.store import schema
from lilong_gateway.store.classes import Classes

_CHECKED_BYTES = 128 << 20
"""A file up to this size is checked whole when it is opened; a larger one would take minutes."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""Tables that our own statements do not fit (SQLITE_ERROR) were spoilt too."""

_SPARE_BYTES = 1 << 20
"""Less free room than this makes an input or output error a full disk."""


class Database:
    """An open store file: WAL, every commit on disk before it returns. Use from one thread."""

    def __init__(self, file: Path) -> None:
        """Open or create the file; StoreError, StoreDamagedError when it is not sound."""
        self.file = file
        self.classes = Classes()
        with translated(file):
            self.connection = sqlite3.connect(file, isolation_level=None, timeout=5.0)
            self.connection.text_factory = _text
            try:
                self._prepare()
                self.store_id = schema.migrate(self.connection)
            except BaseException:
                self.connection.close()
                raise

    def _prepare(self) -> None:
        execute = self.connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA journal_size_limit = 16777216")
        if self.file.stat().st_size <= _CHECKED_BYTES:
            verdict = str(execute("PRAGMA quick_check(1)").fetchone()[0])
            if verdict != "ok":
                raise StoreDamagedError(f"{self.file}: {verdict}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk when the block is left; StoreError."""
        with translated(self.file):
            if self.connection.in_transaction:  # its end failed when the disk did
                self.connection.execute("ROLLBACK")
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed; StoreError."""
        with translated(self.file):
            yield self.connection

    def close(self) -> None:
        """Close the file; the last commit is on disk already."""
        with suppress(sqlite3.Error):
            self.connection.close()


def _text(data: bytes) -> str:
    """Read text even where a damaged page spoilt it: a row must not block those behind it."""
    return data.decode(errors="replace")


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _ours(file, error) from error
    except UnicodeDecodeError as error:  # SQLite's message quotes what it could not understand
        raise StoreDamagedError(f"{file}: names that are no text") from error


def _ours(file: Path, error: sqlite3.Error | OSError) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGE:
        return StoreDamagedError(f"{file}: {error}")
    if code == sqlite3.SQLITE_FULL or free_bytes(file.parent) < _SPARE_BYTES:
        return StoreFullError(f"{file.parent}: no room left; free some space on this disk")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreUnavailableError(f"{file}: locked by another program; stop that program")
    advice = f"let this user read and write the folder {file.parent} and all in it"
    return StoreUnavailableError(f"{file}: {error}; {advice}")


def free_bytes(folder: Path) -> int:
    """Return the free room that an ordinary user has, a large number if it cannot be told."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 1 << 62
    return room.f_bavail * room.f_frsize
