import asyncio
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilong_firmware.ble.visits import Visits
from lilong_firmware.clock import Clock
from lilong_firmware.supervision import Duty
from lilong_protocol.node_session import CLOSED, OPEN
from lilong_protocol.pieces import PieceReader, PieceWriter

sys.path.insert(0, str(Path(__file__).parent))
loop = importlib.import_module("ble_loop")

FIRMWARE = Path(__file__).parents[1]
PATH = [FIRMWARE, FIRMWARE.parent / "protocol", FIRMWARE / "tests"]
FRAMES = [bytes([number]) * 300 for number in range(1, 9)]
ALARM = b"alarm" * 5
HANDLE, SECOND = 3, 4


class Session:
    """Has frames to send, urgent ones first, and keeps what it gets."""

    def __init__(self, frames=()):
        self.frames = list(frames)
        self.urgent = []
        self.received = []
        self.interruptions = 0
        self.state = OPEN
        self.heard_ms = 0
        self.idle = False

    def poll(self, _now_ms):
        waiting = self.urgent or self.frames
        return waiting.pop(0) if waiting else None

    def due_ms(self, _now_ms):
        return 60_000

    def events(self):
        return []

    def receive(self, frame, now_ms):
        self.received.append(frame)
        self.heard_ms = now_ms
        return [frame]

    def interrupted(self, _now_ms):
        self.interruptions += 1
        self.state = CLOSED


class Advertiser:
    """Says nothing; it notes whether somebody was connected."""

    def __init__(self):
        self.sound_ms = 0
        self.doubts = 0
        self.connected = []

    def doubt(self):
        self.doubts += 1

    def step(self, _now_ms, *, connected):
        self.connected.append(connected)
        return 1000


class Bench:
    """Visits on a radio in this process; the clock runs `speed` times as fast as the wall's."""

    def __init__(self, session=None, speed=1):
        start = time.monotonic()
        clock = Clock(lambda: int((time.monotonic() - start) * 1000 * speed), lambda a, b: a - b)
        self.clock = clock
        self.session = session or Session()
        self.radio = loop.LoopRadio()
        self.advertiser = Advertiser()
        self.events = []
        self.wake = asyncio.Event()
        told = (self.wake, self.events.append, self.advertiser)
        self.visits = Visits(self.radio, self.session, clock, *told)
        self.duty = Duty("link", 1000, clock)
        self.tasks = [
            asyncio.create_task(self.visits.receive(self.duty)),
            asyncio.create_task(self.visits.send(self.duty)),
        ]

    def arrive(self, mtu=23, handle=HANDLE):
        self.radio.connect(handle)
        if mtu != 23:
            self.radio.resize(handle, mtu)

    def greet(self, frame=b"a gateway's", handle=HANDLE):
        writer = PieceWriter()
        writer.put(frame)
        while writer.waiting:
            self.radio.write(handle, writer.take(20))

    def frames(self, values=None):
        reader = PieceReader()
        values = self.radio.values if values is None else values
        frames = [frame for _, value in values for frame in reader.feed(value)]
        assert reader.damaged == 0
        return frames

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                for task in self.tasks:
                    assert not task.done(), task.exception()
                await asyncio.sleep(0.002)

    async def end(self):
        # asyncio.wait_for of Python 3.11 takes a cancellation for what it waited for, at times.
        while waiting := [task for task in self.tasks if not task.done()]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting, timeout=0.1)


@pytest.fixture
async def benches():
    made = []

    def build(*words, **options):
        made.append(Bench(*words, **options))
        return made[-1]

    yield build
    for bench in made:
        await bench.end()


@pytest.mark.parametrize("mtu", [23, 64, 185, 247])
async def test_frames_leave_in_notifications_that_are_all_full_but_the_last(benches, mtu):
    bench = benches(Session(FRAMES))
    bench.arrive(mtu)
    bench.greet()
    await bench.until(lambda: bench.frames() == FRAMES)
    sizes = [len(value) for _, value in bench.radio.values]
    # A first one may have left before the ATT_MTU was known; a piece needs three bytes.
    assert min(sizes[:-1]) >= mtu - 3 - 2
    assert max(sizes) == mtu - 3
    assert bench.visits.sent_bytes == sum(sizes)
    assert {handle for handle, _ in bench.radio.values} == {HANDLE}


async def test_a_node_says_nothing_before_the_gateway_has_written_something(benches):
    bench = benches(Session(FRAMES))
    bench.arrive()
    await bench.until(lambda: bench.visits.counters["visits"] == 1)
    await asyncio.sleep(0.2)
    assert bench.radio.tried == []
    bench.greet()
    await bench.until(lambda: bench.frames() == FRAMES)


