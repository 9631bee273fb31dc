"""A plain Bumble peripheral on a virtual air, and a central: for the tests of the radio itself."""

import asyncio

from bumble.att import ATT_Error, Attribute, ErrorCode
from bumble.device import (
    AdvertisingType,
    ConnectionParametersPreferences,
    Device,
    DeviceConfiguration,
)
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, OwnAddressType, Phy
from bumble.host import Host

SERVICE = "2ba20001-4c1d-4e7a-9d35-6c696c6f6e67"
UP = "2ba20002-4c1d-4e7a-9d35-6c696c6f6e67"
DOWN = "2ba20003-4c1d-4e7a-9d35-6c696c6f6e67"
ADVERT = bytes.fromhex("020106 05ffffff0102")
RESPONSE = b"\x11\x07" + bytes.fromhex(SERVICE.replace("-", ""))[::-1] + b"\x06\x09peer "
PATIENCE_S = 20
FAST_MS = (7.5, 7.5)
SUPERVISION_MS = 200


def device_on(air, name):
    controller = air.controller(name)
    bare = DeviceConfiguration(
        name=name,
        address=Address.generate_static_address(),
        gap_service_enabled=False,
        gatt_service_enabled=False,
    )
    return Device(config=bare, host=Host(controller, controller))


class Peer:
    def __init__(self, air, name="peer", mtu=247):
        self.name, self.written = name, []
        self.device = device_on(air, name)
        self.controller = air.named[name]
        self.device.gatt_server.max_mtu = mtu
        kinds = Characteristic.Properties
        self.up = Characteristic(UP, kinds.NOTIFY, Attribute.Permissions(0), b"")
        down = Characteristic(
            DOWN,
            kinds.WRITE | kinds.WRITE_WITHOUT_RESPONSE,
            Attribute.Permissions.WRITEABLE,
            CharacteristicValue(self.refuse, lambda _, value: self.written.append(bytes(value))),
        )
        self.device.add_service(Service(SERVICE, [self.up, down]))

    @staticmethod
    def refuse(_):
        raise ATT_Error(ErrorCode.READ_NOT_PERMITTED)

    async def start(self, interval_ms=20, own=OwnAddressType.PUBLIC, **settings):
        await self.device.power_on()
        await self.advertise(interval_ms, own, **settings)
        return self

    async def advertise(self, interval_ms=20, own=OwnAddressType.PUBLIC, connectable=True):
        kinds = AdvertisingType
        await self.device.start_advertising(
            kinds.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else kinds.UNDIRECTED,
            own_address_type=own,
            advertising_data=ADVERT,
            scan_response_data=RESPONSE,
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
            auto_restart=True,
        )

    @property
    def address(self):
        return self.controller.public_address

    @property
    def link(self):
        (end,) = self.controller.radio_connections
        return end.radio_link

    async def say(self, values):
        for value in values:
            await self.device.notify_subscribers(self.up, value)


class Central:
    def __init__(self, air, name="hci0"):
        self.device = device_on(air, name)
        self.controller = air.named[name]
        self.heard = []
        self.device.host.on("advertising_report", self.heard.append)

    async def start(self):
        await self.device.power_on()
        return self

    async def scan(self, active=True, filter_duplicates=False):
        await self.device.start_scanning(active=active, filter_duplicates=filter_duplicates)

    async def connect(self, address, mtu=247):
        """Connect and agree on an MTU."""
        async with asyncio.timeout(PATIENCE_S):
            connection = await self.link(address)
            await connection.gatt_client.request_mtu(mtu)
        return connection

    async def link(self, address):
        wishes = ConnectionParametersPreferences(7.5, 50, 0, SUPERVISION_MS)
        return await self.device.connect_le(address, {Phy.LE_1M: wishes}, timeout=None)

    async def subscribe(self, connection):
        """Subscribe to what a peer says; a list that it goes into."""
        client, got = connection.gatt_client, []
        (service,) = await client.discover_services()
        up, _ = await service.discover_characteristics()
        await up.subscribe(got.append)
        return got


async def until(done):
    async with asyncio.timeout(PATIENCE_S):
        while not (found := done()):
            await asyncio.sleep(0.002)
    return found
