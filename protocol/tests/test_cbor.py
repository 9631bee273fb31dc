import math
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError, RangeError

integers = st.integers(-(2**64), 2**64 - 1)
scalars = integers | st.binary(max_size=300) | st.text(max_size=60) | st.booleans() | st.none()


def nested(depth: int) -> "st.SearchStrategy[Any]":
    items = scalars
    for _ in range(depth):
        items = scalars | st.lists(items, max_size=5)
    return items


@settings(max_examples=100, deadline=None)
@given(nested(cbor.MAX_DEPTH))
def test_what_is_encoded_is_decoded_alike(item: Any) -> None:
    assert cbor.decode(cbor.encode(item)) == item


@settings(max_examples=100, deadline=None)
@given(nested(cbor.MAX_DEPTH))
def test_the_bytes_are_those_of_another_implementation(item: Any) -> None:
    assert cbor.encode(item) == cbor2.dumps(item, canonical=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(nested(2), max_size=8))
def test_a_sequence_keeps_its_items_in_order(items: list[Any]) -> None:
    data = cbor.encode_sequence(items)
    assert data == b"".join(cbor2.dumps(item, canonical=True) for item in items)
    assert cbor.decode_sequence(data) == items


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_as_by_another_implementation_or_refused(data: bytes) -> None:
    try:
        item = cbor.decode(data)
    except DecodeError:
        return
    assert item == cbor2.loads(data)


@settings(max_examples=100, deadline=None)
@given(nested(3), st.data())
def test_every_cut_of_an_item_is_refused(item: Any, data: st.DataObject) -> None:
    encoded = cbor.encode(item)
    size = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodeError):
        cbor.decode(encoded[:size])


@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb", "db"])
def test_a_claimed_length_beyond_the_data_is_refused_at_once(head: str) -> None:
    with pytest.raises(DecodeError):
        cbor.decode(bytes.fromhex(head + "7fffffffffffffff"))


def test_bytes_after_the_item_are_refused() -> None:
    with pytest.raises(DecodeError, match="at 1"):
        cbor.decode(b"\x00\x00")


def test_arrays_nest_four_deep_and_no_deeper() -> None:
    four: Any = [[[[1]]]]
    assert cbor.decode(cbor.encode(four)) == four
    with pytest.raises(RangeError):
        cbor.encode([four])
    with pytest.raises(DecodeError, match="deeper"):
        cbor.decode(b"\x81" + cbor.encode(four))


def test_the_number_of_items_is_bounded() -> None:
    assert len(cbor.decode_sequence(bytes(cbor.MAX_ELEMENTS))) == cbor.MAX_ELEMENTS
    with pytest.raises(DecodeError, match="more than"):
        cbor.decode_sequence(bytes(cbor.MAX_ELEMENTS + 1))
    with pytest.raises(DecodeError, match="more than"):
        cbor.decode(b"\x99\x10\x00" + bytes(cbor.MAX_ELEMENTS))


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1])
def test_an_integer_beyond_cbor_is_our_mistake(value: int) -> None:
    with pytest.raises(RangeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", [1.5, math.nan, {}, {1: 2}, object(), {1}])
def test_a_type_that_is_not_on_the_wire_is_our_mistake(value: Any) -> None:
    with pytest.raises(RangeError):
        cbor.encode(value)


@pytest.mark.parametrize("data", [b"\x61\xff", b"\x62\xc3\x28", b"\x63\xed\xa0\x80", b"\x61\x80"])
def test_a_text_that_is_not_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="UTF-8"):
        cbor.decode(data)
