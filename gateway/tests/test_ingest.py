import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.errors import StoreFullError
from lilong_gateway.examine import examine
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.records import Arrival, Committed, Entry, Missing, Slot, Unreadable
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
