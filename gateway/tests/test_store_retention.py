import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilong_gateway.config_store import Storage
from lilong_gateway.store import quarantine, reader, upkeep, writer
from lilong_gateway.store.damage import parts
from lilong_gateway.store.database import Database
from lilong_gateway.store.expiry import Expiry
from lilong_gateway.store.records import Arrival, Description, Slot, Unreadable
from lilong_gateway.store.store import Store
from lilong_gateway.store.summary import summary
from lilong_gateway.store.traces import find_traces
from lilong_protocol.block_encoder import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
NOW_MS = 820_000_000_000
DAY_MS = 86_400_000
BODY = encode_descriptor(
    1, [Channel(number, f"channel{number}", "m", 0, 0, number, "q") for number in range(4)]
)
LIMITS_S = (None, None, 7 * 86_400, 86_400)
DESCRIBED = Description(EUI, 1, 5, 1, b"hash", 1, BODY, b"key")


def item(privacy: int, seq: int) -> bytes:
    chance = random.Random(f"{privacy} {seq}")
    return encode_series(
        privacy, [chance.randrange(1 << 29) for _ in range(9)], chance.sample(range(1 << 20), 9)
    )


def batch(
    privacy: int, seq: int, received_ms: int | None, stream: int = 2, eui: bytes = EUI
) -> Arrival:
    slot = Slot(eui, privacy, stream, seq)
    return Arrival(slot, item(privacy, seq), 9, None, 0, received_ms, (privacy,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.db")
    yield database
    database.close()


def expire(database: Database, now_ms: int, expiry: Expiry | None = None) -> list[bytes]:
    expiry = expiry or Expiry(LIMITS_S, random.Random(1).randrange)
    sample: list[bytes] = []
    more = True
    while more:
        done = expiry.step(database, now_ms)
        sample += done.sample
        more = done.more
    return sample


def held(database: Database) -> list[tuple[int, int]]:
    """Privacy class, which is the epoch here, and seq of what is stored."""
    rows = reader.rows_after(database, 0, 10_000).rows
    return [(row.slot.epoch, row.slot.seq) for row in rows]


def test_each_class_goes_in_its_time_and_alarms_stay(database: Database) -> None:
    ages = [0, 2, 8, 400]
    writer.commit(database, [DESCRIBED])
    writer.commit(
        database,
        [
            batch(privacy, seq, NOW_MS - age * DAY_MS)
            for seq, age in sorted(enumerate(ages), reverse=True)
            for privacy in range(4)
        ]
        + [batch(3, 0, NOW_MS - 400 * DAY_MS, stream=0)],
    )
    expire(database, NOW_MS)
    kept = held(database)
    assert [seq for privacy, seq in kept if privacy == 0] == [3, 2, 1, 0]
    assert [seq for privacy, seq in kept if privacy == 1] == [3, 2, 1, 0]
    assert [seq for privacy, seq in kept if privacy == 2] == [1, 0]
    assert [seq for privacy, seq in kept if privacy == 3] == [0, 0]
    assert summary(database, ["city"]).expired == (0, 0, 2, 3)


def test_time_goes_on_and_so_does_expiry(database: Database) -> None:
    expiry = Expiry(LIMITS_S, random.Random(1).randrange)
    writer.commit(database, [DESCRIBED, *(batch(3, seq, NOW_MS + seq) for seq in range(3000))])
    expire(database, NOW_MS + DAY_MS + 1000, expiry)
    assert held(database)[0] == (3, 1000)
    expire(database, NOW_MS + DAY_MS + 2500, expiry)
    assert held(database)[0] == (3, 2500)


def test_what_nobody_has_described_counts_as_the_strictest_class(database: Database) -> None:
    other = bytes(8)
    writer.commit(database, [batch(0, seq, NOW_MS - 2 * DAY_MS, eui=other) for seq in range(3)])
    writer.commit(database, [batch(0, 3, NOW_MS - DAY_MS // 2, eui=other)])
    writer.commit(database, [batch(0, 9, NOW_MS - 2 * DAY_MS), DESCRIBED])
    expire(database, NOW_MS)
    assert held(database) == [(0, 3), (0, 9)]


def test_a_clock_that_was_ahead_does_not_keep_anything_for_ever(database: Database) -> None:
    expiry = Expiry(LIMITS_S, random.Random(1).randrange)
    writer.commit(database, [DESCRIBED, batch(3, 0, NOW_MS + 999 * DAY_MS), batch(3, 1, NOW_MS)])
    expire(database, NOW_MS, expiry)
    assert len(held(database)) == 2
    expire(database, NOW_MS + DAY_MS + 1, expiry)
    assert held(database) == []


def test_what_expired_is_not_taken_again_and_its_copies_go_too(database: Database) -> None:
    writer.commit(database, [DESCRIBED, *(batch(3, seq, NOW_MS) for seq in (0, 1, 5))])
    upkeep.refuse(database, [1], "the city cannot read it")
    expire(database, NOW_MS + 2 * DAY_MS)
    assert summary(database, ["city"]).quarantined == 0
    database.memory.forget()
    again = writer.commit(database, [batch(3, seq, NOW_MS) for seq in (0, 1, 5)])
    assert again.duplicates == 3


def test_nothing_of_what_expired_stands_in_the_files(database: Database) -> None:
    writer.commit(database, [DESCRIBED])
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        writer.commit(database, [batch(seq % 4, seq, NOW_MS) for seq in numbers])
    gone = [item(3, seq) for seq in range(3, 3000, 4)]
    stay = [item(0, seq) for seq in range(0, 3000, 4)]
    files = parts(database.file)
    assert len(find_traces(files, gone)) == len(gone)
    sample = expire(database, NOW_MS + 2 * DAY_MS)
    assert len(sample) >= 4
    assert set(sample) <= set(gone)
    assert database.checkpoint()
    assert find_traces(parts(database.file), gone) == {}
    assert len(find_traces(parts(database.file), stay)) == len(stay)


def test_traces_are_found_across_the_pieces_that_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes((1 << 20) - 3) + b"needle" + bytes(99) + b"needle")
    assert find_traces([file, tmp_path / "none"], [b"needle", b"thread", b""]) == {b"needle": 2}


def test_quarantine_is_bounded_in_time_and_in_size(database: Database, tmp_path: Path) -> None:
    other = bytes(8)
    entries = [
        Unreadable(Slot(eui, 1, 2, seq), b"?" * 30, "bad", NOW_MS + seq)
        for seq in range(3)
        for eui in (EUI, other)
    ]
    writer.commit(database, [DESCRIBED, *entries])
    assert quarantine.tidy(database, NOW_MS + 2 * DAY_MS, LIMITS_S) == 3
    assert quarantine.tidy(database, NOW_MS + 31 * DAY_MS, LIMITS_S) == 3
    assert summary(database, ["city"]).quarantined == 0
    small = Database(tmp_path / "small.db", 16 << 20)
    most = (16 << 20) // 32
    items = [Unreadable(Slot(EUI, 1, 2, seq), b"?" * 1000, "bad", NOW_MS) for seq in range(600)]
    writer.commit(small, items[:300])
    writer.commit(small, items[300:])
    quarantine.tidy(small, NOW_MS, LIMITS_S)
    left = small.connection.execute(
        "SELECT MIN(seq), SUM(length(item)) FROM quarantine"
    ).fetchone()
    assert left[0] > 0
    assert most - 1000 <= left[1] <= most
    again = writer.commit(small, items[:10])
    assert (again.duplicates, again.quarantined) == (10, 0)
    small.close()


async def test_the_store_does_it_all_beside_commits(tmp_path: Path) -> None:
    store = Store(tmp_path, storage=Storage(keep_s=LIMITS_S))
    await store.open()
    await store.commit([DESCRIBED, *(batch(3, seq, NOW_MS) for seq in range(50))])
    results = await asyncio.gather(
        store.expire(NOW_MS + 2 * DAY_MS), store.commit([batch(3, 99, NOW_MS + 2 * DAY_MS)])
    )
    assert results[0].batches == (0, 0, 0, 50)
    while await store.patrol(10):
        pass
    told = await store.summary()
    assert told.expired == (0, 0, 0, 50)
    assert told.oldest_by_class == (None, None, None, NOW_MS + 2 * DAY_MS)
    assert await store.flush()
    await store.close()
