import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lilong_gateway.errors import (
    StoreDamagedError,
    StoreReplacedError,
    StoreUnavailableError,
)
from lilong_gateway.store import damage as damages
from lilong_gateway.store import reader, schema, upkeep, writer
from lilong_gateway.store.database import Database
from lilong_gateway.store.glance import heard_nodes, told_nodes
from lilong_gateway.store.records import (
    Advance,
    Arrival,
    Attempt,
    Cursor,
    Description,
    Entry,
    Heard,
    Missing,
    Report,
    Slot,
    Told,
    Unreadable,
)
from lilong_gateway.store.store import Store
from lilong_gateway.store.summary import summary

HERE = Path(__file__).parent
EUI = bytes.fromhex("0a1b2c3d4e5f6071")
EPOCH = 0xCAFE


def batch(
    seq: int, boot: int | None = None, last_ms: int = 0, received_ms: int | None = 1000
) -> Arrival:
    return Arrival(Slot(EUI, EPOCH, 2, seq), b"item", 60, boot, last_ms, received_ms)


def described(
    boot_id: int, epoch_ms: int | None, body: bytes | None = b"d", proven: bytes = b"key id 1"
) -> Description:
    return Description(EUI, boot_id, epoch_ms, 5, b"hash", 1, body, proven)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.db")
    yield database
    database.close()


def next_of(database: Database) -> int:
    return reader.known(database, EUI, EPOCH, b"hash").next[2]


def stored(database: Database, *entries: Entry) -> list[tuple[int, str, int | None]]:
    writer.commit(database, entries)
    return [
        (row.slot.seq, row.quality, row.offset_ms)
        for row in reader.rows_after(database, 0, 99).rows
    ]


def test_next_is_cumulative_whatever_the_order_of_arrival(database: Database) -> None:
    writer.commit(database, [batch(0), batch(2), batch(3)])
    assert next_of(database) == 1
    writer.commit(database, [batch(1)])
    assert next_of(database) == 4


def test_a_duplicate_changes_nothing_even_within_one_group(database: Database) -> None:
    first = writer.commit(database, [batch(0), batch(2), batch(2)])
    second = writer.commit(database, [batch(0), batch(2)])
    assert (first.stored, first.duplicates) == (2, 1)
    assert (second.stored, second.duplicates) == (0, 2)
    assert summary(database, ["city"]).last == 2


def test_duplicates_are_refused_after_pruning(database: Database) -> None:
    writer.commit(database, [batch(0), batch(1), batch(3)])
    upkeep.save_cursors(database, "city", (Cursor(3), Cursor(3)))
    assert upkeep.prune(database, ["city"], before_ms=2000, limit=10) == 3
    again = writer.commit(database, [batch(0), batch(1), batch(3)])
    assert again.duplicates == 3
    writer.commit(database, [batch(2)])
    assert next_of(database) == 4


def test_only_confirmed_rows_of_age_are_pruned(database: Database) -> None:
    writer.commit(database, [batch(0), batch(1, received_ms=5000), batch(2)])
    upkeep.save_cursors(database, "city", (Cursor(2), Cursor(2)))
    assert upkeep.prune(database, ["city"], before_ms=2000, limit=10) == 1
    assert [row.slot.seq for row in reader.rows_after(database, 0, 9).rows] == [1, 2]


def test_an_advance_gives_up_what_is_missing(database: Database) -> None:
    writer.commit(database, [batch(7), Advance(EUI, EPOCH, 2, 6)])
    assert next_of(database) == 6
    writer.commit(database, [batch(6)])
    assert next_of(database) == 8


def test_an_undecodable_batch_is_kept_apart_and_does_not_block_the_stream(
    database: Database,
) -> None:
    done = writer.commit(database, [Unreadable(Slot(EUI, EPOCH, 2, 0), b"?", "bad", 1), batch(1)])
    assert (done.stored, done.quarantined) == (1, 1)
    assert next_of(database) == 2
    assert summary(database, ["city"]).quarantined == 1


