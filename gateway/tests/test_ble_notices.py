import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import UNIX_2000_MS, Clock
from lilong_gateway.errors import StoreError, StoreFullError
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.alarm_board import LISTED
from lilong_gateway.radio.listener import Listener
from lilong_gateway.roster import Roster
from lilong_gateway.store import damage as damages
from lilong_gateway.store import notices, schema, upkeep, writer
from lilong_gateway.store.database import Database
from lilong_gateway.store.notices import CONFIRMED, GONE, NOTICES_KEPT
from lilong_gateway.store.records import (
    Advance,
    AdvertCounter,
    Arrival,
    Believed,
    Committed,
    Entry,
    Missing,
    Notice,
    Noticed,
    Relief,
    Slot,
    Unreadable,
)
from lilong_gateway.store.sequence import Sequence
from lilong_gateway.store.store import Store
from lilong_protocol.advert import Told, seal_advert

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
KEY = bytes(range(16))
EPOCH = 0xCAFE
NOW_MS = 820_000_000_000


def batch(
    seq: int, stream: int = 0, epoch: int = EPOCH, received_ms: int | None = 2000
) -> Arrival:
    return Arrival(Slot(EUI, epoch, stream, seq), b"item", 1, None, 0, received_ms)


def notice(low_seq: int, channel: int = 3, *, raised: bool = True, counter: int = 1) -> Notice:
    return Notice(EUI, b"key id 1", counter, channel, low_seq & 0xFF, raised, 1000, -60, "hci0")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.db")
    yield database
    database.close()


def held(database: Database) -> list[Noticed]:
    with database.reading() as connection:
        return notices.latest(connection, 1000)


def told(database: Database) -> list[tuple[int, str | None, int | None]]:
    return [(one.seq, one.outcome, one.settled_ms) for one in held(database)]


def commit(database: Database, *entries: Entry) -> Committed:
    return writer.commit(database, entries)


def reach(database: Database, first: int, epoch: int = EPOCH) -> None:
    """Make first the next number of the node's alarm stream."""
    commit(database, batch(first - 1, epoch=epoch), Advance(EUI, epoch, 0, first))


def test_an_alarm_is_noticed_once_and_its_counter_is_kept_in_any_case(database: Database) -> None:
    done = commit(database, notice(0), notice(0, counter=2), notice(0, counter=3))
    assert done.notices == (Noticed(1, EUI, 3, 0, True, 1000, None, None),)
    assert commit(database, notice(0, counter=4)).notices == ()
    assert told(database) == [(0, None, None)]
    with database.reading() as connection:
        found = notices.believed(connection)
    assert found == Believed((AdvertCounter(EUI, b"key id 1", 4),), ())


def test_a_notice_keeps_how_it_was_heard(database: Database) -> None:
    commit(database, notice(5, 104, raised=False, counter=77))
    row = database.connection.execute(
        "SELECT epoch, channel, seq, raised, key, counter, heard_ms, rssi, adapter FROM notice"
    ).fetchone()
    assert row == (None, 104, 5, 0, b"key id 1", 77, 1000, -60, "hci0")


def test_raised_and_cleared_channels_and_numbers_are_told_apart(database: Database) -> None:
    reach(database, 10)
    changed = commit(
        database, notice(10), notice(10, 4), notice(11), notice(11, raised=False)
    ).notices
    assert [(one.seq, one.channel, one.raised) for one in changed] == [
        *((10, 3, True), (10, 4, True)),
        *((11, 3, True), (11, 3, False)),
    ]


@pytest.mark.parametrize("first", [0, 1, 7, 200, 250, 255, 256, 257, 300, 1000, 65_530])
def test_the_low_bits_lead_to_the_number_that_is_yet_to_come(first: int) -> None:
    sequence = Sequence(first, [first + 3])
    for seq in (first, first + 1, first + 5, first + 100, first + 191):
        assert notices.guess(sequence, seq & 0xFF) == seq
    for seq in (first - 1, first - 16, first - 64):
        if seq >= 0:
            assert notices.guess(sequence, seq & 0xFF) is None
    assert notices.guess(sequence, (first + 3) & 0xFF) is None


