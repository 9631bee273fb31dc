import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.store import damage, notices, reader, schema, upkeep, writer
from lilong_gateway.store.cursors import of_sink
from lilong_gateway.store.database import Database
from lilong_gateway.store.glance import heard_nodes, told_nodes
from lilong_gateway.store.patrol import Patrol
from lilong_gateway.store.records import Arrival, Cursor, Slot
from lilong_gateway.store.summary import summary
from lilong_gateway.store.view import View

HERE = Path(__file__).parent
A = bytes.fromhex("0a1b2c3d4e5f6071")
B = bytes.fromhex("0a1b2c3d4e5f6072")
NOW_MS = 820_000_000_000
RELEASED = [1, 2, 3, 4]
KEYED, TOLD, NOTICED = 2, 3, 4

DATA_OF_A = [*range(3, 12), 14]
"""The first three were delivered and pruned; 12 is in quarantine, 13 never came."""


def old_store(file: Path, released: int) -> Path:
    """Make a store with what a gateway of that schema left in it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((HERE / "stores" / f"schema{released}.sql").read_text("utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return file


def assert_all_is_there(database: Database, released: int) -> None:
    assert database.store_id == f"0011223{released}"
    known = reader.known(database, A, 7, b"hash-a..")
    assert known.next == (2, 0, 13, 1)
    assert known.described
    assert known.proven == (None if released < KEYED else b"key id 1")
    assert reader.known(database, B, 7, b"hash-b..").next == (0, 0, 3, 0)
    assert of_sink(database.connection, "city") == (Cursor(5), Cursor(5))
    upkeep.settle(database, NOW_MS + 9, 100, give_up=True)
    found = reader.rows_after(database, 0, 100)
    assert found.damaged == ()
    of_a = [row for row in found.rows if row.slot.eui == A]
    assert [row.slot.seq for row in of_a if row.slot.stream == 2] == DATA_OF_A
    assert [row.slot.seq for row in of_a if row.slot.stream == 0] == [0, 1]
    assert {row.received_ms for row in of_a} == {NOW_MS}
    assert all(row.item and row.descriptor and row.one_in == 1 for row in found.rows)
    assert [row.slot.seq for row in found.rows if row.slot.eui == B] == [0, 1, 2]
    assert summary(database, ["city"]).quarantined == 1
    attempts = reader.attempts(database.connection)
    assert [one.why for one in attempts] == (["no room"] if released >= TOLD else [])
    heard = notices.latest(database.connection, 9)
    assert len(heard) == (2 if released >= NOTICED else 0)
    if released >= NOTICED:
        assert [one.counter for one in notices.believed(database.connection).counters] == [55, 66]


@pytest.mark.parametrize("released", RELEASED)
def test_a_store_of_each_released_schema_keeps_everything_and_goes_on(
    tmp_path: Path, released: int
) -> None:
    file = old_store(tmp_path / "store.db", released)
    heard, told = heard_nodes(file), told_nodes(file)
    database = Database(file)
    assert_all_is_there(database, released)
    repeated = Arrival(Slot(A, 7, 2, 5), b"item", 3, None, 0, NOW_MS)
    fresh = Arrival(Slot(A, 7, 2, 13), b"item", 3, None, 0, NOW_MS + 5)
    done = writer.commit(database, [repeated, fresh])
    assert (done.stored, done.duplicates) == (1, 1)
    writer.commit(database, [Arrival(Slot(A, 7, 2, 15), b"item", 3, None, 0, NOW_MS + 5)])
    # That 16 was given up came beyond a gap, where it is on record.
    assert reader.known(database, A, 7, b"").next[2] == (17 if released >= NOTICED else 16)
    database.close()
    if released >= KEYED:
        assert heard_nodes(file)[A].proven == heard[A].proven
        assert heard_nodes(file)[A].heard_ms == NOW_MS + 5
        assert heard_nodes(file)[B] == heard[B]
    if released >= TOLD:
        assert told_nodes(file)[B] == told[B]
        assert told_nodes(file)[A].status == told[A].status == b"status"


@pytest.mark.parametrize("released", RELEASED)
def test_old_batches_are_classed_and_pass_as_sound(tmp_path: Path, released: int) -> None:
    database = Database(old_store(tmp_path / "store.db", released))
    patrol = Patrol()
    assert not patrol.step(database, 100)
    classes = database.connection.execute("SELECT stream, privacy FROM batch").fetchall()
    assert {privacy for stream, privacy in classes if stream != 3} == {0}
    assert {privacy for stream, privacy in classes if stream == 3} == {3}
    assert not patrol.step(database, 100)
    assert patrol.oldest_ms == (NOW_MS, None, None, NOW_MS)
    assert summary(database, ["city"]).damaged_rows == 0
    database.close()


@pytest.mark.parametrize("released", RELEASED)
def test_a_damaged_store_of_each_released_schema_is_salvaged(
    tmp_path: Path, released: int
) -> None:
    file = old_store(tmp_path / "store.db", released)
    told = damage.replace(file).salvaged
    assert (told.damaged, told.unreadable, told.lost) == (0, 0, ())
    database = Database(file)
    upkeep.settle(database, NOW_MS + 9, 100, give_up=True)
    found = reader.rows_after(database, 0, 100)
    assert len(found.rows) == told.taken
    delivered = 5
    assert {row.slot.seq for row in found.rows if row.slot[::2] == (A, 2)} >= set(
        range(delivered, 12)
    )
    assert reader.known(database, A, 7, b"").next == (2, 0, 13, 1)
    database.close()


def statements(file: Path, number: int) -> bool:
    """Open a store and be killed at a statement; whether there was none of that number."""
    command = [sys.executable, str(HERE / "migrate_until_killed.py"), str(file), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("released", RELEASED)
def test_a_kill_at_any_statement_of_a_migration_loses_nothing(
    tmp_path: Path, released: int
) -> None:
    original = old_store(tmp_path / "original.db", released)
    number, ended = 0, False
    while not ended:
        file = tmp_path / "store.db"
        for part in tmp_path.glob("store.db*"):
            part.unlink()
        shutil.copy(original, file)
        ended = statements(file, number)
        database = Database(file)
        assert_all_is_there(database, released)
        database.close()
        number += 1 if released == RELEASED[0] else 3
    assert number > len(schema.migrations()) - released


def test_a_newer_store_is_refused_with_advice_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Database(file).close()
    newer = len(schema.migrations()) + 1
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(newer),))
    before = file.read_bytes()
    for kind in (Database, View):
        with pytest.raises(StoreUnavailableError, match=f"has schema {newer}.*upgrade lilong"):
            kind(file)
    assert file.read_bytes() == before


def test_an_older_store_is_not_touched_by_those_who_only_look(tmp_path: Path) -> None:
    file = old_store(tmp_path / "store.db", 4)
    with pytest.raises(StoreUnavailableError, match="start the gateway of this version once"):
        View(file)
    os.chmod(file, 0o400)  # noqa: PTH101 - nothing may be written
    with closing(sqlite3.connect(file)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    assert row == ("4",)