def test_a_number_without_a_batch_is_passed_and_leaves_nothing_to_look_at(
    database: Database,
) -> None:
    writer.commit(database, [batch(0), Missing(Slot(EUI, EPOCH, 2, 1), 1), batch(2)])
    assert next_of(database) == 3
    assert summary(database, ["city"]).quarantined == 0
    done = writer.commit(database, [Missing(Slot(EUI, EPOCH, 2, 1), 1)])
    assert done.duplicates == 1


def test_a_number_without_a_batch_beyond_a_gap_is_still_passed_later(database: Database) -> None:
    writer.commit(database, [Missing(Slot(EUI, EPOCH, 2, 1), 1)])
    assert next_of(database) == 0
    writer.commit(database, [batch(0)])
    assert next_of(database) == 2


def test_a_known_boot_is_restamped_at_ingest_and_never_changed(database: Database) -> None:
    before = stored(database, described(9, 50_000), batch(0, boot=9, last_ms=700))
    after = stored(database, described(9, 60_000), batch(1, boot=9, last_ms=800))
    assert before == [(0, "restamped", 50_000)]
    assert after == [(0, "restamped", 50_000), (1, "restamped", 60_000)]


def test_a_lost_boot_ends_no_later_than_the_present_one_began(database: Database) -> None:
    rows = stored(database, described(9, 50_000), batch(0, boot=8, last_ms=700))
    assert rows == [(0, "bounded", 49_300)]


def test_without_any_boot_the_time_of_arrival_bounds(database: Database) -> None:
    rows = stored(database, described(9, None), batch(0, boot=9, last_ms=700, received_ms=9000))
    assert rows == [(0, "bounded", 8300)]


def test_without_a_clock_a_time_is_given_later_and_nothing_is_read_before(
    database: Database,
) -> None:
    lost, own = batch(0, boot=8, last_ms=100, received_ms=None), batch(1, 9, 700, None)
    assert stored(database, described(9, None), lost, own, batch(2, received_ms=None)) == []
    writer.commit(database, [described(9, 50_000)])
    assert upkeep.settle(database, 90_000, 10, give_up=False) == 2
    assert reader.rows_after(database, 0, 9).rows == ()
    assert upkeep.settle(database, 90_000, 10, give_up=True) == 1
    assert stored(database) == [
        (0, "bounded", 49_900), (1, "restamped", 50_000), (2, "synced", None)
    ]  # fmt: skip


