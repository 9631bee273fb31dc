import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from line import Line, free_ports
from sink_site import DESCRIPTION, Eventually, batches, city, fill, packs_in, running, several

from lilong_gateway.backoff import Backoff
from lilong_gateway.config import Uplink as Settings


@asynccontextmanager
async def line_to(port: int, own: int) -> AsyncIterator[Line]:
    line = Line(port)
    await line.listen(own)
    try:
        yield line
    finally:
        await line.close()


async def test_a_thousand_cuts_between_publish_and_acknowledgement_lose_nothing(
    tmp_path: Path, full_broker: Any, eventually: Eventually
) -> None:
    broker_port, line_port = free_ports()
    full_broker(broker_port)
    chance = random.Random(7)
    backoff = Backoff(chance.random, 0.002, 0.01)
    async with line_to(broker_port, line_port) as line:
        line.cut = lambda number: number > 1 and line.cuts < 1000 and chance.random() < 0.6
        async with (
            running(tmp_path, line_port, backoff=backoff, window=16) as site,
            city(site, broker_port),
        ):
            await site.put(DESCRIPTION, *batches(0, 200))
            put = 200
            while line.cuts < 1000:
                await asyncio.sleep(0.05)
                await site.put(*batches(put, 3))
                put += 3
            await eventually(lambda: site.uplink.waiting == 0)
            await eventually(lambda: set(range(1, put + 1)) <= set(site.positions))
            arrived: dict[str, str] = {}
            for payload in site.received:
                for name, text in texts_by_identity(payload):
                    assert arrived.setdefault(name, text) == text
            assert len(arrived) == put
            assert site.uplink.counters.losses >= 1000


def texts_by_identity(payload: bytes) -> list[tuple[str, str]]:
    """The batches of a message, each as text of what may never differ between two copies."""
    found: list[tuple[str, list[Any]]] = []
    for record in json.loads(payload):
        if "batch" in record:
            found.append((record["bn"] + record["batch"], []))
        found[-1][1].append({name: value for name, value in record.items() if name != "late"})
    return [(name, json.dumps(records)) for name, records in found]


async def test_a_line_that_freezes_while_batches_are_on_their_way_is_replaced(
    tmp_path: Path, full_broker: Any, eventually: Eventually
) -> None:
    broker_port, line_port = free_ports()
    full_broker(broker_port)
    async with line_to(broker_port, line_port) as line, running(tmp_path, line_port) as site:
        await eventually(lambda: site.uplink.connected)
        line.frozen = True
        await site.put(DESCRIPTION, *batches(0, 5))
        await eventually(lambda: site.uplink.connected is None)
        assert site.uplink.confirmed == 0
        line.frozen = False
        await eventually(lambda: site.uplink.confirmed == 5)


async def test_a_line_that_freezes_while_nothing_is_sent_is_noticed_by_keepalive(
    tmp_path: Path, full_broker: Any, eventually: Eventually
) -> None:
    broker_port, line_port = free_ports()
    full_broker(broker_port)
    async with (
        line_to(broker_port, line_port) as line,
        running(tmp_path, line_port, keepalive_s=1) as site,
    ):
        await eventually(lambda: site.uplink.connected)
        line.frozen = True
        await eventually(lambda: site.uplink.counters.losses)
        line.frozen = False
        await eventually(lambda: site.uplink.connected)


async def test_on_a_slow_line_an_alarm_waits_behind_little(
    tmp_path: Path, full_broker: Any, eventually: Eventually
) -> None:
    broker_port, line_port = free_ports()
    full_broker(broker_port)
    async with line_to(broker_port, line_port) as line:
        line.per_s = 40_000
        await fill(tmp_path, DESCRIPTION, *batches(0, 3000, readings=20))
        async with (
            running(tmp_path, line_port, timeout_s=20.0) as site,
            city(site, broker_port),
        ):
            await eventually(lambda: line.passed_bytes > 80_000)
            for seq in range(3):
                before = line.passed_bytes
                await site.put(*batches(seq, 1, stream=0))
                await eventually(lambda wanted=3001 + seq: wanted in site.positions)
                assert site.uplink.replaying
                assert line.passed_bytes - before < line.per_s


async def test_a_name_server_that_hangs_holds_up_one_thread_and_one_sink(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    released = threading.Event()
    asked: list[str] = []

    def hang(host: str, _port: int) -> None:
        if host == "hangs.invalid":
            asked.append(host)
            released.wait()

    sinks = [
        Settings(host, free_port, name=host[:4], timeout_s=0.1)
        for host in ("127.0.0.1", "hangs.invalid")
    ]
    async with several(tmp_path, sinks, lookup=hang) as site:
        good, bad = site.uplinks.sinks
        await site.put(DESCRIPTION, *batches(0, 5))
        await eventually(lambda: good.confirmed == 5)
        await eventually(lambda: "no name server" in bad.trouble)
        await asyncio.sleep(1)
        assert asked == ["hangs.invalid"]
        released.set()
        await eventually(lambda: bad.trouble and "no name server" not in bad.trouble)


async def test_what_comes_twice_carries_the_same_name(
    tmp_path: Path, full_broker: Any, eventually: Eventually
) -> None:
    broker_port, line_port = free_ports()
    full_broker(broker_port)
    async with line_to(broker_port, line_port) as line:
        line.cut = lambda number: number == 3 and line.cuts < 1
        async with running(tmp_path, line_port) as site, city(site, broker_port):
            await eventually(
                lambda: f"{site.config.topic_of(site.config.uplinks[0])}/health" in site.topics
            )
            await site.put(DESCRIPTION, *batches(0, 1))
            await eventually(lambda: len(site.received) == 2)
            one, other = packs_in(site.received)
            assert one == other
            assert one["batch"] == "00000007.2.0"
