import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol.errors import RangeError
from lilong_protocol.serial import FRAME_LIMIT, FrameReader, wrap

BOOT_LOG = b"I (29) boot: ESP-IDF v5.4\r\n\x1b[0;32mI (31) boot: chip revision 3\x1b[0m\r\n"
HEADER = bytes((0x22, 0x80, 0, 7, 0, 0, 0, 1))

frames = st.lists(st.binary(min_size=1, max_size=400), max_size=6)
text = st.text("abc \n\r\t", max_size=40).map(str.encode)


@settings(max_examples=100, deadline=None)
@given(frames, st.data())
def test_frames_arrive_however_the_line_is_split(sent: list[bytes], data: st.DataObject) -> None:
    line = b"".join(wrap(frame) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(line)), max_size=20)))
    reader = FrameReader()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(line)], strict=True):
        received.extend(reader.feed(line[start:end]))
    assert received == sent
    assert (reader.damaged, reader.oversized, reader.text) == (0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=100), min_size=2, max_size=6), st.data())
def test_a_damaged_frame_is_counted_and_the_others_survive(
    sent: list[bytes], data: st.DataObject
) -> None:
    victim = data.draw(st.integers(0, len(sent) - 1))
    wrapped = [bytearray(wrap(frame)) for frame in sent]
    at = data.draw(st.integers(0, len(wrapped[victim]) - 2))
    wrapped[victim][at] ^= data.draw(st.integers(1, 255))
    reader = FrameReader()
    received = reader.feed(b"".join(bytes(frame) for frame in wrapped))
    assert received == sent[:victim] + sent[victim + 1 :]
    assert reader.damaged + reader.text > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(text, st.binary(min_size=1, max_size=60)), max_size=5))
def test_foreign_text_before_a_leading_00_costs_no_frame(parts: list[tuple[bytes, bytes]]) -> None:
    reader = FrameReader()
    line = b"".join(words + wrap(frame, leading=True) for words, frame in parts)
    assert reader.feed(line) == [frame for _, frame in parts]
    assert reader.take_text() == b"".join(words for words, _ in parts)
    assert reader.damaged == 0


def test_a_frame_right_behind_a_log_line_survives() -> None:
    reader = FrameReader()
    assert reader.feed(BOOT_LOG + wrap(HEADER + b"sealed")) == [HEADER + b"sealed"]
    assert reader.take_text() == BOOT_LOG
    assert (reader.text, reader.damaged) == (len(BOOT_LOG), 0)


def test_a_frame_right_behind_a_long_log_survives() -> None:
    reader = FrameReader()
    line = BOOT_LOG * 100 + wrap(HEADER)
    received = [
        frame for at in range(0, len(line), 64) for frame in reader.feed(line[at : at + 64])
    ]
    assert received == [HEADER]
    assert (reader.text, reader.oversized) == (len(BOOT_LOG) * 100, 0)


def test_a_megabyte_of_noise_costs_at_most_the_next_frame() -> None:
    noise = random.Random(1)
    for _ in range(3):
        reader = FrameReader()
        for _ in range(256):
            reader.feed(noise.randbytes(4096))
        received = reader.feed(wrap(b"first") + wrap(b"second") + wrap(b"third"))
        assert received[-2:] == [b"second", b"third"]
        assert reader.damaged > 0


def test_a_leading_00_saves_even_the_frame_after_noise() -> None:
    noise = random.Random(2)
    reader = FrameReader()
    for _ in range(50):
        reader.feed(noise.randbytes(noise.randrange(3000)))
        assert reader.feed(wrap(b"frame", leading=True))[-1:] == [b"frame"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_leave_the_reader_able_to_receive(pieces: list[bytes]) -> None:
    reader = FrameReader(limit=64)
    for piece in pieces:
        reader.feed(piece)
    assert reader.feed(wrap(b"after", leading=True))[-1] == b"after"


def test_empty_pieces_between_delimiters_are_nothing() -> None:
    reader = FrameReader()
    assert reader.feed(bytes(1000)) == []
    assert (reader.damaged, reader.oversized, reader.text) == (0, 0, 0)


def test_an_endless_piece_is_counted_once_and_not_kept() -> None:
    reader = FrameReader()
    for _ in range(300):
        assert reader.feed(b"\xaa" * 1024) == []
    assert (reader.oversized, reader.damaged) == (1, 0)
    assert reader.take_text() == b""
    assert reader.feed(wrap(b"next", leading=True)) == [b"next"]


def test_the_largest_frame_passes_and_a_larger_one_is_oversized() -> None:
    reader = FrameReader(limit=100)
    assert reader.feed(wrap(b"\xff" * 100)) == [b"\xff" * 100]
    assert reader.feed(wrap(b"\xff" * 101)) == []
    assert reader.feed(wrap(bytes(101))) == []
    assert reader.oversized == 2
    largest = random.Random(3).randbytes(FRAME_LIMIT)
    assert FrameReader().feed(wrap(largest)) == [largest]


def test_the_text_that_is_kept_is_the_newest_and_bounded() -> None:
    reader = FrameReader()
    lines = b"".join(b"line %06d\n" % number for number in range(10000))
    for at in range(0, len(lines), 100):
        reader.feed(lines[at : at + 100])
    reader.flush()
    kept = reader.take_text()
    assert len(kept) == 4096
    assert lines.endswith(kept)
    assert reader.text == len(lines)
    assert reader.take_text() == b""


def test_a_line_that_fell_silent_can_be_flushed() -> None:
    reader = FrameReader()
    reader.feed(b">>> ")
    assert reader.take_text() == b""
    reader.flush()
    assert reader.take_text() == b">>> "
    reader.feed(b"\xff\xfe")
    reader.flush()
    assert reader.damaged == 1


def test_a_frame_may_come_as_any_kind_of_buffer() -> None:
    line = wrap(b"frame")
    reader = FrameReader()
    assert reader.feed(bytearray(line)) == [b"frame"]
    assert reader.feed(memoryview(line)) == [b"frame"]


@pytest.mark.parametrize("size", [0, FRAME_LIMIT + 1])
def test_a_frame_of_no_size_or_too_much_is_our_mistake(size: int) -> None:
    with pytest.raises(RangeError):
        wrap(bytes(size))


def test_a_crc_over_nothing_is_no_frame() -> None:
    reader = FrameReader()
    assert reader.feed(b"\x01\x01\x01\x01\x01\0") == []
    assert reader.damaged == 1
