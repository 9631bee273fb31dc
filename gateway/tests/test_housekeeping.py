import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreFullError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.housekeeping import Housekeeping
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.records import Arrival, Cursor, Description, Slot
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
    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        self.clock = Hands()
        self.pulse = Pulse()
        self.store = Store(folder, storage=storage)
        self.committed = asyncio.Event()
        self.ingest = Ingest(self.store, asyncio.Event(), Backoff(lambda: 0.5, 0.1, 1.0))
        self.keeping = Housekeeping(
            *(self.store, self.ingest, self.committed, self.clock),
            storage or Storage(keep_confirmed_s=3600),
            self.pulse,
        )

    async def qualities(self) -> list[str]:
        return [row.quality for row in await self.store.rows_after(await self.store.open(), 0, 99)]


@asynccontextmanager
async def kept(folder: Path, storage: Storage | None = None) -> AsyncIterator[House]:
    house = House(folder, storage)
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
        await house.store.save_cursors(store_id, "city", (Cursor(440), Cursor(440)))
        house.clock.wall = NOW_MS
        house.ingest.trouble = StoreFullError("no room left")
        await eventually(lambda: house.keeping.pruned == 440)
        assert len(await house.qualities()) == 10


async def test_a_store_at_its_cap_is_thinned_and_says_when_it_begins_and_ends(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with kept(tmp_path, Storage(max_bytes=16 << 20)) as house:
        seq = await fill(house.store)
        house.clock.steady = 1000
        await eventually(lambda: "store has room again" in caplog.text)
        assert (
            'store makes room, telemetry may be thinned why="max_bytes is reached"' in caplog.text
        )
        assert (await house.store.commit([large(seq)])).stored == 1
        told = await house.store.summary()
        assert told.thinned_batches > 0
        assert told.full == ""
        assert not house.pulse.state[0]


async def fill(store: Store) -> int:
    for seq in range(0, 1 << 20, 100):
        try:
            await store.commit([large(seq + index) for index in range(100)])
        except StoreFullError:
            return seq
    raise AssertionError("it never gets full")


def large(seq: int) -> Arrival:
    return Arrival(Slot(EUI, 7, 2, seq), b"i" * 900, 1, None, 100, NOW_MS)


async def test_what_is_too_old_goes_and_is_looked_for_in_the_files(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    storage = Storage(keep_s=(None, None, None, 3600))
    async with kept(tmp_path, storage) as house:
        chance = random.Random(1)
        items = [chance.randbytes(60) for _ in range(20)]
        await house.store.commit(
            [
                Arrival(Slot(EUI, 7, 2, seq), item, 1, None, 0, NOW_MS)
                for seq, item in enumerate(items)
            ]
        )
        house.clock.wall = NOW_MS + 3_601_000
        house.clock.steady = 100_000
        await eventually(lambda: house.keeping.searches == 1)
        told = await house.store.summary()
        assert (told.expired, told.traces) == ((0, 0, 0, 20), 0)
        files = b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))
        assert not any(item in files for item in items)


async def test_the_hours_that_are_left_are_known_after_a_minute(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with kept(tmp_path, Storage()) as house:
        await house.store.commit([large(seq) for seq in range(60)])
        house.clock.steady = 60_000
        while (await house.store.summary()).autonomy_h is None:
            await asyncio.sleep(0.05)
        hours = (await house.store.summary()).autonomy_h
        assert hours is not None
        free = (await house.store.summary()).free_bytes
        assert 0.7 < hours * 3600 * 1010 / free < 1.4
