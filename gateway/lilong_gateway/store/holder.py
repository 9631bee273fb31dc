"""The one open store of a folder: opened when it is needed, replaced when it is damaged."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreDamagedError, StoreError, StoreFullError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store.damage import complete, replace
from lilong_gateway.store.database import Database
from lilong_gateway.store.folder import make_folder
from lilong_gateway.store.keeper import Keeper
from lilong_gateway.store.lock import FolderLock
from lilong_gateway.store.reserve import Reserve

T = TypeVar("T")
_SPARED = 30
"""Calls that fail at once after a damaged file could not be replaced: each try writes much."""

_LOG = logging.getLogger(__name__)


class Holder:
    """Used by one thread. keeper is that of the store which is open now."""

    def __init__(self, file: Path, storage: Storage, repair: Pulse) -> None:
        self.losses = 0
        self.keeper = Keeper(storage)
        self.reserve = Reserve(file.with_name(f"{file.stem}.reserve"), storage.reserve_bytes)
        self._file = file
        self._storage = storage
        self._repair = repair
        self._database: Database | None = None
        self._lock: FolderLock | None = None
        self._spared = 0
        self._failure = StoreError()

    def call(self, call: Callable[[Database], T]) -> T:
        """Do something with the open store; StoreError."""
        database = self._opened()
        database.kept_free = self.reserve.wanted
        try:
            return call(database)
        except StoreDamagedError as error:
            self._database = None
            database.close()
            self._begin_anew(error)
            raise

    def close(self) -> None:
        """Close the store and let the folder go."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _opened(self) -> Database:
        if self._database is not None:
            return self._database
        make_folder(self._file.parent)
        if self._lock is None:
            self._lock = FolderLock(self._file.parent)
        complete(self._file)
        try:
            self._database = self._open()
        except StoreDamagedError as error:
            return self._begin_anew(error)
        return self._database

    def _begin_anew(self, error: StoreDamagedError) -> Database:
        if self._spared:
            self._spared -= 1
            raise self._failure
        try:
            aside, saved = replace(self._file, self._storage.max_bytes, self._repair)
        except StoreError as failure:
            self._spared, self._failure = _SPARED, failure
            self.reserve.give()
            raise
        self.losses += 1
        database = self._database = self._open()
        fields = {"error": error, "aside": aside, "store": database.store_id}
        fields |= {"salvaged": saved.taken, "unreadable": saved.unreadable}
        fields |= {"quarantined": saved.damaged}
        _LOG.error("store damaged %s", pairs(**fields))
        for line in saved.lost:
            _LOG.error("lost with the damaged store %s", pairs(batches=line))
        return database

    def _open(self) -> Database:
        self.keeper = Keeper(self._storage)
        try:
            database = Database(self._file, self._storage.max_bytes, self._repair)
        except StoreFullError:
            if not self.reserve.give():
                raise
            database = Database(self._file, self._storage.max_bytes, self._repair)
        self.reserve.take()
        return database