def test_an_alarm_whose_batch_is_here_already_makes_no_notice(database: Database) -> None:
    reach(database, 300)
    done = commit(database, batch(302), notice(299), notice(302), batch(300), notice(300))
    assert done.notices == ()
    assert [one.seq for one in commit(database, notice(301)).notices] == [301]


def test_a_batch_confirms_the_notice_of_its_alarm_across_the_wrap(database: Database) -> None:
    reach(database, 255)
    commit(database, notice(256), notice(257))
    assert commit(database, batch(255)).notices == ()
    done = commit(database, batch(256, received_ms=2500))
    assert done.notices == (Noticed(1, EUI, 3, 256, True, 1000, CONFIRMED, 2500),)
    assert told(database) == [(256, CONFIRMED, 2500), (257, None, None)]


def test_batches_of_other_streams_confirm_nothing(database: Database) -> None:
    commit(database, notice(0), *(batch(0, stream) for stream in (1, 2, 3)))
    assert told(database) == [(0, None, None)]


def test_a_confirmation_is_in_the_transaction_of_its_batch(database: Database) -> None:
    commit(database, notice(0))
    spoilt = Arrival(Slot(EUI, EPOCH, 0, 1), b"item", 1 << 70, None, 0, 2000)
    with pytest.raises(OverflowError):
        commit(database, batch(0), spoilt)
    assert told(database) == [(0, None, None)]
    assert commit(database, batch(0)).stored == 1
    assert told(database) == [(0, CONFIRMED, 2000)]


def test_a_batch_in_the_same_transaction_confirms_what_was_noticed_before(
    database: Database,
) -> None:
    outcomes = [one.outcome for one in commit(database, notice(0), batch(0)).notices]
    assert outcomes == [None, CONFIRMED]


def test_a_batch_without_a_time_confirms_too(database: Database) -> None:
    commit(database, notice(0), batch(0, received_ms=None))
    assert told(database) == [(0, CONFIRMED, None)]


def test_a_batch_of_a_new_epoch_confirms_by_its_low_bits(database: Database) -> None:
    reach(database, 700)
    commit(database, notice(4))
    assert told(database) == [(772, None, None)]
    commit(database, batch(4, epoch=7))
    assert told(database) == [(4, CONFIRMED, 2000)]
    assert [one.seq for one in commit(database, notice(5)).notices] == [5]


def test_a_batch_that_cannot_be_decoded_confirms_and_one_that_was_lost_does_not(
    database: Database,
) -> None:
    commit(database, notice(0), notice(1))
    commit(database, Unreadable(batch(0).slot, b"?", "bad", 2000), Missing(batch(1).slot, 2000))
    assert told(database) == [(0, CONFIRMED, 2000), (1, GONE, 2000)]


def test_a_repeated_batch_confirms_what_was_guessed_for_another_epoch(database: Database) -> None:
    reach(database, 5)
    database.connection.execute("UPDATE node SET epoch = NULL")
    database.memory.forget()
    commit(database, notice(4))
    done = commit(database, batch(4))
    assert (done.duplicates, [one.outcome for one in done.notices]) == (1, [CONFIRMED])


def test_what_another_gateway_got_is_gone_and_what_lies_ahead_is_still_awaited(
    database: Database,
) -> None:
    commit(database, batch(0))
    commit(database, notice(1000), notice(990, 4))
    assert [seq for seq, _, _ in told(database)] == [232, 222]
    done = commit(database, Advance(EUI, EPOCH, 0, 1000))
    assert [(one.channel, one.outcome) for one in done.notices] == [(4, GONE)]
    commit(database, batch(1000))
    assert told(database) == [(1000, CONFIRMED, 2000), (222, GONE, None)]


def test_a_node_that_holds_no_alarm_settles_its_notices(database: Database) -> None:
    commit(database, notice(0), Relief(EUI), Relief(EUI))
    assert told(database) == [(0, GONE, None)]


def test_a_node_whose_alarms_come_and_go_for_years_fills_no_disk(database: Database) -> None:
    for seq in range(0, 600, 10):
        entries = [notice(each, counter=each) for each in range(seq, seq + 10)]
        commit(database, *entries, *(batch(each) for each in range(seq, seq + 10)))
    assert [one.seq for one in held(database)] == list(range(600 - NOTICES_KEPT, 600))


