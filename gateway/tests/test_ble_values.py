import asyncio
import random

import pytest

from lilong_gateway.errors import LinkLostError
from lilong_gateway.links.values import UNANSWERED_BYTES, ValueLine
from lilong_protocol.pieces import PieceReader, PieceWriter

PATIENCE_S = 5


class Far:
    """The other end of a line: takes what is to be written, as long as it is told to."""

    def __init__(self) -> None:
        self.changes = 0
        self.line = ValueLine("hci0/x", self.changed)
        self.reader = PieceReader()
        self.writer = PieceWriter()
        self.frames: list[bytes] = []
        self.writes: list[tuple[int, bool]] = []

    def changed(self) -> None:
        self.changes += 1

    async def take(self, size: int) -> None:
        """Take values until there is none left."""
        while True:
            try:
                async with asyncio.timeout(0.02):
                    value, answered = await self.line.next_value(size)
            except TimeoutError:
                return
            assert 0 < len(value) <= size
            self.writes.append((len(value), answered))
            self.frames += self.reader.feed(value)

    def say(self, *frames: bytes, size: int = 244) -> None:
        for frame in frames:
            self.writer.put(frame)
        while self.writer.waiting:
            self.line.take(self.writer.take(size))


@pytest.mark.parametrize("size", [20, 21, 97, 182, 244, 509])
async def test_frames_arrive_as_they_were_written_whatever_a_value_holds(size: int) -> None:
    chance = random.Random(size)
    frames = [chance.randbytes(chance.randrange(8, 1025)) for _ in range(20)]
    far = Far()
    for frame in frames:
        while not far.line.ready:
            await far.take(size)
        far.line.write(frame)
    await far.take(size)
    assert (far.frames, far.reader.damaged) == (frames, 0)


@pytest.mark.parametrize("size", [20, 100, 244, 509])
async def test_no_more_than_the_node_has_room_for_is_written_without_an_answer(size: int) -> None:
    far = Far()
    for _ in range(30):
        far.line.write(bytes(200))
        await far.take(size)
    unanswered = 0
    for length, answered in far.writes:
        unanswered = 0 if answered else unanswered + length
        assert unanswered <= UNANSWERED_BYTES
    share = sum(answered for _, answered in far.writes) / len(far.writes)
    assert share < 2 * size / UNANSWERED_BYTES


async def test_the_last_write_is_answered_and_only_then_all_is_settled() -> None:
    far = Far()
    far.line.write(bytes(8))
    far.line.settle()
    assert not far.line.settled
    value, answered = await far.line.next_value(244)
    assert (len(value), answered, far.line.settled) == (10, True, False)
    before = far.changes
    await far.take(244)
    assert far.line.settled
    assert far.changes > before


async def test_a_line_is_settled_at_once_when_nothing_waits() -> None:
    far = Far()
    far.line.settle()
    await far.take(244)
    assert (far.line.settled, far.writes) == (True, [])


async def test_a_line_takes_frames_while_little_waits_and_tells_when_it_does_again() -> None:
    far = Far()
    while far.line.ready:
        far.line.write(bytes(300))
    await far.take(244)
    assert far.line.ready
    assert far.changes > 0
    assert len(far.frames) == 4


def test_what_came_before_a_line_was_lost_can_still_be_read() -> None:
    far = Far()
    far.say(b"first one", b"second one")
    far.line.lose("the connection broke off")
    far.line.lose("closed")
    far.say(b"too late!")
    assert far.line.read() == [b"first one", b"second one"]
    with pytest.raises(LinkLostError, match="the connection broke off"):
        far.line.read()
    with pytest.raises(LinkLostError, match="the connection broke off"):
        far.line.write(bytes(8))
    assert not far.line.ready


def test_who_sends_without_being_read_is_dropped_and_costs_no_more_memory() -> None:
    far = Far()
    while far.line.received_bytes < 1 << 18:
        before = far.line.received_bytes
        far.say(bytes(1000))
        if far.line.received_bytes == before:
            break
    assert far.line.received_bytes < (1 << 16) + 2000
    assert far.line.read()
    with pytest.raises(LinkLostError, match="more than was asked for"):
        far.line.read()


def test_who_is_read_may_send_for_ever() -> None:
    far = Far()
    frames = 0
    for _ in range(300):
        far.say(bytes(1000))
        frames += len(far.line.read())
    assert frames == 300


def test_noise_is_counted_and_the_next_frame_survives() -> None:
    far = Far()
    chance = random.Random(1)
    for _ in range(200):
        far.line.take(chance.randbytes(chance.randrange(1, 60)))
        far.line.read()
    assert far.line.counters["damaged"] > 0
    far.say(b"is dropped", b"survives it")
    assert b"survives it" in far.line.read()