async def test_without_room_the_same_value_is_tried_again_and_that_is_progress(benches):
    bench = benches(Session(FRAMES))
    bench.radio.answers = [loop.FULL] * 40
    bench.arrive()
    bench.greet()
    await bench.until(lambda: len(bench.radio.tried) > 40)
    assert len(set(bench.radio.tried[:41])) == 1
    assert not bench.duty.stalled
    await bench.until(lambda: bench.frames() == FRAMES)
    assert bench.visits.counters["broken"] == 0


async def test_a_radio_without_room_for_seconds_is_counted_and_beats_all_the_same(benches):
    bench = benches(Session(FRAMES), speed=100)
    bench.radio.answers = [loop.FULL] * 50
    bench.arrive()
    bench.greet()
    await bench.until(lambda: bench.session.received)
    bench.session.heard_ms = 10**9
    await bench.until(lambda: bench.visits.counters["stalled"] >= 2)
    assert not bench.duty.stalled
    await bench.until(lambda: bench.frames() == FRAMES)


async def test_a_refusal_is_counted_and_the_value_is_tried_again(benches):
    bench = benches(Session(FRAMES))
    bench.radio.answers = [loop.BROKEN]
    bench.arrive()
    bench.greet()
    await bench.until(lambda: bench.frames() == FRAMES)
    assert bench.visits.counters["broken"] == 1


async def test_an_alarm_overtakes_a_full_window_of_data(benches):
    session = Session(FRAMES)
    bench = benches(session)
    bench.radio.answers = [True] + [loop.FULL] * 10
    bench.arrive()
    bench.greet()
    await bench.until(lambda: len(bench.radio.tried) > 3)
    session.urgent.append(ALARM)
    bench.wake.set()
    await bench.until(lambda: len(bench.frames()) == len(FRAMES) + 1)
    assert bench.frames().index(ALARM) <= 1


async def test_writes_that_were_joined_and_frames_in_pieces_become_frames(benches):
    bench = benches()
    bench.arrive()
    writer = PieceWriter()
    for frame in (*FRAMES, b"the last"):
        writer.put(frame)
    values = []
    while writer.waiting:
        values.append(writer.take(20))
    joined = [b"".join(values[begin : begin + 7]) for begin in range(0, len(values), 7)]
    for value in joined:
        bench.radio.write(HANDLE, value)
    await bench.until(lambda: len(bench.events) == len(FRAMES) + 1)
    assert bench.session.received == [*FRAMES, b"the last"]
    assert bench.visits.received_bytes == sum(map(len, joined))
    assert bench.visits.damaged == 0


async def test_a_piece_that_was_cut_short_is_counted_and_the_next_frame_is_found(benches):
    bench = benches()
    bench.arrive()
    writer = PieceWriter()
    writer.put(b"cut short, as it is")
    writer.put(b"whole")
    first, second = writer.take(21), writer.take(20)
    bench.radio.write(HANDLE, first[:-4])
    bench.radio.write(HANDLE, second)
    await bench.until(lambda: bench.session.received == [b"whole"])
    assert bench.visits.damaged > 0


async def test_a_connection_that_ends_in_a_frame_leaves_nothing_for_the_next_one(benches):
    session = Session(FRAMES[:2])
    bench = benches(session)
    bench.radio.answers = [True] * 4 + [loop.FULL] * 400
    bench.arrive()
    bench.greet()
    bench.radio.write(HANDLE, b"\x81\x0fhalf of a frame")
    await bench.until(lambda: len(bench.radio.tried) > 6)
    bench.radio.drop(HANDLE)
    await bench.until(lambda: session.interruptions == 1)
    assert bench.visits.idle
    session.state, session.frames = OPEN, FRAMES[4:]
    bench.radio.answers, bench.radio.values = [], []
    bench.arrive(handle=SECOND)
    bench.greet(b"the next one", handle=SECOND)
    await bench.until(lambda: bench.frames() == FRAMES[4:])
    assert {handle for handle, _ in bench.radio.values} == {SECOND}
    assert session.received == [b"a gateway's", b"the next one"]
    assert bench.visits.counters["visits"] == 2


async def test_a_second_central_is_sent_away_and_the_first_one_stays(benches):
    bench = benches(Session(FRAMES))
    bench.arrive(64)
    bench.greet()
    await bench.until(lambda: bench.radio.values)
    bench.arrive(23, handle=SECOND)
    await bench.until(lambda: bench.radio.present == {HANDLE})
    bench.greet(b"the second", handle=SECOND)
    await bench.until(lambda: bench.frames() == FRAMES)
    assert bench.session.received == [b"a gateway's"]
    assert bench.session.interruptions == 0
    assert max(len(value) for _, value in bench.radio.values) == 61


