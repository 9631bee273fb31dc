import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from yard import Hasty, Wall, Yard

from lilong_gateway.errors import LinkBusyError, LinkLostError, LinkRefusedError
from lilong_gateway.keys import KeyRing
from lilong_gateway.links.values import ValueLine
from lilong_gateway.radio.call import Call
from lilong_gateway.radio.itinerary import Outcome
from lilong_protocol.blocks import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_events import Event, Requested
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import OPEN, NodeSession
from lilong_protocol.pieces import PieceReader, PieceWriter
from lilong_protocol.request import UNKNOWN

EUI = bytes.fromhex("02004c494c4f0001")
KEY = bytes(range(16))
PATIENCE_S = 20


class Far:
    """An adapter, and a node behind it, without a radio; `error` is what a connect raises."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.closed = 0
        self.connects = 0
        self.deaf = False
        self.outbox = MemoryOutbox(7)
        channels = [Channel(0, "level", "m", -3, -3, 0, "water level")]
        self.session = NodeSession(
            EUI,
            NodeKeys(KEY),
            self.outbox,
            os.urandom,
            Greeting(1, 1, "paper"),
            encode_descriptor(1, channels),
        )
        self.at_each_turn: Callable[[], None] = lambda: None
        self._life: asyncio.Task[None] | None = None

    def fill(self, count: int) -> None:
        for _ in range(count):
            self.outbox.append(2, encode_series(0, [1000, 2000], [5, 6]))

    async def connect(self, address: str, on_change: Callable[[], None]) -> "Far":
        self.connects += 1
        await self.reachable.wait()
        if self.error is not None:
            raise self.error
        self.line = ValueLine(address, on_change)
        self._life = asyncio.create_task(self._live())
        return self

    async def close(self) -> None:
        self.closed += 1
        self.line.lose("closed")
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    async def _live(self) -> None:
        reader, writer = PieceReader(), PieceWriter()
        while True:
            self.at_each_turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    value, _ = await self.line.next_value(244)
                    for frame in [] if self.deaf else reader.feed(value):
                        self._answer(self.session.receive(frame, self._now_ms()))
            while (frame := self.session.poll(self._now_ms())) is not None:
                writer.put(frame)
            while writer.waiting and not self.deaf:
                self.line.take(writer.take(244))

    def _answer(self, happened: list[Event]) -> None:
        for event in happened:
            if isinstance(event, Requested):
                self.session.respond(event.number, UNKNOWN)

    @staticmethod
    def _now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1000)


class Bench:
    def __init__(self, folder: Path, clock: Wall) -> None:
        self.yard = Yard(folder, keys=KeyRing({EUI: [KEY]}), clock=clock)
        self.far = Far()
        self.why = ""
        self.connected = 0

    def call(self) -> Call:
        return Call("hci0/x", self.yard.around, self.note, lambda: self.why)

    def note(self) -> None:
        self.connected += 1

    async def made(self) -> Call:
        call = self.call()
        async with asyncio.timeout(PATIENCE_S):
            await call.run(self.far, "x")
        return call


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with at_work(Bench(tmp_path, Wall())) as bench:
        yield bench


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Bench]:
    """A gateway for which time flies."""
    async with at_work(Bench(tmp_path, Hasty())) as bench:
        yield bench


@asynccontextmanager
async def at_work(bench: Bench) -> AsyncIterator[Bench]:
    await bench.yard.store.open()
    working = asyncio.create_task(bench.yard.ingest.run())
    yield bench
    working.cancel()
    await asyncio.wait([working])
    await bench.yard.store.close()


def result(call: Call) -> tuple[Outcome, bool, str]:
    return call.outcome, call.drained, call.trouble


async def test_a_node_is_drained_told_so_and_left(bench: Bench) -> None:
    bench.far.fill(100)
    call = await bench.made()
    assert result(call) == (Outcome.SESSION, True, "")
    assert bench.far.outbox.first(2) == 100
    assert bench.far.line.settled
    assert (bench.far.closed, bench.connected, call.reached) == (1, 1, True)


@pytest.mark.parametrize(
    ("error", "outcome", "reached"),
    [
        (LinkLostError("x", "why"), Outcome.FAILED, False),
        (LinkRefusedError("x", "why"), Outcome.FAILED, True),
        (LinkBusyError("x", "why"), Outcome.NO_SLOT, False),
    ],
)
async def test_a_connect_that_fails_says_why_and_whether_the_node_was_there(
    bench: Bench, error: Exception, outcome: Outcome, reached: bool
) -> None:
    bench.far.error = error
    call = await bench.made()
    assert result(call) == (outcome, False, "why")
    assert (call.reached, bench.connected) == (reached, 0)


async def test_a_connect_gives_way_before_it_has_come_about(bench: Bench) -> None:
    bench.far.reachable.clear()
    bench.why = "others wait"
    call = await bench.made()
    assert result(call) == (Outcome.FAILED, False, "others wait")
    assert (call.gave_way, call.reached, bench.far.closed) == (True, False, 0)


async def test_a_call_that_is_cancelled_leaves_no_connection_behind(bench: Bench) -> None:
    bench.far.reachable.clear()
    call = asyncio.create_task(bench.call().run(bench.far, "x"))
    while not bench.far.connects:
        await asyncio.sleep(0)
    # It comes about in the very turn of the loop in which it is given up.
    bench.far.reachable.set()
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert bench.far.closed == 1


async def test_a_node_that_hears_nothing_is_left(
    hasty: Bench,
) -> None:
    hasty.far.deaf = True
    call = await hasty.made()
    assert result(call) == (Outcome.FAILED, False, "no session came about")
    assert hasty.far.closed == 1


async def test_a_node_that_always_has_something_more_does_not_keep_others_waiting(
    bench: Bench,
) -> None:
    bench.far.at_each_turn = lambda: bench.far.fill(1)
    call = asyncio.create_task(bench.made())
    await wait_for(lambda: bench.far.outbox.first(2) > 50)
    bench.why = "others wait"
    assert result(await call) == (Outcome.SESSION, False, "others wait")


async def test_a_node_that_is_revoked_amid_a_visit_is_left_though_it_talks_for_ever(
    hasty: Bench,
) -> None:
    hasty.far.at_each_turn = lambda: hasty.far.fill(1)
    call = asyncio.create_task(hasty.made())
    await wait_for(lambda: hasty.far.session.state == OPEN)
    hasty.yard.keys.take(KeyRing({}, revoked={EUI: "stolen"}))
    assert result(await call) == (Outcome.SESSION, False, "no session came about")
    assert hasty.far.session.state == OPEN


async def test_a_visit_ends_while_nothing_can_be_stored(bench: Bench) -> None:
    bench.far.at_each_turn = lambda: bench.far.fill(1)
    call = asyncio.create_task(bench.made())
    await wait_for(lambda: bench.far.outbox.first(2) > 5)
    bench.yard.store.full = True
    assert result(await call) == (Outcome.SESSION, False, "nothing can be stored")
    assert bench.far.outbox.first(2) == bench.yard.ingest.counters.batches


async def wait_for(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)
