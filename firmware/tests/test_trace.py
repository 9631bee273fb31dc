import os

import pytest

from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal
from lilong_firmware.recording import Recording
from lilong_firmware.row import Row
from lilong_firmware.trace import open_trace
from lilong_protocol.blocks import encode_table

DATA = 2


def item(seq):
    return encode_table([seq, seq + 1], [(0, [1, 2]), (4, [3, 4])])


@pytest.fixture
def open_node():
    """Journals and traces; their files are closed when the test is over."""
    opened = []

    def make(folder):
        flash = FileFlash(str(folder / "journal"), 100_000)
        journal = Journal(flash, os.urandom)
        trace = Recording(str(folder / "trace.log"), lambda: 1234)
        trace.booted(9, journal)
        opened.extend((flash, trace))
        return journal, trace

    yield make
    for each in opened:
        each.close()


def lines(folder):
    return (folder / "trace.log").read_text().splitlines()


def test_lines_are_those_of_the_contract(tmp_path, open_node):
    journal, trace = open_node(tmp_path)
    trace.sampled(Row(5, 9, 5, [(0, 1), (4, 3)]))
    trace.sampled(Row(6, None, 848, [(0, 2)]))
    trace.journalled(journal.epoch, DATA, 0, (0, 4), 2)
    trace.synchronised(77)
    trace.acknowledged(journal.epoch, DATA, 1)
    trace.measured(1, 2, 3, 4)
    trace.ended()
    epoch = journal.epoch
    assert lines(tmp_path) == [
        f"b 9 {epoch} 1234",
        "s 0 u5 1 1234",
        "s 4 u5 3 1234",
        "s 0 848 2 1234",
        f"j {epoch} 2 0 4 0 4",
        "y 77",
        f"a {epoch} 2 1",
        "m 1 2 3 4",
        "e",
    ]


def test_the_line_of_a_batch_that_a_kill_cut_off_comes_before_the_next_boot(tmp_path, open_node):
    for announced in (0, 1, 40):
        folder = tmp_path / str(announced)
        folder.mkdir()
        journal, trace = open_node(folder)
        for seq in range(announced):
            journal.append(DATA, item(seq))
            trace.journalled(journal.epoch, DATA, seq, (0, 4), 2)
            for _ in range(100):
                trace.sampled(Row(5, 9, 5, [(0, 1)]))
        journal.append(DATA, item(announced))
        again, _ = open_node(folder)
        assert lines(folder)[-2:] == [
            f"j {again.epoch} 2 {announced} 4 0 4",
            f"b 9 {again.epoch} 1234",
        ]


def test_a_batch_that_was_announced_is_not_announced_again(tmp_path, open_node):
    journal, trace = open_node(tmp_path)
    journal.append(DATA, item(0))
    trace.journalled(journal.epoch, DATA, 0, (0, 4), 2)
    open_node(tmp_path)
    assert len([line for line in lines(tmp_path) if line.startswith("j")]) == 1


def test_without_a_path_nothing_is_written(tmp_path):
    trace = open_trace("", lambda: 0)
    trace.ended()
    assert list(tmp_path.iterdir()) == []
