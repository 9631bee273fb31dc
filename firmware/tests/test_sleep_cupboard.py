import asyncio
import contextlib

import pytest

from lilong_firmware.errors import JournalFullError
from lilong_firmware.journal import Journal
from lilong_firmware.sleep.cupboard import Cupboard
from lilong_firmware.sleep.retained import LOG_BYTES, Retained
from lilong_firmware.sleep.rounds import add_round
from lilong_firmware.sleep.state import State
from lilong_firmware.trace import Trace
from lilong_firmware.virtual.cut_memory import CutMemory, ResetError
from lilong_firmware.virtual.nor import WAYS, Nor, PowerCutError
from lilong_protocol.blocks import decode_block
from lilong_protocol.frame import ALARM_STREAM, DATA_STREAM

NOW_MS = 848_000_000_000
SECTOR = 4096


class Node:
    """A chip with a journal in flash and rounds in its retained memory."""

    def __init__(self, blocks=8, time_exponents=(-3, -3, -3), batch_readings=20):
        self.flash = Nor(blocks)
        self.memory = CutMemory()
        self.exponents = dict(enumerate(time_exponents))
        self.batch_readings = batch_readings
        self.said = []
        self.boot()

    def boot(self):
        """Start, with nothing but what flash and retained memory hold."""
        self.retained = Retained(self.memory)
        self.journal = Journal(self.flash, lambda size: b"\7" * size)
        self.state = self.retained.state or State(3, 0xABCDEF, 60_000)
        trace = Trace()
        self.cupboard = Cupboard(
            self.retained,
            self.exponents,
            self.batch_readings,
            self.journal,
            trace,
            asyncio.Event(),
            self.said.append,
        )

    def take(self, rounds, begin=0):
        for number in range(begin, begin + rounds):
            # Now and then a channel has no reading.
            readings = [(0, number), (1, -number), (2, 7)][: 2 if number % 11 == 5 else 3]
            assert add_round(self.state, 1000 + 60_000 * number, readings, LOG_BYTES)
        self.retained.save(self.state)

    def put_away(self, offset_ms=NOW_MS):
        def time_ms(uptime_ms):
            return None if offset_ms is None else offset_ms + uptime_ms

        return self.cupboard.put_away(self.state, time_ms)

    def blocks(self):
        journal = self.journal
        numbers = range(journal.first(DATA_STREAM), journal.next(DATA_STREAM))
        items = [journal.read(DATA_STREAM, number) for number in numbers]
        return [decode_block(item) for item in items if item is not None]

    def journalled(self):
        """(boot, time, channel, value) of all readings in the journal, in its order."""
        return [
            (block.boot, time, channel, value)
            for block in self.blocks()
            for row, time in enumerate(block.times)
            for channel, values in block.columns
            for value in [values[row]]
        ]


def expected(rounds, boot=None, begin=0):
    offset_ms = NOW_MS if boot is None else 0
    return [
        (boot, offset_ms + 1000 + 60_000 * number, channel, value)
        for number in range(begin, begin + rounds)
        for channel, value in [(0, number), (1, -number), (2, 7)][: 2 if number % 11 == 5 else 3]
    ]


def test_rounds_reach_the_journal_with_their_times_and_are_forgotten():
    node = Node()
    node.take(50)
    assert node.put_away()
    assert sorted(node.journalled()) == sorted(expected(50))
    assert node.state.log == b""
    assert Retained(node.memory).state.log == b""
    node.take(3, begin=50)
    assert node.put_away()
    assert sorted(node.journalled()) == sorted(expected(53))


def test_rounds_from_before_the_first_synchronisation_carry_boot_and_uptime():
    node = Node()
    node.take(5)
    assert node.put_away(offset_ms=None)
    assert sorted(node.journalled()) == sorted(expected(5, boot=3))


