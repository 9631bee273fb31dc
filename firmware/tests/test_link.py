import asyncio
import time

import pytest

from lilong_firmware.clock import Clock
from lilong_firmware.link import Link
from lilong_firmware.supervision import Duty
from lilong_protocol.serial import FrameReader, wrap

FRAMES = [bytes([number]) * 700 for number in range(1, 6)]


class Session:
    """Has frames to send and keeps what it gets; each frame received is one event."""

    def __init__(self, frames=()):
        self.frames = list(frames)
        self.received = []
        self.polls = 0

    def poll(self, _now_ms):
        self.polls += 1
        return self.frames.pop(0) if self.frames else None

    def due_ms(self, _now_ms):
        return 60_000

    def events(self):
        return []

    def receive(self, frame, _now_ms):
        self.received.append(frame)
        return [frame]


class Line:
    """A UART that takes and gives only so many bytes at a time, or none, or fails."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.taken = b""
        self.arriving = asyncio.Queue()

    def write(self, data):
        answer = self.answers.pop(0) if self.answers else len(data)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            self.taken += bytes(data[:answer])
        return answer if answer is None else min(answer, len(data))

    async def read(self, limit):
        data = await self.arriving.get()
        if isinstance(data, Exception):
            raise data
        assert len(data) <= limit
        return data


class Bench:
    """A link on a line; the clock runs `speed` times as fast as the wall's."""

    def __init__(self, session, line, speed=1):
        start = time.monotonic()
        clock = Clock(lambda: int((time.monotonic() - start) * 1000 * speed), lambda a, b: a - b)
        self.events = []
        self.wake = asyncio.Event()
        self.session = session
        self.line = line
        self.link = Link(line, line, session, clock, self.wake, self.events.append)
        duty = Duty("link", 1000, clock)
        self.tasks = [
            asyncio.create_task(self.link.receive(duty)),
            asyncio.create_task(self.link.send(duty)),
        ]

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.mark.parametrize("answers", [(), (1, 2, 3), (None, 5, None, None, 9), (0, 100, 0)])
async def test_partial_and_refused_writes_lose_nothing(answers):
    line = Line(*answers)
    bench = Bench(Session(FRAMES), line)
    await bench.until(lambda: line.taken.count(b"\0") == len(FRAMES) + 1)
    assert FrameReader().feed(line.taken) == FRAMES
    assert bench.link.sent_bytes == len(line.taken)


async def test_a_line_that_takes_nothing_costs_one_frame_and_the_next_is_found():
    line = Line(10, None, None)
    bench = Bench(Session(FRAMES[:3]), line, speed=400)
    await bench.until(lambda: line.taken.endswith(wrap(FRAMES[2])))
    assert bench.link.counters["stalled"] == 1
    assert FrameReader().feed(line.taken) == FRAMES[1:3]


async def test_an_error_of_the_line_is_counted_and_outlived():
    line = Line(OSError(5), OSError(5))
    bench = Bench(Session(FRAMES[:1]), line)
    await line.arriving.put(OSError(5))
    await line.arriving.put(wrap(b"hello"))
    await bench.until(lambda: bench.session.received and line.taken)
    assert bench.link.counters["broken"] == 3
    assert FrameReader().feed(line.taken) == FRAMES[:1]


async def test_what_arrives_in_pieces_becomes_frames_and_events():
    line = Line()
    bench = Bench(Session(), line)
    data = b"boot log\n" + wrap(b"first", leading=True) + wrap(b"second")
    for index in range(len(data)):
        await line.arriving.put(data[index : index + 1])
    await bench.until(lambda: len(bench.events) == 2)
    assert bench.session.received == [b"first", b"second"]
    assert bench.link.received_bytes == len(data)


async def test_sending_rests_until_it_is_woken():
    line = Line()
    bench = Bench(Session(), line)
    await asyncio.sleep(0.1)
    assert bench.session.polls == 1
    bench.session.frames.append(FRAMES[0])
    bench.wake.set()
    await bench.until(lambda: line.taken)
    assert bench.session.polls <= 4


async def test_only_a_silent_line_gets_a_leading_zero():
    line = Line()
    bench = Bench(Session(FRAMES), line)
    await bench.until(lambda: line.taken.endswith(wrap(FRAMES[-1])))
    assert line.taken == b"\0" + b"".join(wrap(frame) for frame in FRAMES)
