"""Stations with a store behind them, on ports of a test."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Downlink as Settings
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.watch import Watch
from lilong_gateway.errors import StoreFullError
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.links.serial import SerialLink, open_serial
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.stations import Stations
from lilong_gateway.store.records import Committed, Entry
from lilong_gateway.store.store import Store
from lilong_gateway.supervision import Supervisor
from lilong_gateway.surroundings import Surroundings

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
KEY = bytes(range(16))
NOW_MS = 820_000_000_000


class Wall(Clock):
    """A wall clock that a test sets."""

    offset_ms: int | None = None

    def wall_ms(self) -> int | None:
        return None if self.offset_ms is None else self.offset_ms + self.steady_ms()


class Hasty(Wall):
    """A steady clock that runs ten times as fast."""

    def steady_ms(self) -> int:
        return 10 * super().steady_ms()


class LittleDisk(Store):
    """A store that has no room while told so."""

    full = False

    async def commit(self, entries: Sequence[Entry]) -> Committed:
        if self.full:
            raise StoreFullError("no room left")
        return await super().commit(entries)


class Yard:
    """Stations and what is behind them, without an uplink."""

    def __init__(
        self,
        folder: Path,
        *patterns: str,
        keys: KeyRing | None = None,
        settings: Settings | None = None,
        clock: Wall | None = None,
    ) -> None:
        self.clock = Wall() if clock is None else clock
        self.store = LittleDisk(folder / "data")
        self.ingest = Ingest(self.store, asyncio.Event(), backoff())
        self.roster = Roster()
        settings = Settings() if settings is None else settings
        self.downlink = Downlink(settings, self.ingest, self.clock)
        self.watch = Watch(settings, folder / "data", self.downlink, self.store, self.clock)
        self.keys = KeyRing({EUI: [KEY]}) if keys is None else keys
        self.proofs = Proofs(self.keys)
        around = Surroundings(
            self.keys,
            self.proofs,
            self.store,
            self.ingest,
            self.roster,
            self.downlink,
            self.clock,
            os.urandom,
        )
        self.around = around
        self.supervisor = Supervisor()
        self.stations = Stations(patterns, 0.05, around, open_link, self.supervisor, backoff)

    def refused(self) -> tuple[str, int]:
        entry = self.roster.refused.get(EUI.hex())
        return ("", 0) if entry is None else (entry.reason, entry.count)

    async def rows(self) -> list[tuple[int, int]]:
        self.clock.offset_ms = NOW_MS
        await self.store.settle(NOW_MS, 10_000, give_up=True)
        rows = await self.store.rows_after(await self.store.open(), 0, 10_000)
        return [(row.slot.epoch, row.slot.seq) for row in rows]


async def open_link(port: str, on_change: Callable[[], None]) -> SerialLink:
    return await open_serial(port, 115_200, on_change)


def backoff() -> Backoff:
    return Backoff(lambda: 0.5, 0.05, 0.2)


@asynccontextmanager
async def serving(yard: Yard, *nodes: Any) -> AsyncIterator[None]:
    duties = [yard.ingest.run(), yard.stations.run(), *(node.run() for node in nodes)]
    tasks = [asyncio.create_task(duty) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await yard.store.close()
        assert yard.supervisor.failures == {}
