import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from lilong_firmware.errors import JournalFullError, StorageError
from lilong_firmware.inventory import file_name
from lilong_firmware.journal import Journal
from lilong_firmware.record import Record

ALARM, CONTROL, DATA, BULK = range(4)
ROOT = Path(__file__).parents[2]


def open_journal(folder, batches=100, size=100_000):
    return Journal(str(folder), os.urandom, batches, size)


def fill(journal, count, stream=DATA):
    return [journal.append(stream, b"item %d" % index) for index in range(count)]


def held(journal, stream=DATA):
    return [
        journal.read(stream, seq) for seq in range(journal.first(stream), journal.next(stream))
    ]


def test_batches_are_numbered_from_zero_and_read_back(tmp_path):
    journal = open_journal(tmp_path / "journal")
    assert fill(journal, 3) == [0, 1, 2]
    assert held(journal) == [b"item 0", b"item 1", b"item 2"]
    assert journal.append(ALARM, b"fire") == 0
    assert journal.read(ALARM, 0) == b"fire"


def test_epoch_numbers_and_batches_survive_a_restart(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 5)
    journal.acknowledged(DATA, 2)
    again = open_journal(tmp_path)
    assert again.epoch == journal.epoch
    assert (again.first(DATA), again.next(DATA)) == (2, 5)
    assert held(again) == [b"item 2", b"item 3", b"item 4"]


def test_an_unused_journal_keeps_its_epoch(tmp_path):
    assert open_journal(tmp_path).epoch == open_journal(tmp_path).epoch


@pytest.mark.parametrize("acknowledged", [1, 3, 4])
def test_numbers_never_come_again_although_all_was_acknowledged(tmp_path, acknowledged):
    journal = open_journal(tmp_path)
    fill(journal, acknowledged)
    journal.acknowledged(DATA, acknowledged)
    assert journal.held == 0
    again = open_journal(tmp_path)
    assert again.epoch == journal.epoch
    assert again.append(DATA, b"next") == acknowledged


def test_only_the_newest_acknowledged_batch_stays_and_only_until_the_next_one(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 3)
    journal.acknowledged(DATA, 3)
    assert os.listdir(tmp_path) == [file_name(DATA, 2)]
    journal.append(DATA, b"newer")
    assert os.listdir(tmp_path) == [file_name(DATA, 3)]


def test_acknowledging_is_cumulative_and_may_repeat(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 6)
    for up_to in (4, 2, 4):
        journal.acknowledged(DATA, up_to)
        assert journal.first(DATA) == 4
    assert held(journal) == [b"item 4", b"item 5"]


def test_numbers_that_the_gateway_has_seen_are_not_used_again(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 2)
    journal.acknowledged(DATA, 9)
    assert journal.append(DATA, b"later") == 9
    assert held(journal) == [b"later"]


@pytest.mark.parametrize("beyond", [3, 9, 400])
def test_numbers_that_the_gateway_has_seen_stay_used_after_a_restart(tmp_path, beyond):
    journal = open_journal(tmp_path)
    journal.append(DATA, b"one", (7, 1000, 2))
    journal.append(DATA, b"two", (7, 2000, 3))
    journal.acknowledged(DATA, beyond)
    again = open_journal(tmp_path)
    assert (again.epoch, again.next(DATA)) == (journal.epoch, beyond)
    assert again.mark(DATA) == (7, 2000, 3)
    again.acknowledged(DATA, beyond)
    assert again.held == 0
    assert again.append(DATA, b"later") == beyond
    assert os.listdir(tmp_path) == [file_name(DATA, beyond)]


def test_an_unused_journal_takes_over_the_numbers_that_a_gateway_has_seen(tmp_path):
    open_journal(tmp_path).acknowledged(DATA, 5)
    again = open_journal(tmp_path)
    again.acknowledged(DATA, 5)
    assert open_journal(tmp_path).append(DATA, b"later") == 5


def test_an_epoch_of_which_only_damaged_batches_are_left_does_not_come_again(tmp_path):
    journal = open_journal(tmp_path)
    note = (tmp_path / "epoch").read_bytes()
    fill(journal, 1)
    # As after a remove that flash refused.
    (tmp_path / "epoch").write_bytes(note)
    os.truncate(tmp_path / file_name(DATA, 0), 5)
    again = open_journal(tmp_path)
    assert again.epoch != journal.epoch
    assert again.next(DATA) == 0
    assert open_journal(tmp_path).epoch == again.epoch


def test_the_count_of_bytes_does_not_drift(tmp_path):
    chance = random.Random(3)
    journal = open_journal(tmp_path, batches=40, size=9000)
    for step in range(6000):
        stream = chance.choice((CONTROL, DATA, BULK))
        with contextlib.suppress(JournalFullError):
            journal.append(stream, bytes(chance.randrange(480)))
        if chance.random() < 0.3:
            stream = chance.choice((CONTROL, DATA, BULK))
            journal.acknowledged(stream, journal.next(stream) - chance.randrange(4))
        if step % 500 == 499:
            if chance.random() < 0.5:
                journal = open_journal(tmp_path, batches=40, size=9000)
            assert journal._size_bytes == held_bytes(tmp_path, journal)
    assert len(os.listdir(tmp_path)) <= journal.held + 3


def held_bytes(folder, journal):
    places = [
        (stream, seq)
        for stream in (ALARM, CONTROL, DATA, BULK)
        for seq in range(journal.first(stream), journal.next(stream))
    ]
    return sum((folder / file_name(*place)).stat().st_size for place in places)


def test_a_wiped_journal_draws_a_new_epoch(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 1)
    for name in os.listdir(tmp_path):
        (tmp_path / name).unlink()
    again = open_journal(tmp_path)
    assert again.epoch != journal.epoch
    assert again.next(DATA) == 0


