import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from yard import EUI, KEY, NOW_MS, Yard, backoff, serving

from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.stations import Stations

NEW = bytes(range(16, 32))

Eventually = Callable[[Callable[[], object]], Any]


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

    yard.stations = Stations(("/",), 0.05, yard.around, open_chatter, yard.supervisor, backoff)
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
        before, refused = station._conversation._session, station.counters["refused"]
        yard.clock.offset_ms = NOW_MS
        await eventually(lambda: station._conversation._session is not before)
        assert station.counters["refused"] >= refused


@asynccontextmanager
async def filling(node: Any) -> AsyncIterator[None]:
    """Give a node something to say all the while."""

    async def fill() -> None:
        while True:
            node.fill(3)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(fill())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_node_moves_to_its_new_key_and_loses_no_batch_on_the_way(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node = make_node(KEY)
    yard = Yard(tmp_path, node.port)
    async with serving(yard, node):
        async with filling(node):
            await eventually(lambda: node.outbox.first(2) > 20)
            assert not yard.proofs.is_old(EUI, KEY)
            yard.keys.take(KeyRing({EUI: [KEY, NEW]}))
            await eventually(lambda: yard.proofs.is_current(EUI))
            moved_at = node.outbox.first(2)
            await eventually(lambda: node.outbox.first(2) > moved_at + 20)
        await eventually(lambda: node.session.idle)
        assert (node.keys.current, node.keys.next) == (NEW, None)
        assert await yard.rows() == [(7, seq) for seq in range(node.outbox.next(2))]
        assert (await yard.store.known(EUI, 7, b"")).proven == key_id(NEW)


async def test_an_old_key_is_refused_once_the_new_one_is_proven_and_after_a_restart(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    node, thief = make_node(KEY), make_node(KEY, epoch=8)
    keys = KeyRing({EUI: [KEY, NEW]})
    first = Yard(tmp_path, node.port, keys=keys)
    async with serving(first, node):
        await eventually(lambda: node.keys.current == NEW and node.session.idle)
    second = Yard(tmp_path, thief.port, keys=keys)
    thief.fill(5)
    async with serving(second, thief):
        await eventually(lambda: second.refused()[1] > 1)
        assert second.refused()[0] == "an old key"
        assert second.stations.all[0].counters["refused"] > 1
        assert second.roster.nodes == {}
        keys.take(KeyRing({EUI: [KEY]}))
        await eventually(lambda: thief.session.idle)


async def test_a_session_under_the_old_key_on_another_line_ends_at_the_proof(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    thief = make_node(KEY, epoch=8)
    thief.keys.stage = lambda _key: False  # it does not follow
    node = make_node(KEY)
    keys = KeyRing({EUI: [KEY]})
    yard = Yard(tmp_path, thief.port, node.port, keys=keys)
    async with serving(yard, thief):
        thief.fill(5)
        await eventually(lambda: thief.session.idle)
        keys.take(KeyRing({EUI: [KEY, NEW]}))
        task = asyncio.create_task(node.run())
        await eventually(lambda: node.keys.current == NEW and node.session.idle)
        await eventually(lambda: yard.refused() >= ("an old key", 1))
        assert EUI not in [
            station.eui for station in yard.stations.all if station.port == thief.port
        ]
        assert (await yard.store.known(EUI, 7, b"")).proven == key_id(NEW)
        task.cancel()


@pytest.mark.parametrize(
    ("without", "reason"),
    [
        (KeyRing({EUI: [KEY]}, {EUI: "x"}), "revoked"),
        (KeyRing({}), "unknown node"),
        (KeyRing({EUI: [NEW]}), "wrong key"),
    ],
)
async def test_a_session_ends_with_its_key_and_returns_with_it(
    tmp_path: Path,
    make_node: Any,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    without: KeyRing,
    reason: str,
) -> None:
    node = make_node(KEY)
    yard = Yard(tmp_path, node.port)
    caplog.set_level("INFO")
    async with serving(yard, node):
        async with filling(node):
            await eventually(lambda: node.outbox.first(2) > 20)
            yard.keys.take(without)
            await eventually(lambda: yard.stations.all[0].eui is None)
            await eventually(lambda: yard.refused()[1] > 1)
            assert yard.refused()[0] == reason
            held = node.outbox.first(2)
            yard.keys.take(KeyRing({EUI: [KEY]}))
            await eventually(lambda: node.outbox.first(2) > held + 20)
        await eventually(lambda: node.session.idle)
        assert await yard.rows() == [(7, seq) for seq in range(node.outbox.next(2))]
    closed = [record.message for record in caplog.records if "session closed" in record.message]
    assert ("reason=revoked" if reason == "revoked" else "withdrawn") in closed[0]


async def test_a_description_that_comes_late_does_not_unprove_the_new_key(
    tmp_path: Path, make_node: Any, eventually: Eventually
) -> None:
    late = make_node()
    yard = Yard(tmp_path, late.port, keys=KeyRing({EUI: [KEY, NEW]}))
    async with serving(yard):
        await eventually(lambda: yard.stations.all and yard.stations.all[0].state == "open")
        late.speak(0)
        await eventually(lambda: late.hear(50) or late.session.counters["sessions"] == 1)
        yard.proofs.note(EUI, NEW)
        late.speak(50)
        await eventually(lambda: yard.stations.all[0].eui == EUI)
        await eventually(lambda: yard.stations.all[0].eui is None)
        assert (await yard.store.known(EUI, 7, b"")).proven is None
        assert yard.proofs.is_current(EUI)