def test_settled_notices_of_age_are_pruned_a_few_at_a_time(database: Database) -> None:
    commit(database, *(notice(seq) for seq in range(6)))
    commit(database, *(batch(seq, received_ms=2000 + seq) for seq in range(5)))
    assert upkeep.prune(database, ["city"], before_ms=2004, limit=3) == 0
    assert [one.seq for one in held(database)] == [3, 4, 5]
    upkeep.prune(database, ["city"], before_ms=2004, limit=3)
    upkeep.prune(database, ["city"], before_ms=2004, limit=3)
    assert told(database) == [(4, CONFIRMED, 2004), (5, None, None)]


def third_schema(file: Path) -> None:
    """Make a store as the gateways did before they heard advertisements."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) STRICT")
        for migration in schema.migrations()[:3]:
            migration(connection)
        connection.execute("INSERT INTO meta (key, value) VALUES ('schema', '3')")
        connection.execute("INSERT INTO node (eui, heard_ms) VALUES (?, 900)", (EUI,))
        connection.execute("INSERT INTO stream VALUES (1, 1, 0, 50), (1, ?, 0, 700)", (EPOCH,))
        connection.executemany(
            "INSERT INTO batch (node, epoch, stream, seq, quality, readings, item, received_ms)"
            " VALUES (1, ?, 0, ?, 'synced', 1, x'00', 900)",
            [(EPOCH + 1, 3), (1, 49), (EPOCH, 698), (EPOCH, 699)],
        )


def test_a_store_of_the_third_schema_knows_the_epoch_of_its_latest_batch(tmp_path: Path) -> None:
    third_schema(tmp_path / "store.db")
    database = Database(tmp_path / "store.db")
    assert [one.seq for one in commit(database, notice(701)).notices] == [701]
    commit(database, batch(700), batch(701))
    assert told(database) == [(701, CONFIRMED, 2000)]
    database.close()


def test_a_damaged_store_of_the_third_schema_is_salvaged_too(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    third_schema(file)
    assert damages.replace(file).salvaged.taken == 4
    database = Database(file)
    assert held(database) == []
    commit(database, batch(700), notice(701))
    assert [seq for seq, _, _ in told(database)] == [701]
    database.close()


def test_a_salvage_takes_over_notices_counters_and_epochs(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    database = Database(file)
    reach(database, 300)
    commit(database, notice(300, counter=8), notice(301, counter=9), batch(300))
    before = told(database)
    database.close()
    damages.replace(file)
    database = Database(file)
    assert told(database) == before == [(300, CONFIRMED, 2000), (301, None, None)]
    with database.reading() as connection:
        assert [one.counter for one in notices.believed(connection).counters] == [9]
    assert [one.seq for one in commit(database, notice(302), batch(301)).notices] == [302, 301]
    database.close()


def test_spoilt_rows_are_left_out_and_stop_nothing(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    database = Database(file)
    commit(database, *(notice(seq, counter=5) for seq in range(4)))
    execute = database.connection.execute
    execute("UPDATE notice SET seq = 'x' WHERE id = 1")
    execute("UPDATE notice SET raised = x'ff' WHERE id = 2")
    execute("PRAGMA ignore_check_constraints = ON")
    execute("UPDATE advert SET counter = 'x'")
    assert [seq for seq, _, _ in told(database)] == [2, 3]
    done = commit(database, *(batch(seq) for seq in range(4)))
    assert (done.stored, [one.seq for one in done.notices]) == (4, [2, 3])
    with database.reading() as connection:
        assert notices.believed(connection).counters == ()
    database.close()
    damages.replace(file)
    database = Database(file)
    commit(database, notice(9, counter=6))
    with database.reading() as connection:
        assert [one.counter for one in notices.believed(connection).counters] == [6]
    database.close()


class Hands(Clock):
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.wall: int | None = NOW_MS
        self.steady = 1_000_000

    def wall_ms(self) -> int | None:
        return self.wall

    def steady_ms(self) -> int:
        return self.steady

    def wait(self, wait_ms: int) -> None:
        self.steady += wait_ms
        self.wall = None if self.wall is None else self.wall + wait_ms


class WeakStore(Store):
    """A store that has no room, or cannot be read, while told so."""

    trouble: StoreError | None = None
    commits = 0

    async def commit(self, entries: Any) -> Committed:
        if self.trouble is not None:
            raise self.trouble
        self.commits += 1
        return await super().commit(entries)

    async def believed(self) -> Believed:
        if self.trouble is not None:
            raise self.trouble
        return await super().believed()


class Post:
    """A listener with all that it stands on, but a radio."""

    def __init__(self, folder: Path, limit: int = 4096) -> None:
        self.clock = Hands()
        self.store = WeakStore(folder)
        self.ingest = Ingest(self.store, asyncio.Event(), Backoff(lambda: 0.5, 0.01, 0.02), limit)
        keys = KeyRing({EUI: [KEY]})
        self.listener = Listener(keys, Proofs(keys), Roster(), self.store, self.ingest, self.clock)
        self.counter = 0

    def hear(self, seq: int | None, channel: int = 3, counter: int | None = None) -> bool:
        """Hear that an alarm waits, None: that none does; whether that is believed."""
        self.counter = self.counter + 1 if counter is None else counter
        what = Told(
            alarm=seq is not None,
            raised=True,
            device_class=2,
            waiting=1,
            age_s=0,
            supply_mv=None,
            channel=channel,
            seq=seq or 0,
        )
        data = seal_advert(KEY, EUI, self.counter, what)
        return self.listener.heard(data, "hci0", -60, self.clock.steady_ms()) is not None

    def offer(self, *entries: Entry) -> None:
        for entry in entries:
            assert self.ingest.offer(entry, lambda: None)

    def outcomes(self) -> list[object]:
        return [one["outcome"] for one in self.listener.board.status()]

    async def listening(self, eventually: Callable[..., Any]) -> None:
        """Wait until the store has said what is old."""
        await eventually(lambda: self.hear(None))


@asynccontextmanager
async def posted(folder: Path, limit: int = 4096) -> AsyncIterator[Post]:
    post = Post(folder, limit)
    duties = [post.ingest.run(), post.listener.run()]
    tasks = [asyncio.create_task(duty) for duty in duties]
    try:
        yield post
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await post.store.close()


async def test_an_alarm_is_on_the_board_until_its_batch_has_come(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        board = post.listener.board
        post.hear(0, 104)
        await eventually(lambda: board.awaited == [EUI])
        post.clock.wait(850)
        post.offer(batch(0, received_ms=NOW_MS + 850))
        await eventually(lambda: board.awaited == [])
        assert board.status() == [
            {
                "eui": EUI.hex(),
                "channel": 104,
                "raised": True,
                "heard_ms": NOW_MS + UNIX_2000_MS,
                "confirmed_ms": NOW_MS + 850 + UNIX_2000_MS,
                "outcome": CONFIRMED,
            }
        ]
    assert [record.getMessage() for record in caplog.records] == [
        f"alarm heard eui={EUI.hex()} channel=104 raised=1",
        f"alarm confirmed eui={EUI.hex()} channel=104 raised=1 after_ms=850",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    counters = post.listener.counters
    assert (counters["noticed"], counters["confirmed"], counters["gone"]) == (1, 1, 0)


async def test_an_alarm_that_is_told_again_and_again_costs_one_commit(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        await eventually(lambda: post.store.commits == 1)
        for _ in range(50):
            post.hear(0)
            post.hear(0, counter=post.counter)
            await asyncio.sleep(0)
        await eventually(lambda: post.listener.counters["noticed"] == 1)
        assert post.store.commits == 2
        post.clock.wait(59_999)
        post.hear(0)
        assert post.ingest.waiting == 0
        post.clock.wait(1)
        post.hear(0)
        assert post.ingest.waiting == 1
        await eventually(lambda: post.ingest.waiting == 0)
        post.hear(0)
        assert post.ingest.waiting == 0
        assert post.listener.counters["noticed"] == 1


async def test_a_queue_without_room_gets_the_alarm_with_the_next_repetition(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path, limit=2) as post:
        await post.listening(eventually)
        await eventually(lambda: post.ingest.waiting == 0)
        post.offer(batch(5), batch(6))
        post.hear(0)
        await eventually(lambda: post.ingest.waiting == 0)
        assert post.listener.counters["noticed"] == 0
        post.hear(0, counter=post.counter)
        await eventually(lambda: post.listener.counters["noticed"] == 1)


async def test_an_alarm_that_a_full_disk_cannot_take_is_logged_and_stored_later(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        await eventually(lambda: post.ingest.waiting == 0)
        post.store.trouble = StoreFullError("no room left")
        post.offer(batch(0, 2))
        await eventually(lambda: post.ingest.trouble is not None)
        for _ in range(100):
            post.hear(0)
            post.clock.wait(60_000)
        assert post.ingest.waiting == 2
        assert "alarm heard and not yet stored" in caplog.text
        post.store.trouble = None
        await eventually(lambda: post.listener.board.awaited == [EUI])


async def test_an_alarm_that_is_not_confirmed_is_named_once(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        post.hear(0)
        await eventually(lambda: post.listener.board.awaited == [EUI])
        for wait_ms in (59_999, 1, 60_000, 60_000):
            post.clock.wait(wait_ms)
            post.listener.board.look()
            assert post.listener.counters["late"] == (wait_ms != 59_999)
    late = [one for one in caplog.records if one.getMessage().startswith("alarm unconfirmed")]
    assert len(late) == 1


async def test_an_alarm_that_another_gateway_got_is_no_longer_awaited(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        post.hear(0)
        await eventually(lambda: post.listener.board.awaited == [EUI])
        post.hear(None)
        await eventually(lambda: post.outcomes() == [GONE])
        post.hear(1)
        await eventually(lambda: post.listener.board.awaited == [EUI])
        post.offer(Missing(batch(1).slot, NOW_MS))
        await eventually(lambda: post.outcomes() == [GONE, GONE])
        assert [one["confirmed_ms"] for one in post.listener.board.status()] == [None, None]
        assert post.listener.counters["gone"] == 2


async def test_after_a_restart_what_was_noticed_is_awaited_and_old_adverts_are_not_believed(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        post.hear(0)
        await eventually(lambda: post.listener.board.awaited == [EUI])
        counter = post.counter
    async with posted(tmp_path) as post:
        assert not post.hear(0, counter=counter - 1)
        await eventually(lambda: post.listener.board.awaited == [EUI])
        assert not post.hear(5, counter=counter - 1)
        assert post.listener.counters["replayed"] == 2
        assert post.hear(0, counter=counter)
        post.offer(batch(0, received_ms=NOW_MS + 5000))
        await eventually(lambda: post.outcomes() == [CONFIRMED])
        assert post.listener.counters["noticed"] == 0


async def test_what_was_heard_before_the_store_answers_is_noticed_then(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path) as post:
        post.store.trouble = StoreFullError("no room left")
        await asyncio.sleep(0)
        assert not post.hear(0)
        assert post.listener.counters["held"] == 1
        post.store.trouble = None
        await eventually(lambda: post.listener.board.awaited == [EUI])
        assert post.hear(0, counter=post.counter)


async def test_counters_without_an_alarm_are_known_after_a_restart_too(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        await eventually(lambda: post.store.commits == 1)
        post.hear(None)
        post.clock.wait(60_000)
        await eventually(lambda: post.store.commits == 2)
        counter = post.counter
    async with posted(tmp_path) as post:
        known = (await post.store.believed()).counters
        assert known == (AdvertCounter(EUI, key_id(KEY), counter),)
        await eventually(lambda: post.hear(None, counter=counter))
        assert not post.hear(9, counter=counter - 1)


async def test_the_board_and_the_log_are_bounded_and_what_is_awaited_stays_longest(
    tmp_path: Path, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with posted(tmp_path) as post:
        await post.listening(eventually)
        for seq in range(LISTED + 50):
            post.hear(seq)
            if seq:
                post.offer(batch(seq))
        await eventually(lambda: post.listener.counters["confirmed"] == LISTED + 49)
        assert len(post.listener.board.status()) == LISTED
        assert post.listener.board.awaited == [EUI]
    assert len(caplog.records) == 13
    assert caplog.records[-1].getMessage().startswith("alarms not logged for a minute")
