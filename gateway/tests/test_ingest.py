import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.errors import StoreFullError
from lilong_gateway.examine import examine
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.records import (
    Arrival,
    Committed,
    Entry,
    Missing,
    Slot,
    Unreadable,
    is_urgent,
)
from lilong_gateway.store.store import Store
from lilong_protocol.blocks import encode_series
from lilong_protocol.events import BatchReceived

EUI = bytes(8)
ITEM = encode_series(0, [1, 2, 3], [4, 5, 6])


def batch(seq: int, item: bytes = ITEM) -> Arrival | Unreadable | Missing:
    return examine(BatchReceived(EUI, 7, 2, seq, item), received_ms=1)


class LittleDisk(Store):
    """A store that has no room for some commits."""

    full = 0
    commits = 0

    async def commit(self, entries: list[Entry]) -> Committed:  # type: ignore[override]
        self.commits += 1
        if self.full:
            self.full -= 1
            raise StoreFullError("no room left")
        return await super().commit(entries)


def ingest_into(store: Store, limit: int = 4096) -> Ingest:
    return Ingest(store, asyncio.Event(), Backoff(lambda: 0.5, 0.01, 0.02), limit)


def test_an_undecodable_item_is_kept_with_its_reason() -> None:
    found = batch(0, b"\xff\xff")
    assert isinstance(found, Unreadable)
    assert found.item == b"\xff\xff"
    assert found.reason


def test_a_number_without_an_item_is_a_batch_that_the_node_gave_up() -> None:
    assert batch(7, b"") == Missing(Slot(EUI, 7, 2, 7), 1)


def test_an_uptime_that_no_database_holds_is_no_batch() -> None:
    assert isinstance(batch(0, encode_series(0, [1 << 60, 1 << 61], [1, 2], boot=5)), Unreadable)


async def test_all_that_waits_goes_into_one_transaction_and_is_then_told(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = LittleDisk(tmp_path)
    ingest = ingest_into(store)
    told: list[int] = []
    for seq in range(50):
        assert ingest.offer(batch(seq), lambda seq=seq: told.append(seq))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: len(told) == 50)
    assert told == list(range(50))
    assert store.commits == 1
    assert (ingest.counters.batches, ingest.counters.readings) == (50, 150)
    task.cancel()
    await store.close()


async def test_a_full_disk_acknowledges_nothing_and_is_reported_once(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    store = LittleDisk(tmp_path)
    store.full = 3
    ingest = ingest_into(store)
    told: list[int] = []
    ingest.offer(batch(0), lambda: told.append(0))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: ingest.trouble is not None)
    assert told == []
    await eventually(lambda: told == [0])
    assert ingest.trouble is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    task.cancel()
    await store.close()


def test_a_full_queue_turns_away_and_counts(tmp_path: Path) -> None:
    ingest = ingest_into(Store(tmp_path), limit=2)
    taken = [ingest.offer(batch(seq), lambda: None) for seq in range(3)]
    assert taken == [True, True, False]
    assert ingest.counters.turned_away == 1


async def test_a_store_that_breaks_while_running_takes_the_same_batches_again(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = Store(tmp_path)
    await store.open()
    file = store.file
    await store.close()
    data = file.read_bytes()
    file.write_bytes(data[:4096] + os.urandom(len(data) - 4096))
    store = Store(tmp_path)
    ingest = ingest_into(store)
    told: list[int] = []
    ingest.offer(batch(0), lambda: told.append(0))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: told == [0])
    task.cancel()
    await store.close()


def test_the_slot_is_what_the_node_said() -> None:
    assert batch(9).slot == Slot(EUI, 7, 2, 9)


class AlarmsOnly(Store):
    """A store that has room for alarms alone while told so."""

    full = True

    async def commit(self, entries: Sequence[Entry]) -> Committed:
        if self.full and not all(map(is_urgent, entries)):
            raise StoreFullError("no room left but for alarms", alarms_only=True)
        return await super().commit(entries)


class FullOnce(Store):
    """A store that finds room between two tries."""

    full = True

    async def commit(self, entries: Sequence[Entry]) -> Committed:
        if self.full:
            self.full = False
            raise StoreFullError("no room left but for alarms", alarms_only=True)
        return await super().commit(entries)


def alarm(seq: int) -> Arrival | Unreadable | Missing:
    return examine(BatchReceived(EUI, 7, 0, seq, ITEM), received_ms=1)


async def test_a_full_store_still_takes_alarms_at_once_and_the_others_once_there_is_room(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = AlarmsOnly(tmp_path)
    ingest = Ingest(store, asyncio.Event(), Backoff(lambda: 0.5, 60.0, 60.0))
    told: list[str] = []
    ingest.offer(batch(0), lambda: told.append("data 0"))
    ingest.offer(alarm(0), lambda: told.append("alarm 0"))
    ingest.offer(batch(1), lambda: told.append("data 1"))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: told == ["alarm 0"])
    assert ingest.waiting == 2
    assert not ingest.offer(batch(2), lambda: None)
    assert ingest.offer(alarm(1), lambda: told.append("alarm 1"))
    await eventually(lambda: told == ["alarm 0", "alarm 1"])
    assert isinstance(ingest.trouble, StoreFullError)
    task.cancel()
    store.full = False
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: told[2:] == ["data 0", "data 1"])
    assert ingest.trouble is None
    assert ingest.offer(batch(2), lambda: told.append("data 2"))
    await eventually(lambda: told[-1] == "data 2")
    task.cancel()
    await store.close()


async def test_a_full_store_that_has_nothing_left_to_try_takes_data_again(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = AlarmsOnly(tmp_path)
    ingest = ingest_into(store)
    told: list[int] = []
    ingest.offer(batch(0), lambda: told.append(0))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: ingest.trouble is not None)
    store.full = False
    await eventually(lambda: told == [0])
    await eventually(lambda: ingest.offer(batch(1), lambda: told.append(1)))
    await eventually(lambda: told == [0, 1])
    task.cancel()
    await store.close()


async def test_draining_waits_for_the_last_commit_and_not_for_a_store_in_trouble(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = LittleDisk(tmp_path)
    ingest = ingest_into(store)
    told: list[int] = []
    for seq in range(2500):
        ingest.offer(batch(seq), lambda seq=seq: told.append(seq))
    task = asyncio.create_task(ingest.run())
    await ingest.drain()
    assert len(told) == 2500
    store.full = 10**9
    ingest.offer(batch(2500), lambda: None)
    await ingest.drain()
    assert ingest.trouble is not None
    task.cancel()
    await store.close()


async def test_once_nothing_waits_any_more_data_has_its_chance_again(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    store = FullOnce(tmp_path)
    ingest = ingest_into(store)
    told: list[str] = []
    ingest.offer(alarm(0), lambda: told.append("alarm"))
    task = asyncio.create_task(ingest.run())
    await eventually(lambda: told == ["alarm"] and ingest.trouble is None)
    assert ingest.offer(batch(0), lambda: told.append("data"))
    await eventually(lambda: told == ["alarm", "data"])
    task.cancel()
    await store.close()