@pytest.mark.parametrize("size", [0, 3, 22, 30])
def test_a_short_file_is_counted_and_its_number_stays_used(tmp_path, size):
    journal = open_journal(tmp_path)
    fill(journal, 4)
    os.truncate(tmp_path / file_name(DATA, 3), size)
    again = open_journal(tmp_path)
    assert again.counters["damaged"] == 1
    assert again.read(DATA, 3) is None
    assert again.append(DATA, b"after") == 4


def test_a_damaged_batch_in_the_middle_hides_no_other(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 3)
    path = tmp_path / file_name(DATA, 1)
    damaged = bytearray(path.read_bytes())
    damaged[-6] ^= 1
    path.write_bytes(damaged)
    assert held(open_journal(tmp_path)) == [b"item 0", None, b"item 2"]


def test_a_half_written_file_is_removed_and_its_number_given_again(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 2)
    (tmp_path / (file_name(DATA, 2) + ".new")).write_bytes(b"LJ\x01")
    again = open_journal(tmp_path)
    assert again.counters["foreign"] == 1
    assert len(os.listdir(tmp_path)) == 2
    assert again.append(DATA, b"whole") == 2


def test_foreign_files_are_removed_and_never_block_the_start(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 3)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "2-0000000G").write_text("hello")
    (tmp_path / "a folder").mkdir()
    other = Record(journal.epoch ^ 1, DATA, 7, b"another epoch", (0, 0, 0)).pack()
    (tmp_path / file_name(DATA, 7)).write_bytes(other)
    again = open_journal(tmp_path)
    assert again.epoch == journal.epoch
    assert (again.first(DATA), again.next(DATA)) == (0, 3)
    assert again.counters["foreign"] == 4


def test_a_file_under_the_wrong_name_is_not_delivered(tmp_path):
    journal = open_journal(tmp_path)
    fill(journal, 2)
    (tmp_path / file_name(DATA, 1)).rename(tmp_path / file_name(DATA, 2))
    assert held(open_journal(tmp_path)) == [b"item 0", None, None]


def test_a_full_journal_lets_the_oldest_of_the_least_urgent_stream_go(tmp_path):
    journal = open_journal(tmp_path, batches=4)
    fill(journal, 1, ALARM)
    fill(journal, 2, DATA)
    fill(journal, 1, BULK)
    journal.append(DATA, b"first new")
    assert held(journal, BULK) == []
    journal.append(DATA, b"second new")
    assert held(journal) == [b"item 1", b"first new", b"second new"]
    assert held(journal, ALARM) == [b"item 0"]
    assert journal.counters["dropped"] == 2


def test_bytes_are_bounded_too(tmp_path):
    journal = open_journal(tmp_path, size=1000)
    for _ in range(20):
        journal.append(DATA, bytes(100))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert journal.held >= 5


def test_an_alarm_never_gives_way(tmp_path):
    journal = open_journal(tmp_path, batches=2)
    fill(journal, 2, ALARM)
    with pytest.raises(JournalFullError):
        journal.append(DATA, b"data")
    with pytest.raises(JournalFullError):
        journal.append(ALARM, b"one more")
    assert held(journal, ALARM) == [b"item 0", b"item 1"]


def test_data_does_not_push_out_what_is_more_urgent(tmp_path):
    journal = open_journal(tmp_path, batches=2)
    fill(journal, 2, CONTROL)
    with pytest.raises(JournalFullError):
        journal.append(DATA, b"data")
    assert journal.append(ALARM, b"fire") == 0
    assert held(journal, CONTROL) == [b"item 1"]


def test_the_mark_of_the_newest_batch_survives_with_it(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(DATA, b"one", (7, 1000, 0))
    journal.append(DATA, b"two", (7, 2000, 3))
    journal.acknowledged(DATA, 2)
    assert open_journal(tmp_path).mark(DATA) == (7, 2000, 3)


def test_a_folder_that_cannot_be_made_does_not_block_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    journal = open_journal(tmp_path / "file")
    assert journal.counters["failed"] > 0
    with pytest.raises(StorageError):
        journal.append(DATA, b"item")
    assert journal.next(DATA) == 0


def test_random_damage_of_any_file_never_blocks_the_start(tmp_path):
    chance = random.Random(4)
    for _ in range(60):
        journal = open_journal(tmp_path, batches=6)
        fill(journal, chance.randrange(4))
        journal.acknowledged(DATA, journal.first(DATA) + chance.randrange(3))
        for path in sorted(tmp_path.iterdir()):
            if chance.random() < 0.2:
                os.truncate(path, chance.randrange(40))
        before = (journal.epoch, journal.next(DATA))
        again = open_journal(tmp_path, batches=6)
        assert again.epoch != before[0] or again.next(DATA) >= before[1]


WRITER = """
import os, sys
from lilong_firmware.journal import Journal
journal = Journal("journal", os.urandom, 100000, 1 << 30)
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
    for _ in range(8):
        with subprocess.Popen(
            [micropython, "writer.py"],
            cwd=tmp_path,
            env={"MICROPYPATH": path},
            stdout=subprocess.PIPE,
        ) as process:
            for _ in range(chance.randrange(1, 200)):
                seq, index = process.stdout.readline().split()
                assert int(seq) == int(index) >= known
                known = int(seq)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                known = int(line.split()[0]) if line.endswith(b"\n") else known
        journal = open_journal(tmp_path / "journal", 100_000, 1 << 30)
        assert journal.next(DATA) >= known + 1
        assert held(journal)[-1] == b"item %d" % (journal.next(DATA) - 1)
        known += 1
