import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lilong_firmware.errors import JournalFullError, StorageError
from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal
from lilong_firmware.record import HEADER_BYTES, ITEM_LIMIT
from lilong_firmware.virtual.journal_sweep import (
    ACKNOWLEDGE,
    APPEND,
    LEAP,
    SETTLE,
    Model,
    Step,
    check,
)
from lilong_firmware.virtual.nor import Nor

ALARM, CONTROL, DATA, BULK = range(4)
ROOT = Path(__file__).parents[2]
SECTOR = 4096


def open_journal(flash):
    return Journal(flash, os.urandom)


def fill(journal, count, stream=DATA, size=110):
    first = journal.next(stream)
    return [journal.append(stream, item(stream, first + n, size)) for n in range(count)]


def fill_in_turn(journal, rounds):
    for _ in range(rounds):
        fill(journal, 2, DATA)
        fill(journal, 3, ALARM)


def item(stream, seq, size=110):
    return (b"%d.%d." % (stream, seq) * size)[:size]


def held(journal, stream=DATA):
    numbers = range(journal.first(stream), journal.next(stream))
    return {seq: found for seq in numbers if (found := journal.read(stream, seq)) is not None}


def is_unchanged(journal, stream=DATA, size=110):
    found = held(journal, stream)
    return found == {seq: item(stream, seq, size) for seq in found}


def test_batches_are_numbered_from_zero_and_read_back():
    journal = open_journal(Nor(4))
    assert fill(journal, 3) == [0, 1, 2]
    assert held(journal) == {seq: item(DATA, seq) for seq in range(3)}
    assert journal.append(ALARM, b"fire") == 0
    assert journal.append(BULK, b"") == 0
    assert (journal.read(ALARM, 0), journal.read(BULK, 0)) == (b"fire", b"")
    assert journal.read(ALARM, 1) is None


def test_epoch_numbers_and_batches_survive_a_restart():
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, 50)
    again = open_journal(flash)
    assert again.epoch == journal.epoch
    assert (again.first(DATA), again.next(DATA), again.held) == (0, 50, 50)
    assert again.counters == dict.fromkeys(("damaged", "foreign", "dropped", "failed"), 0)
    assert len(held(again)) == 50
    assert is_unchanged(again)


def test_an_unused_journal_keeps_its_epoch():
    flash = Nor(4)
    assert open_journal(flash).epoch == open_journal(flash).epoch


def test_a_restart_writes_nothing():
    flash = Nor(4)
    fill(open_journal(flash), 5)
    before = flash.operations
    fill(open_journal(flash), 1)
    assert flash.operations == before + 1


@pytest.mark.parametrize("acknowledged", [1, 3, 100])
def test_numbers_never_come_again_although_all_was_acknowledged(acknowledged):
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, acknowledged)
    journal.acknowledged(DATA, acknowledged)
    assert journal.held == 0
    again = open_journal(flash)
    assert again.epoch == journal.epoch
    assert again.append(DATA, b"next") == acknowledged


def test_numbers_of_a_silent_stream_outlive_their_batches():
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, 3, CONTROL)
    journal.acknowledged(CONTROL, 3)
    for _ in range(300):
        journal.acknowledged(DATA, fill(journal, 1)[0])
    again = open_journal(flash)
    assert (again.first(CONTROL), again.next(CONTROL)) == (3, 3)


def test_acknowledging_is_cumulative_and_may_repeat():
    journal = open_journal(Nor(4))
    fill(journal, 6)
    for up_to in (4, 2, 4):
        journal.acknowledged(DATA, up_to)
        assert journal.first(DATA) == 4
    assert list(held(journal)) == [4, 5]


def test_what_is_acknowledged_is_forgotten_for_good_before_a_planned_end():
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, 6)
    journal.acknowledged(DATA, 4)
    journal.settle()
    settled = flash.operations
    journal.settle()
    assert flash.operations == settled
    assert open_journal(flash).first(DATA) == 4


@pytest.mark.parametrize("beyond", [3, 9, 400])
def test_numbers_that_the_gateway_has_seen_stay_used_after_a_restart(beyond):
    flash = Nor(4)
    journal = open_journal(flash)
    journal.append(DATA, b"one", (7, 1000, 2))
    journal.append(DATA, b"two", (7, 2000, 3))
    journal.acknowledged(DATA, beyond)
    again = open_journal(flash)
    assert (again.epoch, again.next(DATA), again.held) == (journal.epoch, beyond, 0)
    assert again.mark(DATA) == (7, 2000, 3)
    again.acknowledged(DATA, beyond)
    assert again.append(DATA, b"later") == beyond
    assert held(again) == {beyond: b"later"}


