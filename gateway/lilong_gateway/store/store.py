"""The store as the gateway's tasks see it: one file, one thread, no waiting in the event loop."""

import asyncio
import logging
from collections.abc import Callable
from collections.abc import Sequence as Several
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lilong_gateway.config_uplink import MAIN
from lilong_gateway.errors import StoreDamagedError, StoreError, StoreReplacedError
from lilong_gateway.logs import pairs
from lilong_gateway.store import notices, reader, upkeep, writer
from lilong_gateway.store.damage import aside_count, complete, replace
from lilong_gateway.store.database import Database
from lilong_gateway.store.folder import make_folder
from lilong_gateway.store.lock import FolderLock
from lilong_gateway.store.records import (
    Attempt,
    Believed,
    Committed,
    Cursor,
    Entry,
    Known,
    Lane,
    Noticed,
    Row,
    Rows,
    SinkCursors,
    SinkState,
    Summary,
)

T = TypeVar("T")
_SPARED = 30
"""Calls that fail at once after a damaged file could not be replaced: each try writes much."""

_LOG = logging.getLogger(__name__)


class Store:
    """Every call raises StoreError. After StoreDamagedError the next call meets a new store."""

    def __init__(self, folder: Path, sinks: Several[str] = (MAIN,)) -> None:
        self.file = folder / "store.db"
        self._sinks = tuple(sinks)
        self.losses = 0
        """Files put aside as damaged in this run; what nodes were told of them is void."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._database: Database | None = None
        self._lock: FolderLock | None = None
        self._spared = 0
        self._failure = StoreError()

    async def open(self) -> str:
        """Create the folder and open the file; return the store id."""
        return await self._run(lambda database: database.store_id)

    async def commit(self, entries: Several[Entry]) -> Committed:
        """Store entries in one transaction; on disk when this returns."""
        return await self._run(lambda database: writer.commit(database, entries))

    async def known(self, eui: bytes, epoch: int, descriptor_hash: bytes) -> Known:
        """Return what a node that says HELLO need not send again."""
        return await self._run(
            lambda database: reader.known(database, eui, epoch, descriptor_hash)
        )

    async def rows_after(self, store_id: str, pos: int, limit: int) -> list[Row]:
        """Return up to limit batches above pos; ends before the first one without a time.

        StoreReplacedError when the store of this id was put aside.
        """

        def call(database: Database) -> list[Row]:
            _same(database, store_id)
            return reader.rows_after(database, pos, limit)

        return await self._run(call)

    async def attempts(self) -> list[Attempt]:
        """Return what became of all that was pushed to nodes, the oldest first."""

        def call(database: Database) -> list[Attempt]:
            with database.reading() as connection:
                return reader.attempts(connection)

        return await self._run(call)

    async def notices(self, limit: int) -> list[Noticed]:
        """Return up to limit alarms that were heard in advertisements, the latest last."""

        def call(database: Database) -> list[Noticed]:
            with database.reading() as connection:
                return notices.latest(connection, limit)

        return await self._run(call)

    async def believed(self) -> Believed:
        """Return which advertisements are old: all those that were believed, and older ones."""

        def call(database: Database) -> Believed:
            with database.reading() as connection:
                return notices.believed(connection)

        return await self._run(call)

    async def summary(self) -> Summary:
        """Return the state of the store in numbers."""
        return await self._run(lambda database: reader.summary(database, self._sinks))

    async def lane_rows(
        self, store_id: str, lane: Lane, pos: int, limit: int, upto: int | None = None
    ) -> Rows:
        """Return up to limit batches of a lane above pos, and none above upto.

        StoreReplacedError when the store of this id was put aside.
        """

        def call(database: Database) -> Rows:
            _same(database, store_id)
            return reader.lane_rows(database, lane, pos, limit, upto)

        return await self._run(call)

    async def open_sink(self, sink: str, start: str = "oldest") -> SinkState:
        """Return where a sink stands; one that is new begins at the "oldest" batch, or "now"."""
        return await self._run(lambda database: upkeep.open_sink(database, sink, start))

    async def save_cursors(self, store_id: str, sink: str, cursors: SinkCursors) -> None:
        """Remember what is confirmed; nothing is done if another store has been begun."""

        def call(database: Database) -> None:
            if database.store_id == store_id:
                upkeep.save_cursors(database, sink, cursors)

        await self._run(call)

    async def set_cursor(self, store_id: str, cursor: int) -> None:
        """Remember what the main sink has confirmed of both lanes."""
        both = Cursor(cursor), Cursor(cursor)
        await self.save_cursors(store_id, MAIN, both)

    async def refuse(self, store_id: str, positions: Several[int], reason: str) -> None:
        """Note for a person what a sink cannot read, unless another store has been begun."""

        def call(database: Database) -> None:
            if database.store_id == store_id:
                upkeep.refuse(database, positions, reason)

        await self._run(call)

    async def settle(self, now_ms: int, limit: int, *, give_up: bool) -> int:
        """Date batches that came while no clock was set; return how many were dated."""
        return await self._run(
            lambda database: upkeep.settle(database, now_ms, limit, give_up=give_up)
        )

    async def prune(self, before_ms: int, limit: int) -> int:
        """Delete up to limit confirmed batches received before before_ms; return how many.

        As many notices go, settled before then.
        """
        return await self._run(
            lambda database: upkeep.prune(database, self._sinks, before_ms, limit)
        )

    async def close(self) -> None:
        """Wait for what is under way and close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._shut)
        self._thread.shutdown()

    @property
    def damaged_files(self) -> int:
        """Files that were found damaged and put aside, in this run or before."""
        return aside_count(self.file)

    async def _run(self, call: Callable[[Database], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._call(call))

    def _call(self, call: Callable[[Database], T]) -> T:
        database = self._opened()
        try:
            return call(database)
        except StoreDamagedError as error:
            self._database = None
            database.close()
            self._begin_anew(error)
            raise

    def _opened(self) -> Database:
        if self._database is not None:
            return self._database
        make_folder(self.file.parent)
        if self._lock is None:
            self._lock = FolderLock(self.file.parent)
        complete(self.file)
        try:
            self._database = Database(self.file)
        except StoreDamagedError as error:
            return self._begin_anew(error)
        return self._database

    def _begin_anew(self, error: StoreDamagedError) -> Database:
        if self._spared:
            self._spared -= 1
            raise self._failure
        try:
            aside, saved = replace(self.file)
        except StoreError as failure:
            self._spared, self._failure = _SPARED, failure
            raise
        self.losses += 1
        database = self._database = Database(self.file)
        fields = {"error": error, "aside": aside, "store": database.store_id}
        fields |= {"salvaged": saved.taken, "unreadable": saved.unreadable}
        _LOG.error("store damaged %s", pairs(**fields))
        return database

    def _shut(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _same(database: Database, store_id: str) -> None:
    if database.store_id != store_id:
        raise StoreReplacedError(f"store {store_id} was put aside")
