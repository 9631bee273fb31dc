"""The store as the gateway's tasks see it: one file, one thread, no waiting in the event loop."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Container
from collections.abc import Sequence as Several
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from lilong_gateway.config_store import Storage
from lilong_gateway.config_uplink import MAIN
from lilong_gateway.errors import (
    StoreFullError,
    StoreReplacedError,
)
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store import notices, quarantine, reader, tally, upkeep, writer
from lilong_gateway.store.autonomy import note_rate
from lilong_gateway.store.damage import aside_count, forget_aside
from lilong_gateway.store.database import Database
from lilong_gateway.store.expiry import Expired
from lilong_gateway.store.holder import Holder
from lilong_gateway.store.limits import ROW_BYTES
from lilong_gateway.store.records import (
    Attempt,
    Believed,
    Committed,
    Entry,
    Known,
    Lane,
    Noticed,
    Row,
    Rows,
    SinkCursors,
    SinkState,
)
from lilong_gateway.store.relief import Relief, relieve
from lilong_gateway.store.room import DISK
from lilong_gateway.store.summary import Summary, summary
from lilong_gateway.store.traces import Look, look_among

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Store:
    """Every call raises StoreError. After StoreDamagedError the next call meets a new store."""

    def __init__(
        self,
        folder: Path,
        sinks: Several[str] = (MAIN,),
        storage: Storage | None = None,
        repair: Pulse | None = None,
    ) -> None:
        """Open nothing yet. sinks: the names of all; what all have confirmed may go.

        repair: at work while long work goes on in the store that is no freeze.
        """
        self.file = folder / "store.db"
        self.stored_bytes = 0
        """What batches took since the start."""
        self._sinks = tuple(sinks)
        self._storage = storage or Storage()
        self._holder = Holder(self.file, self._storage, repair or Pulse())
        self._unreported = Committed()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @property
    def losses(self) -> int:
        """Files put aside as damaged in this run; what nodes were told of them is void."""
        return self._holder.losses

    async def open(self) -> str:
        """Create the folder and open the file; return the store id."""
        return await self._run(lambda database: database.store_id)

    async def commit(self, entries: Several[Entry]) -> Committed:
        """Store entries; on disk when this returns. StoreError: offer all of them again.

        They are one transaction, unless the log of a small store cannot take so many at once.
        StoreFullError with alarms_only: offer those that are urgent.
        """
        return await self._run(lambda database: self._commit(database, entries))

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
            return list(
                self._sound(database, lambda: reader.rows_after(database, pos, limit)).rows
            )

        return await self._run(call)

    async def attempts(self) -> list[Attempt]:
        """Return what became of all that was pushed to nodes, the oldest first."""
        return await self._read(reader.attempts)

    async def notices(self, limit: int) -> list[Noticed]:
        """Return up to limit alarms that were heard in advertisements, the latest last."""
        return await self._read(lambda connection: notices.latest(connection, limit))

    async def believed(self) -> Believed:
        """Return which advertisements are old: all those that were believed, and older ones."""
        return await self._read(notices.believed)

    async def summary(self) -> Summary:
        """Return the state of the store in numbers."""

        def call(database: Database) -> Summary:
            held = self._holder.reserve.held
            oldest_ms = self._holder.keeper.oldest_ms
            return summary(database, self._sinks, reserve_held=held, oldest_by_class=oldest_ms)

        return await self._run(call)

    async def lane_rows(
        self, store_id: str, lane: Lane, pos: int, limit: int, upto: int | None = None
    ) -> Rows:
        """Return up to limit batches of a lane above pos, and none above upto.

        StoreReplacedError when the store of this id was put aside.
        """

        def call(database: Database) -> Rows:
            _same(database, store_id)
            found = self._sound(
                database, lambda: reader.lane_rows(database, lane, pos, limit, upto)
            )
            return Rows(found.rows, found.through)

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

    async def relieve(self, now_ms: int | None, *, full: bool) -> Relief:
        """Take one step of making room, if there is too little; the reserve helps if it must.

        full: something found no place, whatever the measures say.
        """

        def call(database: Database) -> Relief:
            try:
                last = self._storage.thin_last
                done = relieve(database, self._sinks, last, now_ms, full=full)
            except StoreFullError:
                if not self._holder.reserve.give():
                    raise
                return Relief(more=True, cause=DISK)
            if not done.cause:
                self._holder.reserve.take()
            return done

        return await self._run(call)

    async def expire(self, now_ms: int) -> Expired:
        """Take one step of deleting what is older than its privacy class may be."""
        return await self._run(lambda database: self._holder.keeper.expire(database, now_ms))

    async def patrol(self, limit: int) -> bool:
        """Look through up to limit batches for damage; False: all were looked at."""
        return await self._run(lambda database: self._holder.keeper.patrol(database, limit))

    async def tidy(self, now_ms: int | None) -> int:
        """Keep quarantine, and the files that were set aside, within their bounds."""

        def call(database: Database) -> int:
            forget_aside(self.file, now_ms, self._storage.keep_s)
            return quarantine.tidy(database, now_ms, self._storage.keep_s)

        return await self._run(call)

    async def note_rate(self, stored_bytes: int, passed_ms: int) -> None:
        """Remember how much came in a time, for the hours that are left."""
        await self._write(lambda connection: note_rate(connection, stored_bytes, passed_ms))

    async def look_among(self, sought: Container[bytes], pos: int) -> Look:
        """Look whether some batches above pos hold any of these items."""
        return await self._read(lambda connection: look_among(connection, sought, pos))

    async def note_traces(self, count: int) -> None:
        """Remember that something deleted was found again."""
        await self._write(lambda connection: tally.add(connection, tally.TRACES, count))

    async def flush(self) -> bool:
        """Empty the log, so that nothing deleted stands in it; False: a reader is in the way."""
        return await self._run(Database.checkpoint)

    async def close(self) -> None:
        """Wait for what is under way and close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._holder.close)
        self._thread.shutdown()

    @property
    def damaged_files(self) -> int:
        """Files that were found damaged and put aside, in this run or before."""
        return aside_count(self.file)

    async def _run(self, call: Callable[[Database], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._holder.call(call))

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        def call(database: Database) -> T:
            with database.reading() as connection:
                return read(connection)

        return await self._run(call)

    async def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        def call(database: Database) -> None:
            with database.transaction() as connection:
                write(connection)

        await self._run(call)

    def _commit(self, database: Database, entries: Several[Entry]) -> Committed:
        """Commit piece by piece; what earlier pieces did is told when all are done."""
        most = database.limits.most_entries
        for start in range(0, len(entries), most):
            done = writer.commit(database, entries[start : start + most])
            self._unreported = self._unreported.plus(done)
            self.stored_bytes += done.size_bytes + done.stored * ROW_BYTES
        done, self._unreported = self._unreported, Committed()
        return done

    def _sound(self, database: Database, read: Callable[[], reader.Found]) -> reader.Found:
        """Read; what is damaged goes to quarantine."""
        found = read()
        if found.damaged:
            with suppress(StoreFullError):
                quarantine.set_aside(database, found.damaged)
            _LOG.error(
                "damaged on disk, in quarantine now %s",
                pairs(batches=len(found.damaged), first=found.damaged[0]),
            )
        return found


def _same(database: Database, store_id: str) -> None:
    if database.store_id != store_id:
        raise StoreReplacedError(f"store {store_id} was put aside")