def test_a_wiped_journal_draws_a_new_epoch():
    journal = open_journal(Nor(4))
    fill(journal, 1)
    again = open_journal(Nor(4))
    assert again.epoch != journal.epoch
    assert again.next(DATA) == 0


def test_an_area_that_grows_keeps_everything():
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, 80)
    larger = Nor(6)
    larger.data[: len(flash.data)] = flash.data
    again = open_journal(larger)
    assert again.epoch == journal.epoch
    assert len(held(again)) == 80
    fill(again, 80)
    assert len(held(open_journal(larger))) == 160


def test_an_area_that_was_larger_begins_a_new_epoch_for_its_newest_numbers_are_gone():
    flash = Nor(6)
    journal = open_journal(flash)
    fill(journal, 150)
    smaller = Nor(4)
    smaller.data[:] = flash.data[: len(smaller.data)]
    again = open_journal(smaller)
    assert again.epoch != journal.epoch
    assert fill(again, 150)[0] == 0
    assert open_journal(smaller).epoch == again.epoch
    assert is_unchanged(again)


def test_the_mark_of_the_newest_batch_outlives_it():
    flash = Nor(4)
    journal = open_journal(flash)
    journal.append(DATA, b"one", (7, 1000, 0))
    journal.append(DATA, b"two", ((1 << 32) - 1, (1 << 32) - 1, 255))
    assert journal.read(DATA, 1) == b"two"
    journal.acknowledged(DATA, 2)
    fill(journal, 400, BULK)
    assert open_journal(flash).mark(DATA) == ((1 << 32) - 1, (1 << 32) - 1, 255)


def test_a_full_journal_keeps_all_of_the_newest_and_a_coarse_record_of_the_rest():
    flash = Nor(16)
    journal = open_journal(flash)
    appended = 700
    fill(journal, appended)
    kept = sorted(held(journal))
    assert journal.counters["dropped"] == appended - len(kept)
    assert 150 // 7 <= len([seq for seq in kept if seq < 150]) <= 150 // 5
    assert kept[-300:] == list(range(appended - 300, appended))
    assert sorted(held(open_journal(flash))) == kept
    assert is_unchanged(journal)


def test_what_is_left_of_several_channels_in_turn_is_some_of_each():
    journal = open_journal(Nor(16))
    fill(journal, 1000)
    old = [seq for seq in held(journal) if seq < 400]
    for turn in range(2, 9):
        assert {seq % turn for seq in old} == set(range(turn))


def test_bulk_gives_way_before_data():
    journal = open_journal(Nor(8))
    fill(journal, 100)
    fill(journal, 100, BULK)
    before = journal.counters["dropped"]
    fill(journal, 60)
    assert journal.counters["dropped"] > before
    assert sorted(held(journal)) == list(range(160))
    assert len(held(journal, BULK)) < 100


def test_alarms_and_control_never_give_way_to_data():
    flash = Nor(6)
    journal = open_journal(flash)
    for _ in range(20):
        fill(journal, 1, ALARM)
        fill(journal, 2, CONTROL)
        fill(journal, 30)
        fill(journal, 3, BULK)
    for each in (journal, open_journal(flash)):
        assert sorted(held(each, ALARM)) == list(range(20))
        assert sorted(held(each, CONTROL)) == list(range(40))
        assert is_unchanged(each, ALARM)
        assert is_unchanged(each, CONTROL)


@pytest.mark.parametrize("size", [1, 110, 333, ITEM_LIMIT])
def test_a_journal_full_of_alarms_refuses_more_and_keeps_all(size):
    flash = Nor(4)
    journal = open_journal(flash)
    fill(journal, 40)
    with pytest.raises(JournalFullError):
        fill(journal, 5000, ALARM, size)
    count = journal.next(ALARM)
    with pytest.raises(JournalFullError):
        fill(journal, 5000, DATA, ITEM_LIMIT)
    assert count * (size + 20) > 2 * SECTOR
    for each in (journal, open_journal(flash)):
        assert sorted(held(each, ALARM)) == list(range(count))
        assert is_unchanged(each, ALARM, size)
    journal.acknowledged(ALARM, count)
    assert fill(journal, 1, ALARM) == [count]


