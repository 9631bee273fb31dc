import logging
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hear_until_killed import EUI, KEY, alarm

from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.judge import OLD_ADVERT, Heard, Judge
from lilong_gateway.roster import Roster
from lilong_gateway.store import notices, writer
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import AdvertCounter, AdvertCounters, Believed, Description
from lilong_protocol.advert import ADVERT_BYTES, Told, seal_advert

HERE = Path(__file__).parent
NEW_KEY = bytes(range(16, 32))
OTHER = bytes.fromhex("0a1b2c3d4e5f6072")
NOTHING = Believed((), ())


def quiet(counter: int, key: bytes = KEY, eui: bytes = EUI, waiting: int = 1) -> bytes:
    told = Told(
        alarm=False,
        raised=False,
        device_class=2,
        waiting=waiting,
        age_s=0,
        supply_mv=3300,
        channel=0,
        seq=0,
    )
    return seal_advert(key, eui, counter, told)


class Ear:
    """A judge, and what it needs."""

    def __init__(
        self, keys: Iterable[bytes] = (KEY,), believed: Believed | None = NOTHING
    ) -> None:
        self.ring = KeyRing({EUI: list(keys)})
        self.proofs = Proofs(self.ring)
        self.roster = Roster()
        self.now_ms = 1_000_000
        self.judge = Judge(self.ring, self.proofs, self.roster)
        if believed is not None:
            self.judge.recall(believed, self.now_ms)

    def hear(self, data: bytes) -> Heard | None:
        return self.judge.hear(data, "hci0", self.now_ms)

    def fresh(self, *adverts: bytes) -> list[int]:
        """The counters of those that are believed and new."""
        found = [self.hear(data) for data in adverts]
        return [heard.counter for heard in found if heard is not None and heard.fresh]

    def hold(self, *keys: bytes, revoked: bool = False) -> None:
        """Change the keys of the node."""
        self.ring.take(KeyRing({EUI: list(keys)}, {EUI: "stolen"} if revoked else {}))

    def refused(self) -> dict[str, tuple[str, int]]:
        return {name: (one.reason, one.count) for name, one in self.roster.refused.items()}


def test_a_new_advert_is_believed_once_and_its_repetitions_are_not_new() -> None:
    ear = Ear()
    first, again = ear.hear(quiet(5)), ear.hear(quiet(5))
    assert first is not None
    assert again is not None
    assert (first.eui, first.counter, first.told.waiting, first.fresh) == (EUI, 5, 1, True)
    assert (again.counter, again.told, again.fresh) == (5, first.told, False)
    assert ear.judge.counters.heard == 2
    assert ear.judge.counters.repeated == 1


def test_what_is_below_the_highest_counter_is_counted_and_ignored() -> None:
    ear = Ear()
    assert ear.fresh(quiet(5), quiet(9), quiet(8), quiet(5), quiet(9), quiet(10)) == [5, 9, 10]
    assert ear.judge.counters.replayed == 2
    assert ear.judge.counters.repeated == 1
    assert ear.refused() == {}


def test_another_content_under_the_same_counter_is_not_believed() -> None:
    ear = Ear()
    assert ear.fresh(quiet(5), quiet(5, waiting=9)) == [5]
    assert ear.judge.counters.replayed == 1


def test_a_node_that_lost_its_counter_is_named_after_a_minute() -> None:
    ear = Ear()
    ear.fresh(quiet(5000))
    ear.now_ms += 61_000
    assert ear.fresh(quiet(1), quiet(2)) == []
    assert ear.refused() == {EUI.hex(): (OLD_ADVERT, 2)}


def test_an_old_advert_that_comes_late_by_another_adapter_is_no_matter_for_the_log() -> None:
    ear = Ear()
    ear.fresh(quiet(5), quiet(6))
    ear.now_ms += 61_000
    assert ear.hear(quiet(6)) is not None
    assert ear.hear(quiet(5)) is None
    assert ear.refused() == {}


@pytest.mark.parametrize("spoil", range(1, ADVERT_BYTES))
def test_an_advert_with_a_changed_byte_has_no_effect(spoil: int) -> None:
    ear = Ear()
    ear.fresh(quiet(5))
    data = bytearray(quiet(6))
    data[spoil] ^= 1
    assert ear.hear(bytes(data)) is None
    counters = ear.judge.counters
    assert (counters.unauthentic, counters.strangers) == ((0, 1) if spoil < 9 else (1, 0))
    assert ear.fresh(quiet(6)) == [6]


