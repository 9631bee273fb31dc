from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import cbor
from lilong_protocol.descriptor import (
    DESCRIPTOR_LIMIT,
    Channel,
    decode_descriptor,
    encode_descriptor,
)
from lilong_protocol.errors import DecodeError, RangeError

LEVEL = Channel(0, "level", "m", -3, -3, 0, "水位")
ROW = LEVEL.fields()

WRONG = {
    "a number above 255": (0, 256),
    "a number that is a bool": (0, True),
    "an empty name": (1, ""),
    "a name that starts with a dash": (1, "-level"),
    "a name with a blank": (1, "water level"),
    "a name beyond ASCII": (1, "水"),
    "a name of 33 characters": (1, "a" * 33),
    "a unit that is no text": (2, None),
    "a unit with a control character": (2, "m\n"),
    "an exponent below -24": (3, -25),
    "an exponent above 18": (3, 19),
    "times in microseconds": (4, -6),
    "a fifth privacy class": (5, 4),
    "a quantity of 65 characters": (6, "水" * 65),
    "a quantity of bytes": (6, b"level"),
}


def changed(index: int, value: Any) -> list[Any]:
    return [*ROW[:index], value, *ROW[index + 1 :]]


def test_a_descriptor_comes_back() -> None:
    channels = [LEVEL, Channel(255, "9:a/b_c.d-E", "", 18, 0, 3, "")]
    assert decode_descriptor(encode_descriptor(7, channels)) == (7, channels)


def test_a_node_may_have_no_channel() -> None:
    assert decode_descriptor(encode_descriptor(0, [])) == (0, [])


def test_channels_that_differ_are_not_equal() -> None:
    assert Channel(*ROW) == LEVEL
    assert hash(Channel(*ROW)) == hash(LEVEL)
    assert Channel(1, *ROW[1:]) != LEVEL
    assert LEVEL != ROW


@pytest.mark.parametrize(("index", "value"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_field_is_refused_in_both_directions(index: int, value: Any) -> None:
    row = changed(index, value)
    with pytest.raises(DecodeError):
        decode_descriptor(cbor.encode([1, [row]]))
    with pytest.raises(RangeError):
        encode_descriptor(1, [Channel(*row)])


@pytest.mark.parametrize(
    "item",
    [
        [],
        [1],
        1,
        [1, []][::-1],
        [-1, []],
        [True, []],
        [1, [[]]],
        [1, [ROW[:6]]],
        [1, [[*ROW, 1]]],
        [1, [ROW, ROW]],
        [1, [ROW, changed(0, 1)]],
        [1, [ROW, changed(1, "other")]],
        [1, [5]],
        [1, [], 3],
    ],
)
def test_another_shape_is_refused(item: Any) -> None:
    with pytest.raises(DecodeError):
        decode_descriptor(cbor.encode(item))


def test_a_descriptor_that_fits_no_frame_is_refused_in_both_directions() -> None:
    channels = [
        Channel(number, f"channel{number}", "m", 0, 0, 0, "x" * 64) for number in range(12)
    ]
    with pytest.raises(RangeError, match=str(DESCRIPTOR_LIMIT)):
        encode_descriptor(1, channels)
    with pytest.raises(DecodeError, match=str(DESCRIPTOR_LIMIT)):
        decode_descriptor(cbor.encode([1, [channel.fields() for channel in channels]]))


def test_the_message_names_the_field() -> None:
    with pytest.raises(RangeError, match="exponent 99"):
        encode_descriptor(1, [Channel(*changed(3, 99))])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mutated_descriptor_is_read_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(encode_descriptor(3, [LEVEL, Channel(1, "flow", "m3/s", -3, 0, 1, "")]))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        version, channels = decode_descriptor(bytes(encoded))
    except DecodeError:
        return
    assert decode_descriptor(encode_descriptor(version, channels)) == (version, channels)
