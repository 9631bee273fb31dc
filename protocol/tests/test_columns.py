from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lilong_protocol import rice
from lilong_protocol.columns import MAX_COUNT, decode_column, encode_column
from lilong_protocol.errors import DecodeError, RangeError

SMALLEST, LARGEST = -(2**63), 2**63 - 1


def unzigzag(symbol: int) -> int:
    return symbol // 2 if symbol % 2 == 0 else -(symbol + 1) // 2


def read_plainly(data: bytes, count: int) -> list[int]:
    """A second decoder, written from the format's description alone."""
    header, rest = data[0], data[1:]
    size = next(index for index, byte in enumerate(rest) if byte < 128) + 1
    groups = [byte % 128 for byte in rest[:size]]
    base = unzigzag(sum(group * 128**index for index, group in enumerate(groups)))
    bits = "".join(f"{byte:08b}" for byte in rest[size:])
    k = header & 15
    by_difference = header >= 128
    values = [base] if by_difference else []
    while len(values) < count:
        if header & 64:
            symbol = 0
        elif bits.startswith("1" * 12):
            width = int(bits[12:17], 2) + 1
            symbol, bits = int(bits[17 : 17 + width], 2), bits[17 + width :]
        else:
            q = bits.index("0")
            symbol = q * 2**k + int("0" + bits[q + 1 : q + 1 + k], 2)
            bits = bits[q + 1 + k :]
        values.append((values[-1] if by_difference else base) + unzigzag(symbol))
    assert len(bits) < 8
    assert set(bits) <= {"0"}
    return values


@st.composite
def sensor_like(draw: st.DrawFn) -> list[int]:
    """Values about a level that may wander, now and then a spike."""
    level = draw(st.integers(-(10**6), 10**6))
    width = draw(st.sampled_from([0, 1, 3, 20, 500, 60000]))
    wanders = draw(st.booleans())
    values = []
    for _ in range(draw(st.integers(1, 80))):
        step = draw(st.integers(-width, width))
        spike = draw(st.integers(0, 19)) == 0
        values.append(level + step + (draw(st.integers(-(2**28), 2**28)) if spike else 0))
        level += step if wanders else 0
    return values


@settings(max_examples=80, deadline=None)
@given(sensor_like())
def test_a_column_comes_back_from_two_decoders(values: list[int]) -> None:
    data = encode_column(values)
    assert data is not None
    assert decode_column(data, len(values)) == values
    assert read_plainly(data, len(values)) == values


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-(2**66), 2**66), min_size=1, max_size=40))
def test_a_column_is_exact_or_declined(values: list[int]) -> None:
    data = encode_column(values)
    if data is not None:
        assert decode_column(data, len(values)) == values


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**30) + 1, 2**30 - 1), min_size=1, max_size=40))
def test_residuals_of_31_bits_are_never_declined(values: list[int]) -> None:
    assert encode_column(values) is not None


@pytest.mark.parametrize("value", [SMALLEST, LARGEST, 0, -1])
def test_the_base_covers_int64(value: int) -> None:
    data = encode_column([value, value])
    assert data is not None
    assert decode_column(data, 2) == [value, value]


@pytest.mark.parametrize("values", [[SMALLEST - 1] * 2, [LARGEST + 1] * 2, [0, 2**31, 0]])
def test_what_is_too_wide_is_declined(values: list[int]) -> None:
    assert encode_column(values) is None


@pytest.mark.parametrize("count", [0, MAX_COUNT + 1])
def test_a_count_out_of_range_is_our_mistake(count: int) -> None:
    with pytest.raises(RangeError):
        encode_column([1] * count)


def test_a_column_of_1024_values_comes_back() -> None:
    values = [(index * index) % 997 for index in range(MAX_COUNT)]
    data = encode_column(values)
    assert data is not None
    assert decode_column(data, MAX_COUNT) == values


def test_every_escape_width_and_every_k_is_read() -> None:
    for width in range(1, 33):
        for k in range(16):
            bits = "1" * 12 + f"{width - 1:05b}" + "1" * width + "0" * (1 + k)
            bits += "0" * (-len(bits) % 8)
            body = int(bits, 2).to_bytes(len(bits) // 8, "big")
            data = bytes((k, 0)) + body
            assert decode_column(data, 2) == read_plainly(data, 2) == [-(2 ** (width - 1)), 0]


def test_a_spike_does_not_make_every_reading_dear() -> None:
    calm = encode_column([2150, 2151] * 30)
    spiked = encode_column([2150, 2151] * 15 + [500000] + [2150, 2151] * 15)
    assert calm is not None
    assert spiked is not None
    assert len(spiked) - len(calm) < 8


def test_a_drifting_level_and_a_noisy_one_get_different_orders() -> None:
    drifting = encode_column([index * 7 + index % 3 for index in range(60)])
    noisy = encode_column([(index * 7919) % 101 for index in range(60)])
    assert drifting is not None
    assert noisy is not None
    assert (drifting[0] >> 7, noisy[0] >> 7) == (1, 0)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.integers(-1, MAX_COUNT + 1))
def test_any_bytes_are_a_column_or_a_decode_error(data: bytes, count: int) -> None:
    try:
        values = decode_column(data, count)
    except DecodeError:
        return
    assert len(values) == count
    assert values == read_plainly(data, count)


@settings(max_examples=100, deadline=None)
@given(sensor_like(), st.data())
def test_a_column_has_exactly_one_length(values: list[int], data: st.DataObject) -> None:
    column = encode_column(values)
    assert column is not None
    assume(len(column) > 2)
    cut = data.draw(st.integers(0, len(column) - 1))
    with pytest.raises(DecodeError):
        decode_column(column[:cut], len(values))
    with pytest.raises(DecodeError):
        decode_column(column + b"\0", len(values))


@given(st.binary(min_size=1, max_size=80), st.integers(0, 15), st.integers(1, 200))
def test_reading_by_the_windowful_is_reading_one_by_one(data: bytes, k: int, count: int) -> None:
    bits = int.from_bytes(data + bytes(4), "big")
    assert outcome(rice._read_many, bits, data, k, count) == outcome(
        rice._read, bits, data, k, count
    )


def outcome(
    read: Callable[[int, int, int, int, list[int]], int],
    bits: int,
    data: bytes,
    k: int,
    count: int,
) -> tuple[int, list[int]] | None:
    values: list[int] = []
    try:
        left = read(bits, len(data) * 8, k, count, values)
    except ValueError:
        return None
    return (left, values) if left >= 0 else None