def test_a_failed_migration_leaves_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Database(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(StoreUnavailableError, match="schema 99, this gateway knows 6; upgrade"):
        Database(file)


def test_the_proven_key_is_that_of_the_latest_description(database: Database) -> None:
    assert reader.known(database, EUI, EPOCH, b"hash").proven is None
    writer.commit(database, [batch(0)])
    assert reader.known(database, EUI, EPOCH, b"hash").proven is None
    writer.commit(database, [described(9, 5), described(9, 5, None, b"key id 2"), batch(1)])
    assert reader.known(database, EUI, EPOCH, b"hash").proven == b"key id 2"


def first_schema(file: Path) -> None:
    """Make a store as the first gateways did."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) STRICT")
        schema.migrations()[0](connection)
        connection.execute("INSERT INTO meta (key, value) VALUES ('schema', '1')")
        connection.execute("INSERT INTO node (eui, boot_id) VALUES (?, 9)", (EUI,))
        connection.execute("INSERT INTO stream VALUES (1, ?, 2, 5)", (EPOCH,))


def test_a_store_of_the_first_schema_keeps_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    first_schema(file)
    assert heard_nodes(file) == {}
    assert told_nodes(file) == {}
    database = Database(file)
    assert next_of(database) == 5
    writer.commit(database, [described(9, 5), batch(5)])
    assert reader.known(database, EUI, EPOCH, b"hash").proven == b"key id 1"
    database.close()


def test_a_damaged_store_of_the_first_schema_is_salvaged_too(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    first_schema(file)
    damages.replace(file)
    database = Database(file)
    assert next_of(database) == 5
    database.close()


def test_a_salvage_takes_over_which_keys_are_proven(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    database = Database(file)
    writer.commit(database, [described(9, 5), batch(0)])
    database.close()
    damages.replace(file)
    assert heard_nodes(file) == {EUI: Heard(b"key id 1", 1000)}


def attempted(number: int, outcome: str = "done", sequence: int = 7) -> Attempt:
    return Attempt(EUI, "update", bytes([number] * 8), sequence, outcome, "why", 1, 1000)


def test_what_became_of_a_push_is_kept_once_for_each_thing_and_the_latest_last(
    tmp_path: Path, database: Database
) -> None:
    writer.commit(database, [attempted(1, "asked"), attempted(2), attempted(1, "failed")])
    writer.commit(database, [Report(EUI, "test 1", b"status", 900), batch(0)])
    with database.reading() as connection:
        found = reader.attempts(connection)
    assert found == [attempted(2), attempted(1, "failed")]
    told = told_nodes(tmp_path / "store.db")
    assert told == {EUI: Told("test 1", b"status", 900, 1000, tuple(found))}


def test_a_node_that_is_pushed_to_for_years_fills_no_disk(database: Database) -> None:
    writer.commit(database, [attempted(number) for number in range(200)])
    with database.reading() as connection:
        numbers = [attempt.digest[0] for attempt in reader.attempts(connection)]
    assert numbers == list(range(200 - writer.ATTEMPTS_KEPT, 200))


def test_a_salvage_takes_over_what_nodes_run_and_what_failed_on_them(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    database = Database(file)
    writer.commit(database, [Report(EUI, "test 1", b"status", None), attempted(1, "failed")])
    database.close()
    before = told_nodes(file)
    damages.replace(file)
    assert told_nodes(file) == before
    assert before[EUI].attempts == (attempted(1, "failed"),)


def test_a_spoilt_attempt_is_left_out(database: Database) -> None:
    writer.commit(database, [attempted(1, sequence=6), attempted(2)])
    with database.transaction() as connection:
        connection.execute(
            "UPDATE attempt SET outcome = x'ff' WHERE digest = ?", (bytes([1] * 8),)
        )
    with database.reading() as connection:
        assert reader.attempts(connection) == [attempted(2)]


def test_what_nodes_are_known_for_can_be_seen_beside_a_gateway_that_runs(
    tmp_path: Path, database: Database
) -> None:
    file = tmp_path / "store.db"
    assert heard_nodes(tmp_path / "other.db") == {}
    writer.commit(database, [described(9, None)])
    assert heard_nodes(file) == {EUI: Heard(b"key id 1", None)}
    writer.commit(database, [batch(0, received_ms=5000), batch(1, received_ms=None)])
    assert heard_nodes(file) == {EUI: Heard(b"key id 1", 5000)}
    assert not list(tmp_path.glob("other*"))


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "store.db"
    chance = random.Random(seed)
    seq = 0
    for _ in range(3):
        command = [sys.executable, HERE / "write_until_killed.py", file, "5", str(seq)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer_process:
            assert writer_process.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                seq = int(writer_process.stdout.readline())
            writer_process.kill()
            seq = max([seq, *map(int, writer_process.stdout.read().split("\n")[:-1])])
        database = Database(file)
        durable = reader.known(database, bytes(8), 7, b"").next[2]
        rows = summary(database, ["city"]).last
        database.close()
        assert durable >= seq
        assert rows == durable
        seq = durable


def test_a_full_disk_takes_alarms_then_reserve_and_thinning_make_room(
    tmp_path: Path,
) -> None:
    done = on_a_small_disk("fill_the_disk.py", tmp_path)
    assert done.stdout.splitlines() == [
        "reserve=True",
        "full=no room left alarms=True kept=True",
        "reserve=False why=ended thinned=True",
        "again=40 alarms=True",
        "reserve=True counted=True",
    ], done


def test_nothing_is_thinned_for_a_disk_that_others_have_filled(tmp_path: Path) -> None:
    done = on_a_small_disk("crowd_the_disk.py", tmp_path)
    assert done.stdout == "refused=True thinned=0 kept=500\n", done


def on_a_small_disk(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here: no disk of our own to fill")
    inside = ["unshare", "-rm"]
    if subprocess.run([*inside, "mount", "-t", "tmpfs", "x", folder], check=False).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    command = [*inside, sys.executable, HERE / program, folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_a_damaged_file_is_put_aside_and_a_new_store_begun(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database" * 1000)
    store = Store(tmp_path)
    await store.open()
    assert (await store.commit([batch(0)])).stored == 1
    assert store.damaged_files == 1
    assert (tmp_path / "store.damaged-1.db").read_bytes().startswith(b"not a database")
    await store.close()


async def test_what_is_readable_of_a_damaged_store_is_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = await store.open()
    await store.commit([described(9, 5), *(batch(seq) for seq in range(400))])
    await store.save_cursors(old, "city", (Cursor(100), Cursor(100)))
    await store.close()
    damage(tmp_path / "store.db")
    store = Store(tmp_path)
    assert await store.open() != old
    rows = await store.rows_after(await store.open(), 0, 1000)
    assert 0 < len(rows) <= 300
    assert all(row.descriptor == b"d" for row in rows)
    await store.close()


async def test_a_node_that_still_has_what_the_disk_has_lost_may_hand_it_over_again(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    await store.open()
    await store.commit([described(9, 5), *(batch(seq) for seq in range(400))])
    await store.close()
    damage(tmp_path / "store.db")
    store = Store(tmp_path)
    left = {row.slot.seq for row in await store.rows_after(await store.open(), 0, 1000)}
    lost = min(set(range(400)) - left)
    assert (await store.known(EUI, EPOCH, b"hash")).next[2] == lost
    again = await store.commit([batch(lost), batch(max(left))])
    assert (again.stored, again.duplicates) == (1, 1)
    again = await store.commit([Advance(EUI, EPOCH, 2, 400), batch(lost + 1)])
    assert (again.stored, again.duplicates) == (0, 1)
    assert (await store.known(EUI, EPOCH, b"hash")).next[2] == 400
    await store.close()


def damage(file: Path) -> None:
    """Overwrite the middle one of the pages that hold batches."""
    data = bytearray(file.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    pages = [start for start in range(0, len(data), size) if b"item" in data[start + 512 :][:size]]
    middle = pages[len(pages) // 2]
    data[middle : middle + size] = b"\xff" * size
    file.write_bytes(data)


def spoil(file: Path) -> None:
    """Overwrite all but the first page of an open store, and make its owner read it again."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = file.stat().st_size
        with file.open("r+b") as pages:
            pages.seek(4096)
            pages.write(b"\xff" * (size - 4096))
        other.execute("CREATE TABLE another (id)")


async def test_damage_met_while_running_begins_a_new_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = await store.open()
    await store.commit([batch(seq) for seq in range(400)])
    spoil(store.file)
    with pytest.raises(StoreDamagedError):
        await store.commit([batch(400)])
    assert (await store.commit([batch(9000)])).stored == 1
    with pytest.raises(StoreReplacedError):
        await store.rows_after(old, 0, 1)
    assert store.losses == 1
    await store.close()


async def test_two_gateways_never_share_a_folder(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    await first.open()
    with pytest.raises(StoreUnavailableError, match="in use by another gateway"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = Store(tmp_path / "file" / "data")
    with pytest.raises(StoreUnavailableError, match="file: is a file, not a folder; move"):
        await store.open()
    await store.close()


async def filled_and_closed(folder: Path) -> str:
    store = Store(folder)
    store_id = await store.open()
    await store.commit([described(9, 5), *(batch(seq) for seq in range(400))])
    await store.close()
    return store_id


async def reopened(folder: Path) -> tuple[str, int]:
    """Open the store of a folder; return its id and how many batches it holds."""
    store = Store(folder)
    try:
        store_id = await store.open()
        return store_id, len(await store.rows_after(store_id, 0, 1000))
    finally:
        await store.close()


@pytest.mark.parametrize(
    "spoilt", [(b"CREATE TABLE batch", b"CREATE T\xffBLE batch"), (b"last_ms", b"lost_ms")]
)
async def test_a_store_whose_tables_were_spoilt_never_stops_the_gateway(
    tmp_path: Path, spoilt: tuple[bytes, bytes]
) -> None:
    old = await filled_and_closed(tmp_path)
    file = tmp_path / "store.db"
    file.write_bytes(file.read_bytes().replace(*spoilt))
    store = Store(tmp_path)
    for _ in range(2):
        with contextlib.suppress(StoreDamagedError):
            await store.commit([batch(1000)])
    assert await store.open() != old
    assert store.damaged_files == 1
    await store.close()


@pytest.mark.parametrize(
    "spoil_it",
    [
        "UPDATE cursor SET done = 1000000",
        "UPDATE meta SET value = 'x' WHERE key = 'schema'",
        "DELETE FROM meta WHERE key = 'store_id'",
    ],
)
async def test_a_store_that_cannot_say_where_it_is_gives_all_it_holds_to_a_new_one(
    tmp_path: Path, spoil_it: str
) -> None:
    old = await filled_and_closed(tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.execute(spoil_it)
    store_id, held = await reopened(tmp_path)
    assert (store_id != old, held) == (True, 400)


async def test_a_spoilt_counter_does_not_make_the_salvage_endless(tmp_path: Path) -> None:
    await filled_and_closed(tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 1 << 60 WHERE name = 'batch'")
        connection.execute("DELETE FROM meta WHERE key = 'store_id'")
    assert (await reopened(tmp_path))[1] == 400


async def test_a_damaged_store_stays_until_its_copy_is_done(tmp_path: Path) -> None:
    await filled_and_closed(tmp_path)
    file, obstacle = tmp_path / "store.db", tmp_path / "store.new.db"
    damage(file)
    (obstacle / "something").mkdir(parents=True)
    store = Store(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await store.commit([batch(1000)])
    assert (store.damaged_files, store.losses) == (0, 0)
    shutil.rmtree(obstacle)
    for _ in range(40):
        with contextlib.suppress(StoreUnavailableError):
            await store.open()
    assert (store.damaged_files, store.losses) == (1, 1)
    assert (await store.summary()).waiting > 200
    await store.close()


async def test_a_replacement_that_was_cut_short_is_finished_at_the_next_start(
    tmp_path: Path,
) -> None:
    await filled_and_closed(tmp_path)
    file, fresh = tmp_path / "store.db", tmp_path / "store.new.db"
    damages.replace(file)
    file.rename(fresh)
    (tmp_path / "store.db-wal").write_bytes(b"of the damaged one")
    assert (await reopened(tmp_path))[1] == 400
    assert (tmp_path / "store.damaged-1.db-wal").read_bytes() == b"of the damaged one"
    assert not fresh.exists()


def test_a_row_that_was_damaged_unnoticed_does_not_block_those_behind_it(
    database: Database,
) -> None:
    writer.commit(database, [described(9, 5), *(batch(seq) for seq in range(8))])
    spoilt = ["quality = x'ff'", "offset_ms = 'x'", "epoch = -1", "item = 5", "quality = 'sinced'"]
    for pos, change in enumerate(spoilt, start=2):
        database.connection.execute(f"UPDATE batch SET {change} WHERE pos = {pos}")  # noqa: S608
    found = reader.rows_after(database, 0, 99)
    assert [row.pos for row in found.rows] == [1, 7, 8]
    assert found.damaged == (2, 3, 4, 5, 6)


def test_a_descriptor_of_another_node_says_nothing_of_a_batch(database: Database) -> None:
    other = Description(bytes(8), 1, None, 5, b"hash", 1, b"of another", b"id")
    writer.commit(database, [described(9, 5), other, batch(0)])
    database.connection.execute("UPDATE batch SET descriptor = 2")
    assert reader.rows_after(database, 0, 9).damaged == (1,)


async def test_what_is_stored_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    await store.open()
    await store.commit([batch(0)])
    modes = {file.name: file.stat().st_mode & 0o077 for file in (tmp_path / "data").iterdir()}
    assert set(modes) >= {"store.db", "store.db-wal"}
    assert set(modes.values()) == {0}
    await store.close()
