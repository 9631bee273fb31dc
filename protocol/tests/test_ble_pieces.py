import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilong_protocol.pieces import OVERHEAD, PieceReader, PieceWriter

frames = st.lists(st.binary(min_size=8, max_size=1024), max_size=12)
sizes = st.integers(20, 514)


def values_of(frames, size):
    writer = PieceWriter()
    for frame in frames:
        writer.put(frame)
    values = []
    while writer.waiting:
        values.append(writer.take(size))
    assert writer.pending == 0
    return values


@given(frames, sizes)
def test_frames_come_through_whole_and_in_order(sent, size):
    reader = PieceReader()
    got = [frame for value in values_of(sent, size) for frame in reader.feed(value)]
    assert got == sent
    assert (reader.damaged, reader.oversized) == (0, 0)


@given(frames, sizes, st.data())
def test_values_that_were_joined_on_the_way_come_apart_again(sent, size, data):
    values = values_of(sent, size)
    reader, got = PieceReader(), []
    while values:
        count = data.draw(st.integers(1, len(values)))
        got += reader.feed(b"".join(values[:count]))
        del values[:count]
    assert got == sent


@given(frames, sizes)
def test_no_value_is_longer_than_asked_and_only_the_last_one_is_shorter(sent, size):
    values = values_of(sent, size)
    assert all(len(value) <= size for value in values)
    assert all(len(value) >= size - OVERHEAD for value in values[:-1])


@given(frames, sizes, st.data())
def test_a_lost_value_costs_only_the_frames_that_it_was_part_of(sent, size, data):
    values = values_of(sent, size)
    if not values:
        return
    gone = data.draw(st.integers(0, len(values) - 1))
    reader = PieceReader()
    got = []
    for index, value in enumerate(values):
        if index != gone:
            got += reader.feed(value)
    touched = touched_by(sent, size, gone)
    assert got == [frame for index, frame in enumerate(sent) if index not in touched]


def touched_by(sent, size, gone):
    """Indexes of the frames with a piece in that value."""
    writer, touched, index, left = PieceWriter(), set(), 0, [len(frame) for frame in sent]
    for frame in sent:
        writer.put(frame)
    for number in range(gone + 1):
        value, at = writer.take(size), 0
        while at < len(value):
            if number == gone:
                touched.add(index)
            left[index] -= value[at + 1]
            at += OVERHEAD + value[at + 1]
            index += left[index] == 0
    return touched


@given(st.binary(max_size=300), frames, sizes)
def test_noise_never_raises_and_the_next_connection_is_sound(noise, sent, size):
    reader = PieceReader()
    reader.feed(noise)
    assert reader.damaged + reader.oversized <= max(1, len(noise))
    fresh = PieceReader()
    assert [frame for value in values_of(sent, size) for frame in fresh.feed(value)] == sent


def test_a_value_cut_short_is_noticed_and_the_next_frame_survives():
    first, second = bytes(range(200)), b"the second frame"
    values = values_of([first, second], 120)
    reader = PieceReader()
    assert reader.feed(values[0][:-1]) == []
    assert reader.damaged == 1
    assert reader.feed(values[1]) == [second]


def test_a_frame_beyond_the_limit_is_dropped_and_nothing_of_it_is_kept():
    writer = PieceWriter()
    writer.put(bytes(1025))
    writer.put(b"behind it")
    reader = PieceReader()
    got = []
    while writer.waiting:
        got += reader.feed(writer.take(100))
        assert reader._parts is None or sum(map(len, reader._parts)) <= 1024
    assert got == [b"behind it"]
    assert (reader.oversized, reader.damaged) == (1, 0)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\xc0", "no length"),
        (b"\xc0\x00", "an empty piece"),
        (b"\xc0\x05abcd", "shorter than it says"),
        (b"\x40\x01a", "the end of a frame that never began"),
        (b"\xc1\x01a", "a number that was skipped"),
    ],
)
def test_what_is_wrong_with_a_value_is_counted_once(value, why):
    reader = PieceReader()
    reader.feed(value)
    assert reader.damaged == 1, why


def test_small_frames_share_a_value():
    assert len(values_of([bytes(40)] * 5, 244)) == 1
