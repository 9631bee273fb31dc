import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import cbor
from lilong_protocol.blocks import (
    MAX_READINGS,
    decode_block,
    encode_series,
    encode_single,
    encode_table,
)
from lilong_protocol.errors import DecodeError, RangeError

GOLDEN = json.loads((Path(__file__).parent.parent / "vectors" / "blocks.json").read_text("utf-8"))
NOW_S = 836956800

channels = st.integers(0, 255)
values = st.integers(-(2**64), 2**64 - 1) | st.integers(-5000, 5000)
boots = st.none() | st.integers(0, 2**32 - 1)


@st.composite
def time_lists(draw: st.DrawFn, size: int) -> list[int]:
    start = draw(st.integers(0, 2**40))
    kind = draw(st.sampled_from(["regular", "gaps", "jitter", "any"]))
    period = draw(st.sampled_from([0, 1, 300, 1000, 3600000]))
    times = [start + index * period for index in range(size)]
    if kind == "gaps":
        return [time + period * draw(st.integers(0, 3)) for time in times]
    if kind == "jitter":
        return [time + draw(st.integers(0, 40)) for time in times]
    if kind == "any":
        return draw(st.lists(st.integers(0, 2**63), min_size=size, max_size=size))
    return times


@settings(max_examples=120, deadline=None)
@given(channels, boots, st.data())
def test_a_series_comes_back_exactly(channel: int, boot: int | None, data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    times = data.draw(time_lists(size))
    column = data.draw(st.lists(values, min_size=size, max_size=size))
    block = decode_block(encode_series(channel, times, column, boot))
    assert (block.boot, block.times, block.columns) == (boot, times, [(channel, column)])
    assert block.count == size


@settings(max_examples=60, deadline=None)
@given(st.lists(channels, min_size=1, max_size=6, unique=True), boots, st.data())
def test_a_table_comes_back_exactly(
    numbers: list[int], boot: int | None, data: st.DataObject
) -> None:
    size = data.draw(st.integers(2, 20))
    times = data.draw(time_lists(size))
    row = st.lists(values, min_size=size, max_size=size)
    columns = [(number, data.draw(row)) for number in numbers]
    block = decode_block(encode_table(times, columns, boot))
    assert (block.boot, block.times, block.columns) == (boot, times, columns)
    assert block.count == size * len(numbers)


@settings(max_examples=100, deadline=None)
@given(channels, st.integers(0, 2**64 - 1), values, boots)
def test_a_single_reading_comes_back_exactly(
    channel: int, time: int, value: int, boot: int | None
) -> None:
    block = decode_block(encode_single(channel, time, value, boot))
    assert (block.boot, block.times, block.columns) == (boot, [time], [(channel, [value])])
    assert block.count == 1


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([case["hex"] for case in GOLDEN["blocks"]]), st.data())
def test_a_mutated_item_is_readings_or_a_decode_error(golden: str, data: st.DataObject) -> None:
    item = bytearray.fromhex(golden)
    for _ in range(data.draw(st.integers(1, 4))):
        item[data.draw(st.integers(0, len(item) - 1))] = data.draw(st.integers(0, 255))
    try:
        block = decode_block(bytes(item))
    except DecodeError:
        return
    assert 1 <= block.count <= MAX_READINGS
    assert all(len(column) == len(block.times) for _, column in block.columns)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64) | st.lists(st.integers(-2, 300)).map(cbor.encode_sequence))
def test_any_bytes_are_readings_or_a_decode_error(item: bytes) -> None:
    try:
        block = decode_block(item)
    except DecodeError:
        return
    assert block.count >= 1


@pytest.mark.parametrize("case", GOLDEN["refused"], ids=lambda case: case["why"])
def test_an_item_outside_the_grammar_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        decode_block(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize(
    "case", GOLDEN["accepted"] + GOLDEN["blocks"], ids=lambda case: case["hex"]
)
def test_a_golden_item_is_read(case: dict[str, Any]) -> None:
    block = decode_block(bytes.fromhex(case["hex"]))
    columns = [(channel, column) for channel, column in case["columns"]]
    assert (block.boot, block.times, block.columns) == (case["boot"], case["times"], columns)


def test_regular_times_cost_one_number() -> None:
    regular = encode_series(1, [NOW_S + 300 * index for index in range(60)], [5] * 60)
    assert len(regular) < 20
    assert cbor.decode_sequence(regular)[4] == 300


def test_gaps_in_a_period_are_counted_in_periods() -> None:
    times = [NOW_S, NOW_S + 300, NOW_S + 1200, NOW_S + 1500]
    steps = cbor.decode_sequence(encode_series(1, times, [1, 2, 3, 4]))[4]
    assert isinstance(steps, list)
    assert steps[0] == 300


def test_one_sample_of_several_channels_shares_its_times() -> None:
    times = [NOW_S + index * 60 + index % 7 for index in range(60)]
    column = [(index * 7919) % 101 for index in range(60)]
    table = encode_table(times, [(1, column), (2, column)])
    assert len(table) < 2 * len(encode_series(1, times, column)) - 20


@pytest.mark.parametrize(
    ("times", "columns", "boot"),
    [
        ([], [(1, [])], None),
        ([1], [(1, [1])], None),
        ([1] * 1025, [(1, [1] * 1025)], None),
        ([1, 2], [], None),
        ([1, 2], [(1, [1, 2, 3])], None),
        ([1, 2], [(256, [1, 2])], None),
        ([1, 2], [(-1, [1, 2])], None),
        ([1, 2], [(1, [1, 2]), (1, [1, 2])], None),
        ([-1, 2], [(1, [1, 2])], None),
        ([1, 2], [(1, [1, 2])], 2**32),
        ([1, 2], [(1, [1, 2])], -1),
        ([1, 2], [(1, [2**64, 0])], None),
        ([2**64, 2**64], [(1, [1, 2])], None),
        ([0] * 1024, [(number, [0] * 1024) for number in range(5)], None),
    ],
)
def test_readings_that_have_no_item_are_our_mistake(
    times: list[int], columns: list[tuple[int, list[int]]], boot: int | None
) -> None:
    with pytest.raises(RangeError):
        encode_table(times, columns, boot)


def test_a_time_or_value_without_an_encoding_is_our_mistake() -> None:
    for channel, time, value in ((1, -1, 0), (1, 2**64, 0), (1, 0, 2**64), (256, 0, 0)):
        with pytest.raises(RangeError):
            encode_single(channel, time, value)
