import random
import subprocess
from pathlib import Path

import pytest

from lilong_firmware.batcher import Batcher
from lilong_firmware.row import Row
from lilong_protocol.blocks import ITEM_LIMIT, decode_block

ROOT = Path(__file__).parents[2]


class Sink:
    """Keeps what a batcher seals, decoded."""

    def __init__(self):
        self.blocks = []
        self.marks = []
        self.sizes = []

    def put(self, item, channels, rows, mark):
        block = decode_block(item)
        assert tuple(channel for channel, _ in block.columns) == channels
        assert len(block.times) == rows
        self.blocks.append(block)
        self.marks.append(mark)
        self.sizes.append(len(item))

    def readings(self, channel):
        return [
            (time, value)
            for block in self.blocks
            for number, values in block.columns
            if number == channel
            for time, value in zip(block.times, values, strict=True)
        ]


def make_batcher(readings=60, age_ms=1000, mark=(0, 0, 0)):
    sink = Sink()
    return sink, Batcher(sink.put, readings, age_ms, mark)


def add(batcher, time, values, *, uptime_ms=0, boot=None, position=0, part=0):
    batcher.add(Row(uptime_ms, boot, time, list(values.items()), position, part))


def test_channels_that_are_read_together_share_a_table():
    sink, batcher = make_batcher(readings=6)
    for time in range(100, 103):
        add(batcher, time, {0: time, 5: -time})
    assert [block.count for block in sink.blocks] == [6]
    assert sink.blocks[0].columns == [(0, [100, 101, 102]), (5, [-100, -101, -102])]


def test_one_channel_makes_a_series_and_one_reading_a_single():
    sink, batcher = make_batcher(readings=4)
    for time in range(5):
        add(batcher, time, {3: 9})
    batcher.flush()
    assert [block.times for block in sink.blocks] == [[0, 1, 2, 3], [4]]


def test_a_batch_is_sealed_when_its_first_reading_is_old_enough():
    sink, batcher = make_batcher(age_ms=1000)
    add(batcher, 1, {0: 1}, uptime_ms=500)
    add(batcher, 2, {0: 2}, uptime_ms=1400)
    assert batcher.wait_ms(1400) == 100
    batcher.expire(1499)
    assert sink.blocks == []
    batcher.expire(1500)
    assert sink.blocks[0].times == [1, 2]
    assert batcher.wait_ms(1500) > 1000


def test_time_bases_are_never_mixed_in_a_block():
    sink, batcher = make_batcher()
    add(batcher, 10, {0: 1}, boot=77)
    add(batcher, 20, {0: 2}, boot=77)
    add(batcher, 848_000_000_000, {0: 3})
    batcher.flush()
    assert [(block.boot, block.times) for block in sink.blocks] == [
        (77, [10, 20]),
        (None, [848_000_000_000]),
    ]


def test_separate_channels_fill_their_own_blocks_side_by_side():
    sink, batcher = make_batcher(readings=4)
    for time in range(4):
        add(batcher, time, {0: time})
        if time % 2 == 0:
            add(batcher, time, {1: -time})
    batcher.flush()
    assert [block.columns for block in sink.blocks] == [[(0, [0, 1, 2, 3])], [(1, [0, -2])]]


def test_a_gap_never_brings_a_channel_out_of_order():
    sink, batcher = make_batcher()
    chance = random.Random(1)
    wanted = {0: [], 1: [], 2: []}
    for time in range(300):
        values = {channel: chance.randrange(1000) for channel in range(3) if chance.random() < 0.8}
        for channel, value in values.items():
            wanted[channel].append((time, value))
        if values:
            add(batcher, time, values)
    batcher.flush()
    assert {channel: sink.readings(channel) for channel in wanted} == wanted


def test_a_batch_of_the_most_readings_fits_the_memory_of_a_node(micropython32):
    program = """
import gc
gc.threshold(32768)
from lilong_firmware.batcher import Batcher
from lilong_firmware.row import Row
rows = []
batcher = Batcher(lambda item, channels, count, mark: rows.append(count), 1024, 100000)
for index in range(2048):
    time = 830000000000 + index * 60000 + index * index % 7919
    batcher.add(Row(0, None, time, [(0, index * 7919 % 65521 << 12)]))
print(sum(rows))
"""
    path = f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"
    # 24 KiB of it are the code of these modules, which a node has in flash.
    done = subprocess.run(
        [micropython32, "-X", "heapsize=92k", "-c", program],
        env={"MICROPYPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("2048\n", "")


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000, 800_000_000_000, -86_400_000])
def test_a_step_of_the_clock_within_a_batch_spoils_no_time(step_ms):
    sink, batcher = make_batcher(readings=40)
    times = [830_000_000_000 + 1000 * n + (step_ms if n >= 17 else 0) for n in range(40)]
    for time in times:
        add(batcher, time, {0: time % 997})
    assert sink.readings(0) == [(time, time % 997) for time in times]


def test_what_is_too_long_for_an_item_is_split_and_nothing_is_lost():
    sink, batcher = make_batcher(readings=1024)
    chance = random.Random(2)
    rows = [(time, chance.getrandbits(63), chance.getrandbits(20)) for time in range(512)]
    for time, wide, narrow in rows:
        add(batcher, time, {0: wide, 1: narrow})
    assert len(sink.blocks) > 8
    assert max(sink.sizes) <= ITEM_LIMIT
    assert sink.readings(0) == [(time, wide) for time, wide, _ in rows]
    assert sink.readings(1) == [(time, narrow) for time, _, narrow in rows]


@pytest.mark.parametrize("value", [-(1 << 64), (1 << 64) - 1, 1 << 63, -(1 << 63)])
def test_the_widest_values_pass_unchanged(value):
    sink, batcher = make_batcher(readings=3)
    for time in range(3):
        add(batcher, time, {0: value})
    assert sink.readings(0) == [(0, value), (1, value), (2, value)]


def test_a_value_without_encoding_is_dropped_alone():
    sink, batcher = make_batcher(readings=4)
    for time, value in enumerate([1, 2, 1 << 64, 4]):
        add(batcher, time, {0: value})
    assert sink.readings(0) == [(0, 1), (1, 2), (3, 4)]
    assert batcher.unencodable == 1


def test_a_source_with_a_position_is_sealed_in_its_own_order():
    sink, batcher = make_batcher(mark=(9, 50, 0))
    add(batcher, 1, {0: 1, 1: 1}, position=60)
    add(batcher, 2, {0: 2, 1: 2}, position=70)
    add(batcher, 3, {1: 3}, position=80)
    add(batcher, 4, {0: 4, 1: 4}, position=90)
    batcher.flush()
    assert sink.marks == [(9, 70, 0), (9, 80, 0), (9, 80, 1), (9, 90, 0)]


def test_halves_of_a_batch_tell_where_the_source_stood_after_each():
    sink, batcher = make_batcher(readings=256, mark=(9, 0, 0))
    chance = random.Random(3)
    for time in range(256):
        add(batcher, time, {0: chance.getrandbits(60)}, position=10 * (time + 1))
    ends = [10 * (block.times[-1] + 1) for block in sink.blocks]
    assert len(ends) > 3
    assert sink.marks == [(9, end, 0) for end in ends]


def test_a_row_that_was_half_journalled_counts_on_from_there():
    sink, batcher = make_batcher(mark=(9, 80, 1))
    add(batcher, 4, {1: 4, 2: 5}, position=90, part=1)
    batcher.flush()
    assert sink.marks == [(9, 80, 2), (9, 90, 0)]
