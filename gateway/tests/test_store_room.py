import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreFullError
from lilong_gateway.store import reader, thinning, upkeep, writer
from lilong_gateway.store.autonomy import note_rate
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Advance, Arrival, Cursor, Description, Lane, Slot
from lilong_gateway.store.relief import Relief, relieve
from lilong_gateway.store.room import measure
from lilong_gateway.store.store import Store
from lilong_gateway.store.summary import summary
from lilong_protocol.block_encoder import encode_series, encode_table
from lilong_protocol.descriptor import Channel, encode_descriptor

CAP = 16 << 20
"""The log may take 8 MiB of it."""

ITEM = random.Random(1).randbytes(800)
ALARM, DATA, BULK = 0, 2, 3
SINKS = ["city"]


def batch(seq: int, stream: int = DATA, node: int = 1, item: bytes = ITEM) -> Arrival:
    return Arrival(Slot(bytes([node] * 8), 7, stream, seq), item, 60, None, 0, 1000)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.db", CAP)
    yield database
    database.close()


def make_room(database: Database, last: tuple[str, ...] = ()) -> list[Relief]:
    steps = [relieve(database, SINKS, last, 5000)]
    while steps[-1].more:
        steps.append(relieve(database, SINKS, last, 5000))
    return steps


def held(database: Database) -> list[tuple[int, int, int, int]]:
    """What is stored: stream, node, seq and one_in, in order."""
    rows = reader.rows_after(database, 0, 1 << 20).rows
    return [(row.slot.stream, row.slot.eui[0], row.slot.seq, row.one_in) for row in rows]


def fill(database: Database, start: int = 0, stream: int = DATA) -> int:
    """Store until telemetry is turned away; return the next number."""
    size = 50
    while size:
        try:
            writer.commit(database, [batch(start + index, stream) for index in range(size)])
            start += size
        except StoreFullError:
            size //= 7
    return start


def commit_until_full(database: Database, size: int, stream: int = DATA) -> None:
    """Store and make room until that is refused."""
    for seq in range(1 << 14, 1 << 20, size):
        writer.commit(database, [batch(seq + index, stream) for index in range(size)])
        if stream == DATA:
            make_room(database)


class Sampler:
    """Looks at the files all the time and remembers how large they were together."""

    def __init__(self, file: Path) -> None:
        self.most = self.samples = 0
        self._files = [file.with_name(file.name + part) for part in ("", "-wal", "-shm")]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            self.most = max(self.most, sum(file.stat().st_size for file in self._files))
            self.samples += 1


def test_the_files_never_exceed_the_cap_however_much_comes(database: Database) -> None:
    begun = ended = 0
    with Sampler(database.file) as sampler:
        for seq in range(0, 30_000, 500):
            writer.commit(database, [batch(seq + index, node=index % 7) for index in range(500)])
            steps = make_room(database)
            begun += sum(step.began for step in steps)
            ended += sum(step.ended for step in steps)
    assert 0 < sampler.most <= CAP
    assert sampler.samples > 100
    assert begun > 1
    assert begun - ended in {0, 1}
    figures = summary(database, SINKS)
    assert figures.thinned_batches > 0
    assert len(held(database)) + figures.thinned_batches == 30_000
    assert figures.thinned_readings == 60 * figures.thinned_batches
    assert figures.thinned_since_ms == 5000