def test_what_is_no_advert_of_ours_is_counted() -> None:
    ear = Ear()
    for data in (b"", quiet(5)[:-1], quiet(5) + b"\0", b"\x4c" + quiet(5)[1:], bytes(24)):
        assert ear.hear(data) is None
    assert ear.judge.counters.malformed == 5
    assert ear.refused() == {}


def test_a_repeated_forgery_is_counted_every_time_and_named_as_a_wrong_key() -> None:
    ear = Ear()
    for _ in range(3):
        assert ear.hear(quiet(5, NEW_KEY)) is None
    assert ear.judge.counters.unauthentic == 3
    assert ear.refused() == {EUI.hex(): ("wrong key", 3)}


def test_a_key_that_comes_later_opens_what_none_opened_before() -> None:
    ear = Ear()
    assert ear.hear(quiet(5, NEW_KEY)) is None
    ear.hold(KEY, NEW_KEY)
    assert ear.fresh(quiet(5, NEW_KEY)) == [5]


def test_both_keys_are_heard_while_a_node_moves_and_the_old_one_no_longer_once_it_has() -> None:
    ear = Ear([KEY, NEW_KEY])
    assert ear.fresh(quiet(900), quiet(3, NEW_KEY), quiet(901), quiet(4, NEW_KEY)) == [
        *(900, 3),
        *(901, 4),
    ]
    ear.proofs.note(EUI, NEW_KEY)
    assert ear.fresh(quiet(902), quiet(5, NEW_KEY)) == [5]
    assert ear.refused() == {EUI.hex(): ("an old key", 1)}


def test_the_repetition_of_an_old_keys_advert_is_not_believed_once_the_node_has_moved() -> None:
    ear = Ear([KEY, NEW_KEY])
    old = quiet(900)
    assert ear.hear(old) is not None
    assert ear.hear(old) is not None
    ear.proofs.note(EUI, NEW_KEY)
    assert ear.hear(old) is None
    assert ear.judge.counters.refused == 1


def test_the_last_advert_under_the_old_key_is_old_after_one_under_the_new_key() -> None:
    ear = Ear([KEY, NEW_KEY])
    ear.fresh(quiet(900), quiet(3, NEW_KEY))
    assert ear.hear(quiet(900)) is None
    again = ear.hear(quiet(3, NEW_KEY))
    assert again is not None
    assert (again.counter, again.fresh) == (3, False)


def test_a_revoked_node_is_refused_at_once_even_when_it_repeats_itself() -> None:
    ear = Ear()
    ear.fresh(quiet(5))
    ear.hold(KEY, revoked=True)
    assert ear.hear(quiet(5)) is None
    assert ear.hear(quiet(6)) is None
    assert ear.refused() == {EUI.hex(): ("revoked", 2)}
    ear.hold(KEY)
    assert ear.fresh(quiet(4), quiet(6)) == [6]


def test_a_withdrawn_key_is_not_believed_any_more() -> None:
    ear = Ear()
    ear.fresh(quiet(5))
    ear.hold(NEW_KEY)
    assert ear.hear(quiet(5)) is None
    assert ear.judge.counters.unauthentic == 1


def test_a_flood_of_strangers_and_forgeries_grows_neither_memory_nor_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ear = Ear()
    chance = random.Random(1)
    ear.fresh(quiet(5))
    for _ in range(20_000):
        stranger = quiet(5)[:1] + chance.randbytes(23)
        forgery = quiet(5)[:9] + chance.randbytes(15)
        assert ear.hear(stranger) is None
        assert ear.hear(forgery) is None
    counters = ear.judge.counters
    assert (counters.strangers, counters.unauthentic) == (20_000, 20_000)
    assert len(ear.roster.refused) < 300
    assert len(caplog.records) < 300
    held = [len(value) for value in vars(ear.judge).values() if isinstance(value, dict | set)]
    assert max(held) == 1
    assert ear.fresh(quiet(6)) == [6]


def test_nothing_is_believed_before_the_store_has_said_what_is_old() -> None:
    ear = Ear(believed=None)
    assert [ear.hear(data) for data in (quiet(7), quiet(9), quiet(8), quiet(9))] == [None] * 4
    assert ear.judge.counters.held == 4
    known = Believed((AdvertCounter(EUI, key_id(KEY), 8),), ())
    assert [heard.counter for heard in ear.judge.recall(known, ear.now_ms)] == [9]
    assert ear.fresh(quiet(9), quiet(8), quiet(9)) == [9]


