"""Sealed frames to rows on disk, through the gateway's own session, ingest and store.

Frames are sealed beforehand. Each session has a task of its own that hands in a window, waits
until the store has all of it, and takes the acknowledgement, as a node does that is behind.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from lilong_gateway.backoff import Backoff
from lilong_gateway.examine import describe, examine
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.records import Entry
from lilong_gateway.store.store import Store
from lilong_protocol import events
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.serial import FrameReader
from lilong_tools.bench.gateway.limit import alone_s
from lilong_tools.bench.gateway.line import TIME_MS, Line, walk
from lilong_tools.bench.gateway.wear import written, written_since

_WINDOW = 16
_TRICKLE_NODES = 20
_START_S = 700_000_000
_STEP_S = 300


@dataclass(frozen=True, slots=True)
class _Run:
    """wall_s, cpu_s: from the first byte to the last row on disk; the bytes: of all the store."""

    wall_s: float
    cpu_s: float
    written: int
    counter: str


def measure_ingest(
    nodes: int, batches: int, readings: int, trickle: int, folder: Path
) -> dict[str, Any]:
    """Return the figures of nodes times batches in full groups, then of so many alone."""
    items = [walk(readings, seq, _START_S, _STEP_S) for seq in range(batches)]
    run = asyncio.run(_deliver(_sessions(nodes, items), _WINDOW, folder / "full"))
    limit_s = alone_s(items, nodes, folder / "limit.db")
    rounds = -(-trickle // _TRICKLE_NODES)
    few = [walk(readings, seq, _START_S, _STEP_S) for seq in range(rounds)]
    alone = asyncio.run(_deliver_alone(_sessions(_TRICKLE_NODES, few), folder / "trickle"))
    total = nodes * batches
    return {
        "batches": total,
        "readings": total * readings,
        "batches_per_s": total / run.wall_s,
        "readings_per_s": total * readings / run.wall_s,
        "cpu_us_per_batch": 1e6 * run.cpu_s / total,
        "cores_used": run.cpu_s / run.wall_s,
        "sqlite_alone_batches_per_s": total / limit_s,
        "ratio_to_sqlite_alone": limit_s / run.wall_s,
        "written_bytes_per_reading": {
            "full_groups": run.written / (total * readings),
            "trickle": alone.written / (rounds * _TRICKLE_NODES * readings),
            "counter": run.counter,
        },
    }


class _Session:
    """The gateway's session of one node, and the frames that are to come."""

    def __init__(self, number: int, items: Sequence[bytes]) -> None:
        self.line = line = Line(number)
        self.session = GatewaySession({line.eui: [line.key]}.get, os.urandom)
        self._reader = FrameReader()
        self._settled = asyncio.Event()
        self._waiting = 0
        (greeted,) = self.session.receive(line.opening, 0)
        if isinstance(greeted, events.HelloReceived):
            self.session.accept(greeted.hello, [0] * 4, TIME_MS, 0, descriptor_known=False)
        self.description = line.answer(self.session.poll(0) or b"")
        self.chunks = [line.seal(seq, item) for seq, item in enumerate(items)]

    async def open(self, ingest: Ingest) -> None:
        """Take the description, and have it stored."""
        for event in self.session.receive(self.description, 0):
            if isinstance(event, events.Described):
                self._offer(ingest, describe(event, self.line.key), self.session.described)
        await self._settled.wait()

    async def take(self, chunks: Sequence[bytes], ingest: Ingest) -> None:
        """Take the bytes of some batches; return when the ACK for all of them is out."""
        self._settled.clear()
        for chunk in chunks:
            for data in self._reader.feed(chunk):
                for event in self.session.receive(data, 0):
                    if isinstance(event, events.BatchReceived):
                        slot = event.epoch, event.stream, event.seq
                        stored = partial(self.session.stored, *slot)
                        self._offer(ingest, examine(event, TIME_MS), stored)
        await self._settled.wait()
        if self.session.poll(0) is None:
            raise RuntimeError("batches were stored and not acknowledged")

    def _offer(self, ingest: Ingest, entry: Entry, stored: Callable[[], None]) -> None:
        def done() -> None:
            stored()
            self._waiting -= 1
            if not self._waiting:
                self._settled.set()

        self._waiting += 1
        if not ingest.offer(entry, done):
            raise RuntimeError("the gateway's queue is full")


def _sessions(nodes: int, items: Sequence[bytes]) -> list[_Session]:
    return [_Session(number, items) for number in range(nodes)]


async def _deliver(sessions: list[_Session], window: int, folder: Path) -> _Run:
    """Let all sessions deliver at once, a window at a time each."""
    async with _Receiving(folder) as receiving:
        await asyncio.gather(*(one.open(receiving.ingest) for one in sessions))
        receiving.begin()
        await asyncio.gather(*(_deliver_all(one, window, receiving.ingest) for one in sessions))
        receiving.end()
    return receiving.result(sum(len(one.chunks) for one in sessions))


async def _deliver_all(one: _Session, window: int, ingest: Ingest) -> None:
    for start in range(0, len(one.chunks), window):
        await one.take(one.chunks[start : start + window], ingest)


async def _deliver_alone(sessions: list[_Session], folder: Path) -> _Run:
    """Deliver one batch after the other, each in a transaction of its own."""
    async with _Receiving(folder) as receiving:
        for one in sessions:
            await one.open(receiving.ingest)
        receiving.begin()
        for index in range(len(sessions[0].chunks)):
            for one in sessions:
                await one.take(one.chunks[index : index + 1], receiving.ingest)
        receiving.end()
    return receiving.result(sum(len(one.chunks) for one in sessions))


class _Receiving:
    """A store with its ingest at work; what is written is counted until the store is closed."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder)
        self.ingest = Ingest(self._store, asyncio.Event(), Backoff(random.random, 0.1, 1.0))
        self._task: asyncio.Task[None] | None = None
        self._began_s = self._wall_s = self._began_cpu_s = self._cpu_s = 0.0
        self._before = written()
        self._written = 0, ""

    async def __aenter__(self) -> Self:
        await self._store.open()
        self._task = asyncio.create_task(self.ingest.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._store.close()
        self._written = written_since(self._before)

    def begin(self) -> None:
        """Measure from now on."""
        self._before = written()
        self._began_s, self._began_cpu_s = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """Measure the times no longer."""
        self._wall_s = time.perf_counter() - self._began_s
        self._cpu_s = time.process_time() - self._began_cpu_s

    def result(self, batches: int) -> _Run:
        """Return what was measured; RuntimeError unless so many batches were stored."""
        stored = self.ingest.counters.batches
        if stored != batches:
            raise RuntimeError(f"stored {stored} of {batches} batches")
        return _Run(self._wall_s, self._cpu_s, *self._written)