def test_channels_with_times_in_seconds_and_in_milliseconds_go_together():
    node = Node(time_exponents=(-3, 0, -3))
    node.take(8)
    assert node.put_away()
    found = sorted(node.journalled(), key=lambda one: (one[2], one[1]))
    seconds = [(b, t if c != 1 else t // 1000, c, v) for b, t, c, v in expected(8)]
    assert found == sorted(seconds, key=lambda one: (one[2], one[1]))


def test_no_round_gets_a_time_before_the_last_one_that_was_told():
    node = Node()
    node.take(5)
    assert node.put_away()
    told = node.state.told_ms
    node.take(5, begin=5)
    assert node.put_away(offset_ms=NOW_MS - 150_000)
    times = [time for _, time, channel, _ in node.journalled() if channel == 0]
    assert times == sorted(set(times))
    assert times[5:8] == [told + 1, told + 2, told + 30_000]


@pytest.mark.parametrize("exponents", [(-3, -3, -3), (-3, 0, -3)], ids=["one unit", "two units"])
def test_a_reset_in_any_step_between_memory_and_flash_loses_and_doubles_nothing(exponents):
    reference = Node(time_exponents=exponents)
    reference.take(30)
    before = reference.flash.operations, reference.memory.writes
    reference.put_away()
    flash_steps = reference.flash.operations - before[0]
    memory_steps = reference.memory.writes - before[1]
    wanted = sorted(reference.journalled())
    cuts = [("flash", step, way) for step in range(flash_steps) for way in WAYS]
    cuts += [("memory", step, done) for step in range(memory_steps) for done in range(0, 1001, 20)]
    assert flash_steps >= 4
    for place, step, how in cuts:
        node = Node(time_exponents=exponents)
        node.take(30)
        if place == "flash":
            node.flash.cut_after(step, how, seed=step)
        else:
            node.memory.cut(step, how)
        with pytest.raises((ResetError, PowerCutError)):
            node.put_away()
        node.flash.cut_after(None)
        node.boot()
        assert node.put_away()
        assert sorted(node.journalled()) == wanted, (place, step, how)
        # And the numbering goes on behind it.
        node.take(3, begin=30)
        assert node.put_away()
        assert len(node.journalled()) == len(wanted) + len(expected(3, begin=30))


def test_a_second_reset_in_the_second_attempt_loses_and_doubles_nothing():
    reference = Node()
    reference.take(30)
    before = reference.flash.operations
    reference.put_away()
    steps = reference.flash.operations - before
    wanted = sorted(reference.journalled())
    for first in range(steps):
        for second in range(steps - first):
            node = Node()
            node.take(30)
            for step in (first, second):
                node.flash.cut_after(step, WAYS[(first + second) % 4], seed=first)
                try:
                    node.put_away()
                except PowerCutError:
                    node.flash.cut_after(None)
                    node.boot()
            node.flash.cut_after(None)
            assert node.put_away()
            assert sorted(node.journalled()) == wanted, (first, second)


def fill(journal):
    """Leave no room for anything less urgent than an alarm."""
    for size in (400, 8):
        with contextlib.suppress(JournalFullError):
            for _ in range(2000):
                journal.append(ALARM_STREAM, bytes(size))


def test_what_the_journal_refuses_stays_and_goes_there_when_it_has_room():
    node = Node(blocks=4)
    fill(node.journal)
    node.take(30)
    assert not node.put_away()
    assert not node.put_away()
    assert len(node.said) == 1
    node.boot()
    assert node.state.rounds == 30
    node.journal.acknowledged(ALARM_STREAM, node.journal.next(ALARM_STREAM))
    assert node.put_away()
    assert sorted(node.journalled()) == sorted(expected(30))


def test_a_journal_full_of_data_takes_rounds_and_thins_what_is_old():
    node = Node(blocks=4)
    for begin in range(0, 6000, 60):
        node.take(60, begin)
        assert node.put_away()
    times = sorted({time for block in node.blocks() for time in block.times})
    assert times[-60:] == [NOW_MS + 1000 + 60_000 * n for n in range(5940, 6000)]
