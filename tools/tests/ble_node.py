"""A node on BLE without firmware: the protocol's own session behind a Bumble peripheral."""

import asyncio
import os

from bumble.att import Attribute
from bumble.core import UUID
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import OwnAddressType
from bumble.host import Host

from lilong_protocol import advert
from lilong_protocol.blocks import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_events import Requested
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import OPEN, NodeSession
from lilong_protocol.pieces import PieceReader, PieceWriter
from lilong_protocol.request import UNKNOWN

_NOW_MS = 848_000_000_000


class BleNode:
    """Advertises what waits and hands it over; say() adds a batch or an alarm.

    `spoil` makes of each value that leaves those that arrive; `on_write` hears of each that came.
    """

    service = advert.SERVICE

    def __init__(self, air, name, eui, key, interval_ms=100, mtu=247):
        self.air, self.name, self.eui, self.key = air, name, eui, key
        self.interval_ms = interval_ms
        controller = air.controller(name)
        self.device = Device(name=name, host=Host(controller, controller))
        self.device.gatt_server.max_mtu = mtu
        self.spoil = lambda value: [value]
        self.on_write = lambda: None
        self.said = [[] for _ in range(4)]
        self.outbox = MemoryOutbox(int.from_bytes(os.urandom(4), "big"))
        channels = [Channel(0, "level", "m", -3, -3, 0, "water level")]
        self.keys = NodeKeys(key)
        self.session = NodeSession(
            eui,
            self.keys,
            self.outbox,
            os.urandom,
            Greeting(1, 1, "paper"),
            encode_descriptor(1, channels),
        )
        self.events = []
        self.counter = 0
        self.advert = b""
        self.connection = None
        self.visits = 0
        self.heard = False
        self.damaged = 0
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @property
    def waiting(self):
        return sum(self.outbox.next(stream) - self.outbox.first(stream) for stream in range(4))

    def say(self, stream=2, count=60):
        times = [_NOW_MS + 1000 * index for index in range(count)]
        first = self.outbox.next(stream)
        item = encode_series(0, times, list(range(first, first + count)))
        self.outbox.append(stream, item)
        self.said[stream].append(item)
        self._wake.set()

    async def run(self):
        self.down = Characteristic(
            UUID(advert.DOWN),
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Attribute.WRITEABLE,
            CharacteristicValue(read=_no, write=self._written),
        )
        self.up = Characteristic(
            UUID(advert.UP), Characteristic.Properties.NOTIFY, Attribute.READABLE, b""
        )
        self.device.add_service(Service(UUID(self.service), [self.up, self.down]))
        self.device.on("connection", self._connected)
        await self.device.power_on()
        await self._advertise()
        while True:
            await self._turn()

    async def _turn(self):
        self._wake.clear()
        connection = self.connection
        if connection is not None and self.heard:
            await self._send(connection)
        elif connection is None and self._told() != self._said:
            await self._advertise()
        try:
            await asyncio.wait_for(self._wake.wait(), 0.02 if connection else 0.1)
        except TimeoutError:
            return

    async def _send(self, connection):
        while self.writer.pending < 500:
            frame = self.session.poll(self._now_ms())
            self.events += self.session.events()
            if frame is None:
                break
            self.writer.put(frame)
        while self.writer.waiting and self.connection is connection:
            for value in self.spoil(self.writer.take(connection.att_mtu - 3)):
                await self.device.notify_subscriber(connection, self.up, value)

    def _told(self):
        alarm = self.outbox.next(0) > self.outbox.first(0)
        return {
            "alarm": alarm,
            "raised": alarm,
            "device_class": 1,
            "waiting": self.waiting,
            "age_s": 0,
            "supply_mv": 3300,
            "channel": 0,
            "seq": max(0, self.outbox.next(0) - 1),
        }

    async def _advertise(self):
        self._said = self._told()
        self.advert = self._seal()
        if self.device.is_advertising:
            await self.device.stop_advertising()
        await self.device.start_advertising(
            advertising_data=advert.payload(self.advert),
            scan_response_data=advert.scan_response(self.eui),
            advertising_interval_min=self.interval_ms,
            advertising_interval_max=self.interval_ms,
            own_address_type=OwnAddressType.PUBLIC,
            auto_restart=False,
        )

    def _seal(self):
        self.counter += 1
        told = advert.Told(**self._said)
        return advert.seal_advert(self.keys.current, self.eui, self.counter, told)

    def _connected(self, connection):
        self.connection = connection
        self.visits += 1
        self.heard = False
        self.reader, self.writer = PieceReader(), PieceWriter()
        connection.on("disconnection", self._disconnected)
        self._wake.set()

    def _disconnected(self, _reason):
        self.damaged += self.reader.damaged
        self.connection = None
        self.session.interrupted(self._now_ms())
        self._said = None
        self._wake.set()

    def _written(self, _connection, value):
        self.heard = True
        self.on_write()
        for frame in self.reader.feed(value):
            for event in self.session.receive(frame, self._now_ms()):
                self.events.append(event)
                if isinstance(event, Requested):
                    self.session.respond(event.number, UNKNOWN)
        self._wake.set()

    @property
    def open(self):
        return self.session.state == OPEN

    def _now_ms(self):
        return int((self._loop.time() - self._began) * 1000)


def _no(_connection):
    raise RuntimeError("nobody reads this")