def test_a_reader_beside_the_gateway_stops_commits_before_the_cap_is_broken(
    database: Database,
) -> None:
    writer.commit(database, [batch(0)])
    with (
        Sampler(database.file) as sampler,
        closing(sqlite3.connect(database.file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN")
        other.execute("SELECT COUNT(*) FROM batch").fetchone()
        with pytest.raises(StoreFullError, match="end the program that reads the store"):
            commit_until_full(database, 100)
    assert sampler.most <= CAP
    before = len(held(database))
    writer.commit(database, [batch(1 << 20)])
    assert len(held(database)) == before + 1


def test_alarms_are_taken_when_telemetry_is_no_longer(database: Database) -> None:
    seq = fill(database)
    with pytest.raises(StoreFullError, match=f"it may hold {CAP} bytes") as refusal:
        writer.commit(database, [batch(seq), batch(0, ALARM)])
    assert refusal.value.alarms_only
    for number in range(20):
        assert writer.commit(database, [batch(number, ALARM)]).stored == 1
    assert [entry[2] for entry in held(database) if entry[0] == ALARM] == list(range(20))


def test_when_even_alarms_find_no_room_the_cap_still_holds(database: Database) -> None:
    fill(database)
    with pytest.raises(StoreFullError) as refusal:
        commit_until_full(database, 1, ALARM)
    assert not refusal.value.alarms_only
    files = database.file.parent.glob("store.db*")
    assert sum(file.stat().st_size for file in files) <= CAP
    make_room(database)
    assert writer.commit(database, [batch(1 << 20, ALARM)]).stored == 1


def test_what_is_delivered_goes_first_and_no_more_of_it_than_is_needed(
    database: Database,
) -> None:
    seq = fill(database)
    upkeep.save_cursors(database, "city", (Cursor(0), Cursor(seq)))
    steps = make_room(database)
    assert (steps[0].began, steps[-1].ended, steps[0].cause) == (True, True, "cap")
    assert sum(step.thinned for step in steps) == 0
    numbers = [entry[2] for entry in held(database)]
    assert numbers == list(range(seq - len(numbers), seq))
    assert len(numbers) > seq // 2
    assert not measure(database).is_pressed


def test_delivered_ahead_of_a_backlog_is_delivered_and_goes_first_too(
    database: Database,
) -> None:
    seq = fill(database)
    upkeep.save_cursors(database, "city", (Cursor(0), Cursor(10, seq // 2, seq)))
    make_room(database)
    left = [entry[2] for entry in held(database)]
    assert left[: seq // 2 - 10] == list(range(10, seq // 2))
    assert all(entry[3] == 1 for entry in held(database))


def test_bulk_is_thinned_before_data_the_oldest_first_and_alarms_never(
    database: Database,
) -> None:
    writer.commit(database, [batch(seq, ALARM) for seq in range(300)])
    writer.commit(database, [batch(seq, BULK) for seq in range(4000)])
    fill(database)
    make_room(database)
    kept = held(database)
    assert [entry[2] for entry in kept if entry[0] == ALARM] == list(range(300))
    assert {entry[3] for entry in kept if entry[0] == DATA} == {1}
    levels = [entry[3] for entry in kept if entry[0] == BULK]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 1


def test_each_sweep_leaves_every_second_batch_spread_evenly_down_to_one_in_64(
    database: Database,
) -> None:
    for start in range(0, 4096, 512):
        writer.commit(
            database,
            [
                batch(start + index, node=node, item=b"i" * 30)
                for index in range(512)
                for node in (1, 2)
            ],
        )
    levels = []
    while (done := thinning.thin(database, SINKS, (), 400, 1)).looked_at:
        kept = Counter(entry[3] for entry in held(database))
        levels.append(max(kept))
        assert max(kept) <= 2 * min(kept)
        assert done.batches <= 400
    assert sorted(set(levels)) == [2, 4, 8, 16, 32, 64]
    for node in (1, 2):
        numbers = [entry[2] for entry in held(database) if entry[1] == node]
        assert 56 <= len(numbers) <= 72
        gaps = [later - earlier for earlier, later in pairwise(numbers)]
        assert max(gaps) < 3 * 64
        # Two, three, four channels in turn: none is spared, none is lost.
        for channels in (2, 3, 4):
            kept = Counter(number % channels for number in numbers)
            assert min(kept[channel] for channel in range(channels)) > 64 // channels // 2
    counts = dict(database.connection.execute("SELECT node, batches FROM thinned"))
    assert counts == {1: 4096 - len(numbers), 2: 4096 - len(numbers)}


def test_what_was_thinned_does_not_come_back_as_new_not_even_beyond_a_gap(
    database: Database,
) -> None:
    numbers = [*range(100), *range(150, 250)]
    writer.commit(database, [batch(seq) for seq in numbers])
    while thinning.thin(database, SINKS, (), 100, 1).looked_at:
        pass
    assert len(held(database)) < 10
    database.memory.forget()
    again = writer.commit(database, [batch(seq) for seq in numbers])
    assert (again.stored, again.duplicates) == (0, 200)
    writer.commit(database, [Advance(bytes([1] * 8), 7, DATA, 150)])
    assert reader.known(database, bytes([1] * 8), 7, b"").next[DATA] == 250
    assert writer.commit(database, [batch(250)]).stored == 1


def test_channels_that_are_to_be_thinned_last_are(database: Database) -> None:
    channels = [Channel(0, "rain", "m", -3, 0, 0, "x"), Channel(1, "gas", "/", -6, 0, 0, "x")]
    body = encode_descriptor(1, channels)
    eui = bytes([1] * 8)
    writer.commit(database, [Description(eui, 1, 5, 1, b"h", 1, body, b"k")])
    items = [encode_series(number, [1, 2, 3], [4, 5, 6]) for number in (0, 1)]
    table = encode_table([1, 2, 3], [(0, [4, 5, 6]), (1, [7, 8, 9])])
    every = [*items, table]
    writer.commit(database, [batch(seq, item=every[seq % 3]) for seq in range(900)])
    while thinning.thin(database, SINKS, ("g*",), 100, 1).looked_at:
        ones = {entry[3] for entry in held(database) if entry[2] % 3 == 0}
        if ones != {64}:
            assert {entry[3] for entry in held(database) if entry[2] % 3} == {1}
    assert {entry[3] for entry in held(database)} == {64}


def test_thinning_leaves_order_and_cursors_as_they_are(database: Database) -> None:
    writer.commit(database, [batch(seq) for seq in range(200)])
    window = reader.lane_rows(database, Lane.REST, 0, 50, None).rows
    upkeep.save_cursors(database, "city", (Cursor(0), Cursor(20)))
    thinning.thin(database, SINKS, (), 1000, 1)
    found = reader.lane_rows(database, Lane.REST, window[-1].pos, 1000, None)
    positions = [row.pos for row in found.rows]
    assert positions == sorted(positions)
    assert found.through == 200
    upkeep.save_cursors(database, "city", (Cursor(0), Cursor(window[-1].pos)))
    upkeep.refuse(database, [row.pos for row in window], "no")
    assert [entry[2] for entry in held(database)[:20]] == list(range(20))


def test_counts_and_marks_of_thinning_outlive_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db", CAP)
    writer.commit(database, [batch(seq) for seq in range(1000)])
    thinning.thin(database, SINKS, (), 300, 4000)
    first = replace(summary(database, SINKS), size_bytes=0)
    database.close()
    database = Database(tmp_path / "store.db", CAP)
    assert replace(summary(database, SINKS), size_bytes=0) == first
    while thinning.thin(database, SINKS, (), 300, 9000).looked_at:
        pass
    assert {entry[3] for entry in held(database)} == {64}
    assert summary(database, SINKS).thinned_batches == 1000 - len(held(database))
    assert summary(database, SINKS).thinned_since_ms == 4000
    database.close()


def test_the_hours_that_are_left_agree_with_what_happens(database: Database) -> None:
    assert summary(database, SINKS).autonomy_h is None
    writer.commit(database, [batch(seq) for seq in range(100)])
    with database.transaction() as connection:
        note_rate(connection, 100 * (len(ITEM) + 110), 3_600_000)
    told = summary(database, SINKS)
    taken = fill(database, 100)
    assert told.autonomy_h is not None
    assert told.full_h is not None
    assert 0.8 < told.autonomy_h * 100 / (taken - 100) < 1.25
    assert 60 < told.full_h / told.autonomy_h < 70
    after = summary(database, SINKS)
    assert after.autonomy_h is not None
    assert after.full_h is not None
    assert after.autonomy_h < told.autonomy_h / 20
    make_room(database)
    thinned = summary(database, SINKS)
    assert thinned.full_h is not None
    assert thinned.full_h < after.full_h * 1.02
    upkeep.save_cursors(database, "city", (Cursor(0), Cursor(told.last + taken)))


async def test_a_group_that_the_log_cannot_take_at_once_is_stored_in_pieces(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path, storage=Storage(max_bytes=CAP))
    await store.open()
    assert (await store.commit([batch(seq, item=b"i") for seq in range(2000)])).stored == 2000
    assert (await store.summary()).last == 2000
    await store.close()