def test_alarms_take_nearly_all_room_although_others_lie_between_them():
    journal = open_journal(Nor(5))
    with pytest.raises(JournalFullError):
        fill_in_turn(journal, 500)
    assert journal.next(ALARM) > 0.9 * 4 * 32
    assert sorted(held(journal, ALARM)) == list(range(journal.next(ALARM)))


def test_an_alarm_finds_room_where_only_control_is_held():
    journal = open_journal(Nor(4))
    with pytest.raises(JournalFullError):
        fill(journal, 5000, CONTROL)
    assert fill(journal, 40, ALARM) == list(range(40))
    assert len(held(journal, ALARM)) == 40
    assert journal.counters["dropped"] > 0


def test_what_is_missing_in_short_runs_stays_between_first_and_next():
    journal = open_journal(Nor(16))
    fill(journal, 700)
    left = held(journal)
    gone = next(seq for seq in range(700) if seq not in left)
    assert any(seq in left for seq in range(gone + 1, gone + 10))
    journal.acknowledged(DATA, gone)
    assert journal.read(DATA, gone) is None
    assert journal.first(DATA) == gone


def test_first_moves_behind_a_long_run_that_is_missing():
    journal = open_journal(Nor(4))
    fill(journal, 3000)
    assert journal.read(DATA, 0) is None
    lowest = min(held(journal))
    assert lowest > 64
    assert journal.first(DATA) == lowest


def test_a_batch_that_is_too_long_is_refused():
    journal = open_journal(Nor(4))
    with pytest.raises(StorageError, match="1025 bytes"):
        journal.append(DATA, bytes(ITEM_LIMIT + 1))
    assert journal.append(DATA, bytes(ITEM_LIMIT), (1, 2, 3)) == 0
    assert journal.read(DATA, 0) == bytes(ITEM_LIMIT)


