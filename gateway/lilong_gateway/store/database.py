"""One SQLite file: opened, checked, held to its cap, its errors turned into ours."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.store import schema
from lilong_gateway.store.classes import Classes
from lilong_gateway.store.limits import Limits
from lilong_gateway.store.memory import Memory

_CHECKED_BYTES = 128 << 20
"""A file up to this size is checked whole when it is opened; a larger one would take minutes."""

_PAGE_BYTES = 2048
"""Of new files: a commit of a single batch writes half as much as with pages of 4096 bytes."""

_CACHE_KIB = 16384
_WAIT_MS = 2000
"""How long another program may hold the file; a reader never does."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""Tables that our own statements do not fit (SQLITE_ERROR) were spoilt too."""

_SPARE_BYTES = 1 << 20
"""Less free room than this makes an input or output error a full disk."""


class Database:
    """An open store file: WAL, every commit on disk before it returns. Use from one thread.

    Database and log together stay within max_bytes, unless the file was larger when it was opened.
    What is deleted is overwritten.
    """

    def __init__(
        self, file: Path, max_bytes: int = Storage.max_bytes, repair: Pulse | None = None
    ) -> None:
        """Open or create the file; StoreError, StoreDamagedError when it is not sound."""
        self.file = file
        self.log = file.with_name(f"{file.name}-wal")
        self.repair = repair or Pulse()
        """At work while something long goes on that is no freeze."""
        self.kept_free = 0
        """Bytes of the disk that are not for batches."""
        self.classes = Classes()
        self.memory = Memory()
        with translated(file):
            file.touch(0o600)  # SQLite gives its log the same mode
            self.connection = sqlite3.connect(file, isolation_level=None, timeout=_WAIT_MS / 1000)
            self.connection.text_factory = as_text
            try:
                self._prepare()
                self.repair.work()
                self.store_id = schema.migrate(self.connection)
                self.limits = self._limit(max_bytes)
                self.unsummed = schema.unsummed(self.connection)
            except BaseException:
                self.connection.close()
                raise
            finally:
                self.repair.rest()

    def _prepare(self) -> None:
        execute = self.connection.execute
        if not self.file.stat().st_size:
            execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA secure_delete = ON")
        execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if self.file.stat().st_size <= _CHECKED_BYTES:
            self.repair.work()
            verdict = str(execute("PRAGMA quick_check(1)").fetchone()[0])
            if verdict != "ok":
                raise StoreDamagedError(f"{self.file}: {verdict}")

    def _limit(self, max_bytes: int) -> Limits:
        limits = Limits(max_bytes, self.number("page_size"))
        self.connection.execute(f"PRAGMA journal_size_limit = {limits.log_bytes}")
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {limits.checkpoint_pages}")
        self.connection.execute(f"PRAGMA max_page_count = {limits.max_pages}")
        return limits

    def number(self, pragma: str) -> int:
        """Return what SQLite says of a setting or a size."""
        return int(self.connection.execute(f"PRAGMA {pragma}").fetchone()[0])

    @contextmanager
    def transaction(self, entries: int = 200) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk when the block is left; StoreError.

        entries: how many rows it may touch at most; the log is made to have room for them.
        """
        with translated(self.file):
            if self.connection.in_transaction:  # its end failed when the disk did
                self.connection.execute("ROLLBACK")
            self._make_log_room(entries)
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                self.memory.forget()
                with suppress(sqlite3.Error):
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                    raise self.full_error() from error
                raise

    def _make_log_room(self, entries: int) -> None:
        need = self.limits.log_need(entries)
        beyond = self.log_size + need > self.limits.log_bytes
        if (beyond or free_bytes(self.file.parent) < need) and not self.checkpoint() and beyond:
            self.refuse_busy()

    def checkpoint(self) -> bool:
        """Move the log into the database and empty its file; False: a reader is in the way."""
        with translated(self.file):
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def full_error(self) -> StoreFullError:
        """Say whether the cap is reached or the disk is full."""
        if self.room_under_cap <= free_bytes(self.file.parent) - self.kept_free:
            size = f"{self.limits.max_bytes} bytes"
            problem = f"{self.file}: full, it may hold {size}; see that it is delivered"
            return StoreFullError(f"{problem}, or raise max_bytes of [store]")
        return _disk_full(self.file)

    def refuse_busy(self) -> NoReturn:
        """Say that the log cannot be emptied; StoreFullError."""
        advice = "end the program that reads the store, such as a backup"
        raise StoreFullError(f"{self.log}: the log is full and cannot be emptied; {advice}")

    @property
    def room_under_cap(self) -> int:
        """By how many bytes the database may grow; what is unused within it comes on top."""
        pages = self.limits.max_pages - self.number("page_count")
        return max(0, pages) * self.limits.page_bytes

    def refute(self, problem: str) -> NoReturn:
        """Say that the file is not sound; StoreDamagedError."""
        raise StoreDamagedError(f"{self.file}: {problem}")

    @property
    def log_size(self) -> int:
        """Bytes of the file of the log."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed; StoreError."""
        with translated(self.file):
            yield self.connection

    def close(self) -> None:
        """Close the file; the last commit is on disk already."""
        with suppress(sqlite3.Error):
            self.connection.close()


def as_text(data: bytes) -> str:
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
        return _disk_full(file)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreUnavailableError(f"{file}: locked by another program; stop that program")
    advice = f"let this user read and write the folder {file.parent} and all in it"
    return StoreUnavailableError(f"{file}: {error}; {advice}")


def _disk_full(file: Path) -> StoreFullError:
    return StoreFullError(f"{file.parent}: no room left; free some space on this disk")


def free_bytes(folder: Path) -> int:
    """Return the free room that an ordinary user has, a large number if it cannot be told."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 1 << 62
    return room.f_bavail * room.f_frsize


def disk_bytes(folder: Path) -> int:
    """Return how large the disk of a folder is, 0 if it cannot be told."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 0
    return room.f_blocks * room.f_frsize