async def test_who_opens_no_session_is_sent_away_after_ten_seconds(benches):
    bench = benches(speed=100)
    bench.session.state = CLOSED
    bench.arrive()
    begun_ms = bench.clock.uptime_ms()
    while bench.radio.present:
        bench.greet(b"noise" * 2)
        assert bench.clock.uptime_ms() - begun_ms < 100_000
        await asyncio.sleep(0.02)
    assert bench.clock.uptime_ms() - begun_ms >= 9_000
    await bench.until(lambda: bench.session.interruptions == 1)
    assert bench.visits.counters["dismissed"] == 1


async def test_who_proves_nothing_for_thirty_seconds_is_sent_away(benches):
    bench = benches(speed=100)
    bench.arrive()
    begun_ms = bench.clock.uptime_ms()
    while bench.clock.uptime_ms() - begun_ms < 60_000:
        bench.session.heard_ms = bench.clock.uptime_ms()
        await asyncio.sleep(0.01)
    assert bench.radio.present == {HANDLE}
    await bench.until(lambda: not bench.radio.present)
    assert bench.clock.uptime_ms() - begun_ms >= 89_000


async def test_an_end_that_the_radio_never_tells_is_taken_for_one(benches):
    bench = benches(speed=100)
    bench.session.state = CLOSED
    bench.radio.deaf = True
    bench.arrive()
    await bench.until(lambda: bench.session.interruptions == 1)
    assert bench.visits.counters["dismissed"] == 1
    bench.radio.deaf = False
    bench.session.state = OPEN
    # Whoever writes on what is taken for gone is sent away once more.
    bench.greet()
    await bench.until(lambda: not bench.radio.present)
    assert bench.session.received == []


async def test_a_connection_that_is_not_there_any_more_ends_at_once(benches):
    bench = benches(speed=100)
    bench.session.state = CLOSED
    bench.arrive()
    bench.radio.present.clear()
    await bench.until(lambda: bench.session.interruptions == 1)


async def test_the_advertiser_knows_whether_somebody_is_there(benches):
    bench = benches()
    await bench.until(lambda: bench.advertiser.connected == [False])
    bench.arrive()
    await bench.until(lambda: bench.advertiser.connected[-1])
    doubts = bench.advertiser.doubts
    assert doubts > 0
    bench.radio.drop(HANDLE)
    await bench.until(lambda: not bench.advertiser.connected[-1])
    assert bench.advertiser.doubts > doubts


async def test_a_radio_that_takes_no_orders_for_ten_minutes_is_no_progress(benches):
    class Beats:
        count = 0

        def beat(self):
            self.count += 1

    bench, beats = benches(), Beats()
    bench.tasks.append(asyncio.create_task(bench.visits.send(beats)))
    await bench.until(lambda: beats.count == 1)
    bench.advertiser.sound_ms = bench.clock.uptime_ms() - 600_000
    looks = len(bench.advertiser.connected)
    while len(bench.advertiser.connected) < looks + 6:
        bench.wake.set()
        await asyncio.sleep(0.002)
    assert beats.count == 1
    bench.advertiser.sound_ms = bench.clock.uptime_ms()
    bench.wake.set()
    await bench.until(lambda: beats.count > 1)


def output_of(command, variable, path, folder):
    done = subprocess.run(
        [*command, Path(__file__).parent / "check_ble.py"],
        cwd=folder,
        env={**os.environ, variable: ":".join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_journal_reaches_a_gateway_over_a_radio_that_refuses(tmp_path):
    assert output_of([sys.executable], "PYTHONPATH", PATH, tmp_path) == [
        "first False 0 3300 2",
        "drained 23 True 0 20",
        "drained 65 True 0 62",
        "drained 247 True 0 244",
        "alarm True 5 0 100 True",
        r"taken [(0, b'\x00\x05\x18{\x01')]",
        "visits 4 0 3",
        "damaged 0 True True",
    ]


@pytest.mark.parametrize("name", ["micropython", "micropython32"])
def test_a_node_on_ble_does_the_same_on_every_interpreter(name, request, tmp_path):
    (tmp_path / "here").mkdir()
    here = output_of([sys.executable], "PYTHONPATH", PATH, tmp_path / "here")
    command = [request.getfixturevalue(name), "-X", "heapsize=800wK"]
    assert output_of(command, "MICROPYPATH", [".frozen", *PATH], tmp_path) == here