def test_more_than_half_full_is_crowded():
    journal = open_journal(Nor(8))
    while not journal.crowded:
        fill(journal, 1)
    assert 4 * 32 < journal.held < 5 * 32
    assert journal.counters["dropped"] == 0
    journal.acknowledged(DATA, journal.next(DATA) // 2)
    assert not journal.crowded


@pytest.mark.parametrize("flash", [Nor(3), Nor(4, 512), Nor(0)])
def test_a_flash_that_is_of_no_use_does_not_block_the_start(flash):
    journal = open_journal(flash)
    assert journal.counters["failed"] == 1
    with pytest.raises(StorageError):
        journal.append(DATA, b"item")
    assert (journal.first(DATA), journal.next(DATA)) == (0, 0)
    assert not journal.crowded


class Worn(Nor):
    """Fails in operations that `broken` tells by kind (4 read, 5 program, 6 erase) and block."""

    broken = staticmethod(lambda _kind, _block: False)

    def readblocks(self, block, buffer, offset=0):
        self._fail(4, block)
        super().readblocks(block, buffer, offset)

    def writeblocks(self, block, data, offset=0):
        self._fail(5, block)
        super().writeblocks(block, data, offset)

    def ioctl(self, request, argument):
        if request == 6:
            self._fail(6, argument)
        return super().ioctl(request, argument)

    def _fail(self, kind, block):
        if self.broken(kind, block):
            raise OSError(5)


def test_a_batch_that_flash_refuses_uses_up_its_number_and_the_next_sector_takes_it():
    flash = Worn(6)
    journal = open_journal(flash)
    fill(journal, 2)
    flash.broken = lambda kind, block: kind == 5 and block == 0
    assert journal.append(DATA, item(DATA, 3)) == 3
    assert journal.counters["failed"] == 1
    flash.broken = lambda _kind, _block: False
    for each in (journal, open_journal(flash)):
        assert sorted(held(each)) == [0, 1, 3]
        assert is_unchanged(each)


@pytest.mark.parametrize("kind", [5, 6])
def test_a_flash_that_refuses_everything_for_a_while_costs_only_what_came_then(kind):
    flash = Worn(4)
    journal = open_journal(flash)
    fill(journal, 90)
    before = held(journal)
    flash.broken = lambda what, _block: what == kind
    for _ in range(100):
        try:
            fill(journal, 1)
        except StorageError:
            break
    assert journal.counters["failed"] > 0
    after = journal.next(DATA)
    flash.broken = lambda _kind, _block: False
    assert held(journal).items() >= before.items()
    assert fill(journal, 20)[0] == after
    assert is_unchanged(journal)
    assert set(held(open_journal(flash))) == set(held(journal))


def test_a_flash_that_cannot_be_read_does_not_block_the_start():
    flash = Worn(4)
    fill(open_journal(flash), 40)
    flash.broken = lambda kind, block: kind == 4 and block == 0
    journal = open_journal(flash)
    assert journal.counters["failed"] > 0
    assert journal.next(DATA) == 40
    assert journal.read(DATA, 0) is None
    assert journal.read(DATA, 39) == item(DATA, 39)


def test_a_new_epoch_is_begun_only_when_nothing_is_held():
    flash = Nor(4)
    journal = open_journal(flash)
    epoch = journal.epoch
    fill(journal, 60)
    assert not journal.renew(os.urandom)
    assert (journal.epoch, journal.held) == (epoch, 60)
    journal.acknowledged(DATA, 60)
    assert journal.renew(os.urandom)
    assert journal.epoch != epoch
    assert fill(journal, 3) == [0, 1, 2]
    again = open_journal(flash)
    assert again.epoch == journal.epoch
    assert (again.next(DATA), again.held) == (3, 3)
    assert again.counters["foreign"] > 0
    fill(again, 300)
    assert is_unchanged(again)


def test_a_new_epoch_that_flash_refuses_leaves_the_old_one():
    flash = Worn(4)
    journal = open_journal(flash)
    epoch = journal.epoch
    fill(journal, 2)
    journal.acknowledged(DATA, 2)
    flash.broken = lambda kind, _block: kind == 6
    assert not journal.renew(os.urandom)
    assert (journal.epoch, journal.next(DATA)) == (epoch, 2)
    flash.broken = lambda _kind, _block: False
    assert fill(journal, 1) == [2]
    assert open_journal(flash).epoch == epoch


@pytest.mark.parametrize("size", [60, 110, 240, 480])
@pytest.mark.parametrize("taken", [True, False], ids=["running", "full"])
def test_a_batch_costs_the_flash_little_more_than_its_bytes(size, taken):
    flash = Nor(16)
    journal = open_journal(flash)
    fill(journal, 1500, size=size)
    erases, programmed = flash.erases, flash.programmed_bytes
    for _ in range(1500):
        seq = journal.append(DATA, bytes(size))
        if taken:
            journal.acknowledged(DATA, seq - 7)
    assert (flash.erases - erases) / 1500 <= 0.2
    assert (flash.programmed_bytes - programmed) / (1500 * size) <= 1.5


def test_all_sectors_wear_alike():
    class Counting(Nor):
        def ioctl(self, request, argument):
            if request == 6:
                erased[argument] += 1
            return super().ioctl(request, argument)

    erased = [0] * 8
    journal = open_journal(Counting(8))
    for _ in range(100):
        fill(journal, 32)
        journal.acknowledged(DATA, journal.next(DATA) - random.randrange(100))
    assert max(erased) - min(erased) <= 2


@settings(max_examples=25, stateful_step_count=60, deadline=None)
class Machine(RuleBasedStateMachine):
    """The journal beside a model that forgets nothing; what gives way is checked at once."""

    def __init__(self):
        super().__init__()
        self.flash = Nor(5)
        self.model = Model()
        self.restart()
        self.model.epoch = self.journal.epoch

    @rule(stream=st.sampled_from([2, 2, 2, 2, 3, 1, 0]), number=st.integers(0, 7))
    def append(self, stream, number):
        Step(APPEND, stream, number).run(self.journal, self.model)

    @rule(number=st.integers(0, 7), count=st.integers(2, 30))
    def append_many(self, number, count):
        for _ in range(count):
            self.append(DATA, number)

    @rule(stream=st.integers(0, 3), number=st.integers(0, 100))
    def acknowledge(self, stream, number):
        Step(ACKNOWLEDGE, stream, number).run(self.journal, self.model)

    @precondition(lambda self: self.journal.next(0) + self.journal.next(1) > 8)
    @rule()
    def take_what_is_urgent(self):
        for stream in (ALARM, CONTROL):
            Step(ACKNOWLEDGE, stream, self.journal.held).run(self.journal, self.model)

    @rule(stream=st.integers(0, 3), number=st.integers(0, 8))
    def leap(self, stream, number):
        Step(LEAP, stream, number).run(self.journal, self.model)

    @rule()
    def settle(self):
        Step(SETTLE, 0, 0).run(self.journal, self.model)

    @rule()
    def restart(self):
        self.journal = open_journal(self.flash)

    @invariant()
    def nothing_is_missing_but_what_was_dropped(self):
        gone = {key for key in self.model.held if self.journal.read(*key) is None}
        assert all(stream >= DATA for stream, _ in gone)
        assert len(gone) <= self.journal.counters["dropped"]
        self.model.held -= gone
        check(self.journal, self.model)


TestMachine = Machine.TestCase


def everything(journal):
    return {
        (stream, seq): found for stream in range(4) for seq, found in held(journal, stream).items()
    }


def filled():
    """A flash with something of everything on it, one of its four sectors spare."""
    flash = Nor(4)
    journal = open_journal(flash)
    for _ in range(7):
        fill(journal, 1, ALARM)
        fill(journal, 10)
        fill(journal, 1, CONTROL)
    return flash, journal.epoch, everything(journal)


def lost(flash, epoch, known):
    """What is not there any more; what is there is unaltered, and the journal goes on."""
    journal = open_journal(flash)
    assert journal.epoch == epoch
    found = everything(journal)
    assert found.items() <= known.items()
    assert journal.read(DATA, journal.append(DATA, b"goes on")) == b"goes on"
    return known.keys() - found.keys()


def test_a_bit_that_flips_costs_at_most_its_own_sector_and_never_alters_a_batch():
    flash, epoch, known = filled()
    before = bytes(flash.data)
    chance = random.Random(6)
    last = max(seq for stream, seq in known if stream == DATA)
    for place in [*range(90), *chance.sample(range(len(before)), 500)]:
        flash.data[:] = before
        flash.data[place] ^= 1 << chance.randrange(8)
        gone = lost(flash, epoch, known)
        if place % SECTOR < HEADER_BYTES:
            assert all(known[key] in before[place // SECTOR * SECTOR :][:SECTOR] for key in gone)
            assert open_journal(flash).next(DATA) == last + 2
        else:
            assert len(gone) <= 1


@pytest.mark.parametrize("how", ["zeros", "ones", "noise", "another"])
@pytest.mark.parametrize("sector", range(4))
def test_a_sector_that_is_overwritten_costs_no_other(sector, how):
    flash, epoch, known = filled()
    begin = sector * SECTOR
    own = bytes(flash.data[begin : begin + SECTOR])
    other = (begin + SECTOR) % len(flash.data)
    flash.data[begin : begin + SECTOR] = {
        "zeros": bytes(SECTOR),
        "ones": b"\xff" * SECTOR,
        "noise": random.Random(1).randbytes(SECTOR),
        "another": bytes(flash.data[other : other + SECTOR]),
    }[how]
    gone = lost(flash, epoch, known)
    if how == "another" and sector == 3:
        # No sector is free then, and the oldest becomes so.
        assert all(known[key] in bytes(flash.data[:SECTOR]) + own for key in gone)
    else:
        assert all(known[key] in own for key in gone)


WRITER = """
import os, sys
from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal
journal = Journal(FileFlash("journal", 32768), os.urandom)
index = journal.next(2)
while True:
    seq = journal.append(2, b"item %d" % index)
    sys.stdout.write("%d %d\\n" % (seq, index))
    journal.acknowledged(2, seq - 3)
    index += 1
"""


def test_kill_9_at_any_moment_loses_and_repeats_nothing(tmp_path, micropython):
    (tmp_path / "writer.py").write_text(WRITER)
    path = f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"
    chance = random.Random(9)
    known = 0
    for _ in range(12):
        with subprocess.Popen(
            [micropython, "writer.py"],
            cwd=tmp_path,
            env={"MICROPYPATH": path},
            stdout=subprocess.PIPE,
        ) as process:
            for _ in range(chance.randrange(1, 2000)):
                seq, index = process.stdout.readline().split()
                assert int(seq) == int(index) >= known
                known = int(seq)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                known = int(line.split()[0]) if line.endswith(b"\n") else known
        flash = FileFlash(str(tmp_path / "journal"), 32768)
        journal = open_journal(flash)
        assert journal.next(DATA) >= known + 1
        assert journal.counters["dropped"] == 0
        for seq in range(max(0, known - 3), journal.next(DATA)):
            assert journal.read(DATA, seq) == b"item %d" % seq
        flash.close()
        known += 1