def test_an_old_advert_that_was_held_is_not_believed_afterwards() -> None:
    ear = Ear(believed=None)
    ear.hear(alarm(7))
    known = Believed((AdvertCounter(EUI, key_id(KEY), 8),), ())
    assert ear.judge.recall(known, ear.now_ms) == []
    assert ear.judge.counters.replayed == 1


def test_what_was_held_of_a_node_that_is_revoked_meanwhile_is_refused() -> None:
    ear = Ear(believed=None)
    ear.hear(alarm(7))
    ear.hold(KEY, revoked=True)
    assert ear.judge.recall(NOTHING, ear.now_ms) == []


def test_an_old_key_is_refused_after_a_restart_because_the_store_knows_the_proven_one() -> None:
    ear = Ear([KEY, NEW_KEY], believed=None)
    ear.hear(alarm(7))
    assert ear.judge.recall(Believed((), ((EUI, key_id(NEW_KEY)),)), ear.now_ms) == []
    assert ear.refused() == {EUI.hex(): ("an old key", 1)}


def test_counters_are_saved_at_most_once_a_minute_and_only_those_that_changed() -> None:
    ear = Ear()
    assert ear.judge.unsaved(ear.now_ms) is None
    ear.fresh(quiet(5))
    first = ear.judge.unsaved(ear.now_ms)
    assert first == AdvertCounters((AdvertCounter(EUI, key_id(KEY), 5),))
    ear.fresh(quiet(6))
    ear.judge.saved(first)
    assert ear.judge.unsaved(ear.now_ms + 59_999) is None
    second = ear.judge.unsaved(ear.now_ms + 60_000)
    assert second == AdvertCounters((AdvertCounter(EUI, key_id(KEY), 6),))
    ear.judge.saved(second)
    assert ear.judge.unsaved(ear.now_ms + 120_000) is None


def test_saved_counters_are_those_that_a_store_remembers(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    high, low, other = (
        AdvertCounter(*one)
        for one in [(EUI, b"key id 1", 9), (EUI, b"key id 1", 4), (OTHER, b"key id 2", 7)]
    )
    described = Description(OTHER, 9, None, 5, b"hash", 1, b"d", b"key id 2")
    writer.commit(database, [AdvertCounters((high,)), described, AdvertCounters((low, other))])
    with database.reading() as connection:
        assert notices.believed(connection) == Believed((high, other), ((OTHER, b"key id 2"),))
    database.close()


def test_a_node_whose_keys_change_for_years_fills_no_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    for number in range(20):
        writer.commit(database, [AdvertCounters((AdvertCounter(EUI, bytes([number] * 8), 5),))])
    with database.reading() as connection:
        keys = [one.key[0] for one in notices.believed(connection).counters]
    assert keys == [16, 17, 18, 19]
    database.close()


@pytest.mark.parametrize("seed", range(2))
def test_no_alarm_that_was_heard_before_a_kill_9_is_believed_again(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    counter = 1
    for _ in range(2):
        command = [sys.executable, HERE / "hear_until_killed.py", tmp_path, str(counter)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                counter = int(process.stdout.readline())
            process.kill()
            counter = max([counter, *map(int, process.stdout.read().split("\n")[:-1])])
        database = Database(tmp_path / "store.db")
        with database.reading() as connection:
            believed = notices.believed(connection)
            noticed = [notice.seq for notice in notices.latest(connection, 1)]
        database.close()
        ear = Ear(believed=believed)
        assert noticed[0] >= counter
        assert ear.fresh(*(alarm(number) for number in range(1, counter))) == []
        assert ear.fresh(alarm(noticed[0] + 1)) == [noticed[0] + 1]
        counter = noticed[0] + 1


def test_how_long_an_advert_takes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    ear = Ear([KEY, NEW_KEY])
    count = 5000
    cases = {
        "repeated": [quiet(1, NEW_KEY)] * count,
        "changed": [quiet(number, NEW_KEY) for number in range(2, count + 2)],
        "forged": [quiet(1)[:9] + number.to_bytes(15, "big") for number in range(count)],
        "stranger": [quiet(1, KEY, OTHER)] * count,
    }
    for name, adverts in cases.items():
        began_ns = time.perf_counter_ns()
        for data in adverts:
            ear.hear(data)
        took_us = (time.perf_counter_ns() - began_ns) / count / 1000
        print(f"advert {name}: {took_us:.2f} us, {took_us / 20:.3f} % of a core at 500/s")
    counters = ear.judge.counters
    assert (counters.repeated, counters.unauthentic, counters.strangers) == (4999, count, count)
