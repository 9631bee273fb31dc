import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreFullError
from lilong_gateway.housekeeping import Housekeeping
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.records import Arrival, Description, Slot
from lilong_gateway.store.store import Store

EUI = bytes(8)
NOW_MS = 820_000_000_000


class Hands(Clock):
    """Clocks that a test moves."""

    wall: int | None = None
    steady = 0

    def wall_ms(self) -> int | None:
        return self.wall

    def steady_ms(self) -> int:
        return self.steady


class House:
    def __init__(self, folder: Path) -> None:
        self.clock = Hands()
        self.store = Store(folder)
        self.committed = asyncio.Event()
        self.ingest = Ingest(self.store, asyncio.Event(), Backoff(lambda: 0.5, 0.1, 1.0))
        self.keeping = Housekeeping(self.store, self.ingest, self.committed, self.clock, 3600)

    async def qualities(self) -> list[str]:
        return [row.quality for row in await self.store.rows_after(await self.store.open(), 0, 99)]


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[House]:
    house = House(folder)
    task = asyncio.create_task(house.keeping.run())
    yield house
    task.cancel()
    await asyncio.wait([task])
    await house.store.close()


def batch(seq: int, boot: int | None, received_ms: int | None) -> Arrival:
    return Arrival(Slot(EUI, 7, 2, seq), b"item", 1, boot, 100, received_ms)


async def test_what_came_without_a_clock_gets_its_time_once_there_is_one(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with kept(tmp_path) as house:
        described = Description(EUI, 9, None, 0, b"h", 1, b"d", b"id")
        await house.store.commit([described, batch(0, 9, None), batch(1, 8, None)])
        assert await house.qualities() == []
        house.clock.wall = NOW_MS
        await house.store.commit([Description(EUI, 9, NOW_MS - 5000, 0, b"h", 1, None, b"id")])
        await eventually(lambda: house.keeping.dated == 1)
        assert await house.qualities() == ["restamped"]
        house.clock.steady = 120_000
        await eventually(lambda: house.keeping.dated == 2)
        assert await house.qualities() == ["restamped", "bounded"]
        assert house.committed.is_set()


async def test_a_full_disk_prunes_what_is_confirmed_whatever_its_age(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with kept(tmp_path) as house:
        store_id = await house.store.open()
        await house.store.commit([batch(seq, None, NOW_MS - 1000) for seq in range(450)])
        await house.store.set_cursor(store_id, 440)
        house.clock.wall = NOW_MS
        house.ingest.trouble = StoreFullError("no room left")
        await eventually(lambda: house.keeping.pruned == 440)
        assert len(await house.qualities()) == 10
