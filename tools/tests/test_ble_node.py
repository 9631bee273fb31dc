"""The real firmware on the virtual radio, and a plain bleak program as its gateway."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from lilong_protocol import cbor
from lilong_protocol.advert import COMPANY, DOWN, UP, Told
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.blocks import decode_block
from lilong_protocol.events import (
    Advanced,
    BatchReceived,
    Described,
    Event,
    HelloReceived,
    Opened,
    Responded,
)
from lilong_protocol.frame import ALARM_STREAM, DATA_STREAM
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.pieces import PieceReader, PieceWriter
from lilong_protocol.request import APPLY, DONE, OFFER, WRITE
from lilong_tools.radio.adapter import BLUEZ_INTERVALS_MS
from lilong_tools.radio.air import Air
from lilong_tools.radio.backend import client_type, scanner_type
from lilong_tools.radio.fleet import Fleet
from lilong_tools.radio.model import RadioModel
from lilong_tools.radio.plug import Radio
from lilong_tools.vnode import VirtualNode, make_folder

EUI = "02124b0000000007"
KEY = bytes(range(16))
PATIENCE_S = 60
LEVEL, FLOOD, SIREN = range(3)
CONFIGURATION = 0
AT_START_MS = 848_000_000_000
"""The time when this machine's monotonic clock began."""
CHANNEL = {"number": LEVEL, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}
RIVER = {
    "channels": [CHANNEL],
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 50,
    "batch_readings": 5,
    "batch_ms": 400,
    "health_ms": 0,
    "link": "ble",
    "advert_ms": 100,
}
STREAMS = 4


class Gateway:
    """What it has got of a node stays when a visit ends."""

    def __init__(self) -> None:
        self.adverts: list[tuple[int, Told]] = []
        self.batches: dict[tuple[int, int, int], bytes] = {}
        self.opened = 0
        self.causes: list[int] = []
        self.answers: list[tuple[int, int, bytes]] = []
        self.device: BLEDevice | None = None
        self._opener = AdvertOpener(KEY)

    def heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        advert = data.manufacturer_data.get(COMPANY)
        read = None if advert is None else read_advert(advert)
        if advert is None or read is None:
            return
        assert read[0].hex() == EUI
        self.device = device
        if not self.adverts or self.adverts[-1][0] != read[1]:
            self.adverts.append((read[1], self._opener.open(advert)))

    def readings(self, stream: int = DATA_STREAM) -> list[tuple[int, int]]:
        blocks = [decode_block(item) for key, item in sorted(self.batches.items())]
        kept = [key[1] == stream for key in sorted(self.batches)]
        return [
            (channel, value)
            for block, wanted in zip(blocks, kept, strict=True)
            for channel, values in block.columns
            for value in values
            if wanted
        ]


