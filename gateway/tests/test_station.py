import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreFullError
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.links.serial import SerialLink, open_serial
from lilong_gateway.roster import Roster
from lilong_gateway.station import Surroundings
from lilong_gateway.stations import Stations
from lilong_gateway.store.records import Committed, Entry
from lilong_gateway.store.store import Store
from lilong_gateway.supervision import Supervisor

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
NOW_MS = 820_000_000_000

Eventually = Callable[[Callable[[], object]], Any]


class Wall(Clock):
    """A wall clock that a test sets."""

    offset_ms: int | None = None

    def wall_ms(self) -> int | None:
        return None if self.offset_ms is None else self.offset_ms + self.steady_ms()


class LittleDisk(Store):
    """A store that has no room while told so."""

    full = False

    async def commit(self, entries: Sequence[Entry]) -> Committed:
        if self.full:
            raise StoreFullError("no room left")
        return await super().commit(entries)


class Yard:
    """Stations and what is behind them, without an uplink."""

    def __init__(self, folder: Path, *patterns: str) -> None:
        self.clock = Wall()
        self.store = LittleDisk(folder / "data")
        self.ingest = Ingest(self.store, asyncio.Event(), backoff())
        self.roster = Roster()
        around = Surroundings(
            KeyRing({EUI: bytes(range(16))}),
            self.store,
            self.ingest,
            self.roster,
            self.clock,
            os.urandom,
            open_link,
        )
        self.supervisor = Supervisor()
        self.stations = Stations(patterns, 0.05, around, self.supervisor, backoff)


async def open_link(port: str, on_change: Callable[[], None]) -> SerialLink:
    return await open_serial(port, 115_200, on_change)


def backoff() -> Backoff:
    return Backoff(lambda: 0.5, 0.05, 0.2)


@asynccontextmanager
async def serving(yard: Yard, *nodes: Any) -> AsyncIterator[None]:
    duties = [yard.ingest.run(), yard.stations.run(), *(node.run() for node in nodes)]
    tasks = [asyncio.create_task(duty) for duty in duties]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await yard.store.close()
        assert yard.supervisor.failures == {}


async def test_a_node_learns_the_time_once_the_gateway_knows_it(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node = make_node()
    node.fill(1)
    yard = Yard(tmp_path, node.port)
    async with serving(yard, node):
        await eventually(lambda: node.session.idle)
        assert node.clocks == []
        yard.clock.offset_ms = NOW_MS
        await eventually(lambda: node.clocks)
        yard.clock.offset_ms += 3_600_000
        await eventually(lambda: node.clocks[-1] > node.clocks[0] + 3_000_000)


async def test_a_port_that_vanishes_and_returns_is_served_again(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    first, second = make_node(epoch=7), make_node(epoch=8)
    first.fill(5)
    second.fill(5)
    port = tmp_path / "tty-node"
    yard = Yard(tmp_path, f"{tmp_path}/tty-*")
    async with serving(yard, first, second):
        port.symlink_to(first.port)
        await eventually(lambda: first.session.idle)
        first.unplug()
        port.unlink()
        await eventually(lambda: not yard.stations.all)
        port.symlink_to(second.port)
        await eventually(lambda: second.session.idle)
        assert yard.ingest.counters.batches == 10


async def test_a_full_disk_acknowledges_nothing_and_keeps_the_session(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node = make_node()
    yard = Yard(tmp_path, node.port)
    async with serving(yard, node):
        await eventually(lambda: node.session.idle)
        yard.store.full = True
        node.fill(50)
        await eventually(lambda: yard.ingest.counters.failures > 5)
        assert node.outbox.first(2) == 0
        yard.store.full = False
        await eventually(lambda: node.session.idle)
        assert node.outbox.first(2) == 50
        assert yard.roster.node(EUI).sessions == 1


async def test_noise_on_the_line_is_counted_and_survived(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node = make_node()
    node.fill(20)
    yard = Yard(tmp_path, node.port)
    async with serving(yard, node):
        await eventually(lambda: yard.stations.all and yard.stations.all[0].state == "open")
        node.say(b"I (12) boot: text\n" + b"\0" + bytes(range(1, 200)) + b"\0" + b"\x41" * 3000)
        await eventually(lambda: node.session.idle)
        (station,) = yard.stations.all
        assert station.counters["damaged"] > 0
        assert yard.ingest.counters.batches == 20


class Chatter:
    """A line that always has something to say, and never anything of use."""

    port = "chatter"
    room = 4096

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.reads = 0
        self._on_change = on_change

    def read(self) -> bytes:
        self.reads += 1
        asyncio.get_running_loop().call_soon(self._on_change)
        return b"\x01\x02\x03\0" * 1024

    def write(self, data: bytes) -> None:
        """Nobody listens."""

    async def close(self) -> None:
        """Nothing to let go."""


async def test_a_line_that_floods_leaves_the_time_to_the_others(tmp_path: Path) -> None:
    yard = Yard(tmp_path, "/")
    lines: list[Chatter] = []

    async def open_chatter(port: str, on_change: Callable[[], None]) -> Chatter:
        lines.append(Chatter(on_change))
        return lines[-1]

    around = replace(yard.stations._around, open_link=open_chatter)
    yard.stations = Stations(("/",), 0.05, around, yard.supervisor, backoff)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with serving(yard):
        await asyncio.sleep(0.5)
        (line,) = lines
        assert 2 < line.reads < 5 + (loop.time() - began) / 0.1


async def test_counters_of_a_line_outlive_its_sessions(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node = make_node(key=bytes(16))
    yard = Yard(tmp_path, node.port)
    async with serving(yard, node):
        await eventually(lambda: yard.stations.all)
        (station,) = yard.stations.all
        await eventually(lambda: station.counters["refused"] > 0)
        before, refused = station._session, station.counters["refused"]
        yard.clock.offset_ms = NOW_MS
        await eventually(lambda: station._session is not before)
        assert station.counters["refused"] >= refused
