import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import cobs
from lilong_protocol.errors import DecodeError

sparse = st.lists(st.sampled_from([b"\0", b"x" * 253, b"x" * 254, b"x" * 255, b"\1"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600) | sparse.map(b"".join))
def test_data_comes_back_and_holds_no_00_in_between(data: bytes) -> None:
    encoded = cobs.encode(data)
    assert 0 not in encoded
    assert cobs.decode(encoded) == data


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=900) | sparse.map(b"".join))
def test_the_overhead_is_one_byte_and_one_for_each_254(data: bytes) -> None:
    assert len(data) < len(cobs.encode(data)) <= len(data) + 1 + len(data) // 254


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        decoded = cobs.decode(data)
    except DecodeError:
        return
    assert len(decoded) < len(data)


@pytest.mark.parametrize("data", [b"", b"\0", b"\1\0", b"\3a", b"\xff" + b"a" * 253])
def test_what_cobs_cannot_have_written_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        cobs.decode(data)
