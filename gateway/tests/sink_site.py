"""A store with its sinks as tasks, a city that listens on the broker, and what lies between."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Config
from lilong_gateway.config import Uplink as Settings
from lilong_gateway.store.records import Arrival, Description, Entry, Slot
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.uplink import Uplink
from lilong_gateway.uplink.uplinks import Uplinks
from lilong_protocol.blocks import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
LEVEL = Channel(0, "level", "m", -3, -3, 0, "")
HEART = Channel(1, "heart", "beat/min", 0, -3, 3, "")
DESCRIPTION = Description(EUI, 1, 0, 0, b"hash", 1, encode_descriptor(1, [LEVEL, HEART]), b"id")
Eventually = Callable[..., Any]


def batches(
    first: int, count: int, channel: int = 0, value: int = 0, stream: int = 2, readings: int = 2
) -> list[Entry]:
    """Batches of one node, the last reading of each being its seq."""
    times = [1000 * number for number in range(1, readings + 1)]
    return [
        Arrival(
            Slot(EUI, 7, stream, seq),
            encode_series(channel, times, [value] * (readings - 1) + [seq]),
            *(readings, None, 0, 1),
        )
        for seq in range(first, first + count)
    ]


class Unset(Clock):
    """A clock that was never set."""

    def wall_ms(self) -> int | None:
        return None


class Heard:
    """What a city that listens on a broker has received."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.topics: list[str] = []
        self.subscribed = asyncio.Event()

    @property
    def positions(self) -> list[int]:
        return positions_in(self.received)

    async def listen(self, port: int, prefix: str = "lilong") -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe(f"{prefix}/s/g/#", qos=1)
            self.subscribed.set()
            async for message in client.messages:
                self.topics.append(message.topic.value)
                if message.topic.matches(f"{prefix}/s/g/telemetry/+"):
                    self.received.append(bytes(message.payload))


class Site(Heard):
    """A store, its sinks, and what a city that listens on a broker has received."""

    def __init__(
        self,
        folder: Path,
        sinks: Sequence[Settings],
        clock: Clock,
        backoff: Backoff | None = None,
        **more: Any,
    ) -> None:
        super().__init__()
        self.config = Config("g", "s", folder, folder, (), tuple(sinks))
        self.store = Store(folder, [sink.name for sink in sinks])
        self.committed = asyncio.Event()
        self.figures: dict[str, float | str | None] = {"uptime_s": 7.0}
        self.uplinks = Uplinks(
            self.config,
            self.store,
            self.committed,
            clock,
            lambda: backoff or Backoff(lambda: 0.1, 0.2, 1.0),
            lambda: self.figures,
            **more,
        )

    @property
    def uplink(self) -> Uplink:
        return self.uplinks.sinks[0]

    def sink(self, name: str) -> Uplink:
        return next(sink for sink in self.uplinks.sinks if sink.name == name)

    async def put(self, *entries: Entry) -> None:
        await self.store.commit(entries)
        self.committed.set()

    async def say(self, port: int, receipt: object, prefix: str = "lilong") -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish(f"{prefix}/s/g/receipt", json.dumps(receipt), qos=1)


async def fill(folder: Path, *entries: Entry) -> None:
    """Put batches in a store while no gateway runs."""
    store = Store(folder)
    await store.commit(entries)
    await store.close()


def packs_in(payloads: Sequence[bytes]) -> list[dict[str, Any]]:
    """The first record of each batch, in the order of arrival."""
    return [record for payload in payloads for record in json.loads(payload) if "batch" in record]


def positions_in(payloads: Sequence[bytes]) -> list[int]:
    return [record["pos"] for record in packs_in(payloads)]


@asynccontextmanager
async def running(
    folder: Path,
    port: int,
    clock: Clock | None = None,
    backoff: Backoff | None = None,
    **options: Any,
) -> AsyncIterator[Site]:
    """One sink, named city."""
    options = {"format": "senml+json", "timeout_s": 1.0} | options
    sink = Settings("127.0.0.1", port, **options)
    async with several(folder, [sink], clock, backoff=backoff) as site:
        yield site


@asynccontextmanager
async def several(
    folder: Path, sinks: Sequence[Settings], clock: Clock | None = None, **more: Any
) -> AsyncIterator[Site]:
    """Any number of sinks."""
    site = Site(folder, sinks, clock or Clock(), **more)
    await site.store.open()
    tasks = [asyncio.create_task(duty()) for _, duty in site.uplinks.duties()]
    try:
        yield site
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await site.store.close()


@asynccontextmanager
async def city(site: Heard, port: int, prefix: str = "lilong") -> AsyncIterator[None]:
    """Somebody who hears everything."""
    task = asyncio.create_task(site.listen(port, prefix))
    await site.subscribed.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