class Call:
    """One visit: a session over a connection that is there already."""

    def __init__(self, gateway: Gateway, client: BleakClient) -> None:
        self.gateway = gateway
        self.session = GatewaySession(lambda _eui: [KEY], os.urandom)
        self.reader = PieceReader()
        self.sizes: list[int] = []
        self._client = client
        self._writer = PieceWriter()

    async def begin(self) -> None:
        await self._client.start_notify(UP, self._take)
        self.session.hint()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Answer the node until the condition holds, and let it have the last answer."""
        async with asyncio.timeout(PATIENCE_S):
            last = False
            while not last:
                last = condition()
                while (frame := self.session.poll(now_ms())) is not None:
                    self._writer.put(frame)
                while self._writer.waiting:
                    value = self._writer.take(self._client.mtu_size - 3)
                    await self._client.write_gatt_char(DOWN, value, response=False)
                await asyncio.sleep(0.01)
        # Who hangs up takes along what is not on the air yet.
        await asyncio.sleep(0.3)

    async def ask(self, method: int, *fields: Any) -> None:
        """Let the node do something; it must succeed."""
        answers = self.gateway.answers
        asked, body = len(answers), cbor.encode_sequence(fields)
        await self.until(lambda: self.session.request(method, body))
        await self.until(lambda: len(answers) > asked)
        assert answers[-1][:2] == (method, DONE), answers[-1]

    def _take(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        self.sizes.append(len(data))
        for frame in self.reader.feed(bytes(data)):
            for event in self.session.receive(frame, now_ms()):
                self._happened(event)

    def _happened(self, event: Event) -> None:
        gateway, session = self.gateway, self.session
        if isinstance(event, HelloReceived):
            gateway.causes.append(event.hello.reset_cause)
            held = [self._next(event.hello.epoch, stream) for stream in range(STREAMS)]
            clock_ms = AT_START_MS + now_ms()
            session.accept(event.hello, held, clock_ms, now_ms(), descriptor_known=False)
        elif isinstance(event, Opened):
            gateway.opened += 1
        elif isinstance(event, Described):
            session.described()
        elif isinstance(event, Advanced):
            session.advanced(event.epoch, event.stream, event.first)
        elif isinstance(event, Responded):
            gateway.answers.append((event.method, event.code, event.payload))
        elif isinstance(event, BatchReceived):
            key = (event.epoch, event.stream, event.seq)
            assert gateway.batches.setdefault(key, event.item) == event.item
            session.stored(*key)

    def _next(self, epoch: int, stream: int) -> int:
        held = [key[2] for key in self.gateway.batches if key[:2] == (epoch, stream)]
        return max(held, default=-1) + 1


def now_ms() -> int:
    return int(time.monotonic() * 1000)


class Street:
    """The air, an adapter for bleak, one node with its radio, and a gateway that scans."""

    def __init__(self, folder: Path, micropython: Path) -> None:
        self.air = Air(RadioModel(), seed=3)
        self.gateway = Gateway()
        self.folder = folder / "node"
        self._micropython = micropython
        self.node: VirtualNode | None = None
        self._scanner: BleakScanner | None = None
        self._fleet: Fleet | None = None
        self._last: list[Callable[[], Awaitable[None]]] = []

    async def start(self, **settings: Any) -> VirtualNode:
        make_folder(self.folder, {"eui": EUI, **RIVER, **settings}, KEY)
        radio = Radio(self.air, "node", polite=True)
        self.node = VirtualNode(self.folder, self._micropython, radio=radio)
        await self.node.start()
        port = await self.air.serve("hci0")
        self._last.append(port.close)
        self._fleet = Fleet({"hci0": port.address}, BLUEZ_INTERVALS_MS)
        self._scanner = BleakScanner(self.gateway.heard, backend=scanner_type(self._fleet))
        await self._scanner.start()
        return self.node

    async def until(self, condition: Callable[[], bool]) -> None:
        assert self.node is not None
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.node.running, self.node.log.read_text()
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._scanner is not None:
            await self._scanner.stop()
        if self._fleet is not None:
            await self._fleet.close()
        if self.node is not None:
            await self.node.close()
        for close in self._last:
            await close()

    async def client(self, **settings: Any) -> BleakClient:
        """Return a client for the node as soon as that was heard."""
        assert self._fleet is not None
        return BleakClient(await self.heard(), backend=client_type(self._fleet), **settings)

    async def heard(self) -> BLEDevice:
        gateway = self.gateway
        await self.until(lambda: gateway.device is not None)
        assert gateway.device is not None
        return gateway.device

    async def call(self, until: Callable[[], bool]) -> Call:
        """Visit the node until the condition holds, and leave."""
        async with await self.client() as client:
            call = Call(self.gateway, client)
            await call.begin()
            await call.until(until)
        return call

    def told(self) -> Told:
        return self.gateway.adverts[-1][1]


@pytest.fixture(params=["micropython", "micropython32"])
async def street(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Street]:
    street = Street(tmp_path, request.getfixturevalue(request.param))
    yield street
    await street.close()


async def test_readings_drain_in_visits_and_each_comes_once(street: Street) -> None:
    node = await street.start()
    gateway = street.gateway
    call = await street.call(lambda: len(gateway.batches) > 10)
    assert gateway.opened == 1
    assert (call.reader.damaged, call.reader.oversized) == (0, 0)
    seen = len(gateway.batches)
    await street.until(lambda: street.told().waiting >= 8)
    await street.call(lambda: len(gateway.batches) > seen + 8)
    assert gateway.opened == 2
    seqs = sorted(seq for _, stream, seq in gateway.batches if stream == DATA_STREAM)
    assert seqs == list(range(len(seqs)))
    numbers = [number for number, _ in gateway.adverts]
    assert numbers == sorted(set(numbers))
    (street.folder / "stop").touch()
    last = await street.call(lambda: not node.running)
    assert last.reader.damaged == 0
    await node.wait()
    assert "crash" not in {path.stem for path in street.folder.iterdir()}


async def test_a_backlog_fills_notifications_of_the_largest_mtu(street: Street) -> None:
    await street.start(batch_readings=60, batch_ms=10_000, report_ms=10)
    await street.until(lambda: street.told().waiting >= 16 if street.gateway.adverts else False)
    call = await street.call(lambda: len(street.gateway.batches) >= 16)
    assert max(call.sizes) == 244
    assert sum(size >= 240 for size in call.sizes) > 3


async def test_an_alarm_is_in_the_air_within_a_moment_and_is_taken_by_a_visit(
    street: Street,
) -> None:
    rows = [f"2024-01-01 00:00:{second:02},{50 * (second > 20)}\n" for second in range(40)]
    street.folder.mkdir()
    (street.folder / "levels.csv").write_text("time,level\n" + "".join(rows))
    rule = {"name": "flood", "kind": "limit", "channel": "level", "above": 30}
    names = {FLOOD: ("flood", "rules.flood"), SIREN: ("siren", "outputs.siren")}
    inner = [
        {"number": number, "name": name, "privacy": 0, "source": source, "interval_ms": 60_000}
        for number, (name, source) in names.items()
    ]
    await street.start(
        channels=[CHANNEL, *inner],
        sensor={"kind": "replay", "file": "levels.csv", "value_columns": [1], "speed": 10},
        batch_ms=60_000,
        batch_readings=600,
        advert_ms=1000,
        rules=[{**rule, "outputs": ["siren"]}],
        outputs={"siren": {"pin": 25, "longest_s": 60, "allow": ["flood"]}},
    )
    gateway = street.gateway
    await street.until(lambda: any(told.alarm for _, told in gateway.adverts))
    told = street.told()
    assert (told.raised, told.channel, told.device_class) == (True, SIREN, 1)
    await street.call(lambda: len(gateway.readings(ALARM_STREAM)) == 3)
    assert gateway.readings(ALARM_STREAM) == [(FLOOD, 1), (LEVEL, 50_000), (SIREN, 1)]
    await street.until(lambda: not street.told().alarm)


async def test_a_stranger_is_sent_away_and_the_gateway_comes_in_after_that(
    street: Street,
) -> None:
    await street.start()
    gone = asyncio.Event()
    async with await street.client(disconnected_callback=lambda _client: gone.set()) as stranger:
        await stranger.start_notify(UP, lambda _characteristic, _data: None)
        for _ in range(3):
            await stranger.write_gatt_char(DOWN, b"who is there" * 9, response=True)
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    await street.call(lambda: len(street.gateway.batches) > 3)


async def test_a_power_cut_in_a_visit_loses_and_doubles_nothing(street: Street) -> None:
    node = await street.start()
    gateway = street.gateway
    for _ in range(2):
        before = len(gateway.batches)
        async with await street.client() as client:
            call = Call(gateway, client)
            await call.begin()
            await call.until(lambda seen=before: len(gateway.batches) > seen + 4)  # type: ignore[misc]
            await node.kill()
        gateway.device = None
        await node.start()
    await street.call(lambda: len(gateway.batches) > before + 12)
    seqs = sorted(seq for _, stream, seq in gateway.batches if stream == DATA_STREAM)
    assert seqs == list(range(len(seqs)))
    # Numbers of advertisements go on over resets.
    numbers = [number for number, _ in gateway.adverts]
    assert numbers == sorted(set(numbers))


async def test_a_sleeping_node_delivers_in_the_visits_of_its_whole_starts(street: Street) -> None:
    rounds = {"every_s": 1, "send_every_s": 4, "awake_s": 15, "linger_s": 0}
    node = await street.start(sleep=rounds, batch_readings=60)
    gateway = street.gateway
    for visit in range(3):
        gateway.device = None
        before = len(gateway.readings())
        # It leaves as soon as it has everything: that is no failure to the node.
        await street.call(lambda seen=before: len(gateway.readings()) > seen)  # type: ignore[misc]
        async with asyncio.timeout(PATIENCE_S):
            while node.pid is not None:
                await asyncio.sleep(0.02)
        assert gateway.opened == visit + 1
    assert gateway.causes == [1, 4, 4]
    # Wakes that only take a round say nothing: one start in four or so did.
    assert node.boots >= 6
    assert len(gateway.readings()) >= 6


async def test_a_configuration_is_pushed_over_the_radio_and_kept(street: Street) -> None:
    node = await street.start(version=1)
    gateway = street.gateway
    await street.call(lambda: len(gateway.batches) > 2)
    settings = {"eui": EUI, **RIVER, "version": 2, "advert_ms": 200}
    data = json.dumps(settings).encode()
    async with await street.client() as client:
        call = Call(gateway, client)
        await call.begin()
        await call.ask(OFFER, CONFIGURATION, 0, len(data), hashlib.sha256(data).digest())
        await call.ask(WRITE, 0, data)
        await call.ask(APPLY, CONFIGURATION)
        await street.until(lambda: node.boots == 2)
    gateway.device = None
    before = len(gateway.batches)
    await street.call(lambda: len(gateway.batches) > before + 2)
    assert json.loads((street.folder / "settings.json").read_text()) == settings
    await street.until(lambda: (street.folder / "settings.state").read_text()[:1] == "2")


async def test_a_node_without_a_radio_takes_to_its_line(tmp_path: Path, micropython: Path) -> None:
    make_folder(tmp_path / "node", {"eui": EUI, **RIVER}, KEY)
    async with VirtualNode(tmp_path / "node", micropython) as node, asyncio.timeout(PATIENCE_S):
        with node.port.path.open("rb", buffering=0) as line:
            os.set_blocking(line.fileno(), False)
            while not line.read(64):
                await asyncio.sleep(0.05)
    lines = [text for text in node.log.read_text().splitlines() if text.startswith("ble")]
    assert len(lines) == 1
    assert "UART" in lines[0]
