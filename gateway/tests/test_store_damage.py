import contextlib
import logging
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreDamagedError, StoreError
from lilong_gateway.store.damage import asides, forget_aside
from lilong_gateway.store.database import Database
from lilong_gateway.store.patrol import Patrol
from lilong_gateway.store.records import Arrival, Cursor, Description, Row, Slot
from lilong_gateway.store.store import Store
from lilong_gateway.store.summary import summary
from lilong_gateway.store.writer import commit
from lilong_protocol.block_encoder import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor

EUIS = [bytes([number] * 8) for number in range(1, 5)]
BATCHES = 300
BODY = encode_descriptor(1, [Channel(0, "temp", "Cel", -1, 0, 0, "t")])
NOW_MS = 820_000_000_000

Harm = Callable[[bytearray, random.Random], None]


def item(node: int, seq: int) -> bytes:
    chance = random.Random(f"{node} {seq}")
    times = sorted(chance.sample(range(800_000_000, 801_000_000), 20))
    return encode_series(0, times, [chance.randrange(-500, 500) for _ in times])


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 30])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def zero(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 4])):
        start = chance.randrange(len(data)) & ~2047
        data[start : start + 2048] = bytes(len(data[start : start + 2048]))


def scribble(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    length = min(chance.choice([1, 16, 512, 5000]), len(data) - start)
    data[start : start + length] = chance.randbytes(length)


async def filled(folder: Path) -> None:
    store = Store(folder)
    await store.open()
    described = [Description(eui, 1, 5, 1, eui, 1, BODY, b"key") for eui in EUIS]
    await store.commit(described)
    for seq in range(BATCHES):
        await store.commit(
            [
                Arrival(Slot(eui, 7, 2, seq), item(node, seq), 20, None, 0, NOW_MS)
                for node, eui in enumerate(EUIS)
            ]
        )
    await store.close()


async def read_all(store: Store) -> list[Row]:
    """Read what a sink would get, beginning anew whenever the store turns out to be damaged."""
    for _ in range(5):
        with contextlib.suppress(StoreDamagedError):
            store_id = await store.open()
            rows: list[Row] = []
            while more := await store.rows_after(store_id, rows[-1].pos if rows else 0, 100):
                rows += more
            while await store.patrol(200):
                pass
            return rows
    raise AssertionError("the store never comes back")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("harm", [flip, cut, zero, scribble])
async def test_any_damage_is_survived_nothing_altered_goes_out_and_all_that_is_gone_is_counted(
    tmp_path: Path, seed: int, harm: Harm, undamaged: Path
) -> None:
    file = tmp_path / "store.db"
    data = bytearray(undamaged.read_bytes())
    harm(data, random.Random(f"{harm.__name__} {seed}"))
    file.write_bytes(data)
    store = Store(tmp_path)
    rows = await read_all(store)
    told = await store.summary()
    for row in rows:
        node = EUIS.index(row.slot.eui)
        assert (row.slot.epoch, row.slot.stream, row.descriptor) == (7, 2, BODY)
        assert row.item == item(node, row.slot.seq)
        assert (row.quality, row.offset_ms, row.one_in) == ("synced", None, 1)
    slots = [row.slot for row in rows]
    assert len(slots) == len(set(slots))
    missing = len(EUIS) * BATCHES - len(slots)
    if missing == len(EUIS) * BATCHES:  # the pages that tell where the tables are were lost
        assert harm is not flip
        assert store.damaged_files == 1
    elif harm is not cut:
        assert told.damaged_rows >= missing
    done = await store.commit([Arrival(Slot(EUIS[0], 8, 2, 0), b"new", 1, None, 0, NOW_MS)])
    assert done.stored == 1
    await store.close()


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undamaged")
    database = Database(folder / "store.db")
    commit(database, [Description(eui, 1, 5, 1, eui, 1, BODY, b"key") for eui in EUIS])
    for seq in range(0, BATCHES, 10):
        commit(
            database,
            [
                Arrival(Slot(eui, 7, 2, seq + index), item(node, seq + index), 20, None, 0, NOW_MS)
                for index in range(10)
                for node, eui in enumerate(EUIS)
            ],
        )
    database.close()
    return folder / "store.db"


async def test_a_spoilt_row_goes_to_quarantine_when_it_is_read_and_the_others_arrive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store_id = await store.open()
    slots = [Slot(EUIS[0], 7, 2, seq) for seq in range(5)]
    await store.commit([Arrival(slot, item(0, slot.seq), 20, None, 0, 5) for slot in slots])
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("UPDATE batch SET item = ? WHERE pos = 3", (item(0, 99),))
    rows = await store.rows_after(store_id, 0, 10)
    assert [row.pos for row in rows] == [1, 2, 4, 5]
    told = await store.summary()
    assert (told.damaged_rows, told.quarantined) == (1, 1)
    assert "damaged on disk" in caplog.text
    with closing(sqlite3.connect(store.file)) as other:
        kept = other.execute("SELECT seq, reason, item FROM quarantine").fetchall()
    assert kept == [(2, "damaged on disk", item(0, 99))]
    again = await store.commit([Arrival(slot, b"x", 20, None, 0, 5) for slot in slots])
    assert again.duplicates == 5
    await store.close()


def test_the_patrol_finds_a_rotten_row_before_it_is_needed(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    slots = [Slot(EUIS[0], 7, 2, seq) for seq in range(50)]
    commit(database, [Arrival(slot, item(0, slot.seq), 20, None, 0, 5) for slot in slots])
    database.connection.execute("UPDATE batch SET offset_ms = 5 WHERE pos IN (7, 33)")
    patrol = Patrol()
    while patrol.step(database, 10):
        pass
    assert summary(database, ["city"]).damaged_rows == 2
    assert database.connection.execute("SELECT COUNT(*) FROM batch").fetchone() == (48,)
    database.close()


@pytest.mark.parametrize(
    "spoil_it",
    [
        "UPDATE stream SET next = next + 1000",
        "UPDATE cursor SET done = 10",
        "UPDATE boot SET epoch_ms = 0",
        "UPDATE descriptor SET body = x'00'",
    ],
)
async def test_a_spoilt_small_row_never_hides_nor_alters_a_batch(
    tmp_path: Path, spoil_it: str
) -> None:
    store = Store(tmp_path)
    store_id = await store.open()
    await store.open_sink("city")
    described = Description(EUIS[0], 1, NOW_MS, 1, b"hash", 1, BODY, b"key")
    await store.commit([described])
    slots = [Slot(EUIS[0], 7, 2, seq) for seq in range(20)]
    await store.commit([Arrival(slot, item(0, slot.seq), 20, None, 0, 5) for slot in slots])
    await store.save_cursors(store_id, "city", (Cursor(5), Cursor(5)))
    await store.close()
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute(spoil_it)
    store = Store(tmp_path)
    late = [Arrival(Slot(EUIS[0], 7, 2, 20), item(0, 20), 20, 1, 2, 5)]
    for _ in range(3):
        with contextlib.suppress(StoreError):
            await store.commit(late)
            break
    rows = await read_all(store)
    start = 5 if "cursor" in spoil_it or "stream" in spoil_it else 0
    if "descriptor" in spoil_it:
        assert (await store.summary()).damaged_rows == 21
    else:
        assert {row.slot.seq for row in rows} >= set(range(start, 21))
        assert rows[-1].slot.seq == 20
        assert rows[-1].offset_ms != 0
    await store.close()


async def test_what_a_salvage_could_not_read_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, undamaged: Path
) -> None:
    data = bytearray(undamaged.read_bytes())
    pages = [start for start in range(0, len(data), 2048) if data[start] == 13]
    needle = item(2, 150)
    hit = next(start for start in pages if needle in data[start : start + 2048])
    data[hit : hit + 2048] = b"\xff" * 2048
    (tmp_path / "store.db").write_bytes(data)
    store = Store(tmp_path)
    with caplog.at_level(logging.ERROR):
        rows = await read_all(store)
    missing = len(EUIS) * BATCHES - len(rows)
    assert 0 < missing < 60
    assert (await store.summary()).damaged_rows == missing
    lines = [line for line in caplog.messages if line.startswith("lost with the damaged store")]
    assert len(lines) == len(EUIS)
    assert any(EUIS[2].hex() in line and "00000007.2 " in line for line in lines)
    await store.close()


def test_damaged_files_that_were_set_aside_do_not_fill_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    for number in range(1, 6):
        (tmp_path / f"store.damaged-{number}.db").write_bytes(b"x")
    assert forget_aside(file, None, Storage().keep_s) == 3
    assert len(asides(file)) == 2
    assert forget_aside(file, 1 << 50, Storage().keep_s) == 2
    assert asides(file) == []
