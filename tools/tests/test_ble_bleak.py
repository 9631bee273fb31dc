import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import bleak
import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from lilong_tools.errors import ToolError
from lilong_tools.radio.air import Air
from lilong_tools.radio.backend import NAME, client_type, install, scanner_type
from lilong_tools.radio.fleet import Fleet
from lilong_tools.radio.gateway import main
from lilong_tools.radio.model import RadioModel

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_peer import DOWN, FAST_MS, PATIENCE_S, SERVICE, UP, Peer, until

COMPANY = 0xFFFF
ABORTED = 0x3E
MODEL = RadioModel(interval_ms=FAST_MS[0], collisions=False, rssi_spread_db=0.0)


class Bench:
    """An air with adapters, and the classes that bleak uses on them."""

    def __init__(self, air, ports):
        self.air, self.ports = air, ports
        self.fleet = Fleet({name: port.address for name, port in ports.items()}, FAST_MS)
        self.scanner, self.client = scanner_type(self.fleet), client_type(self.fleet)

    def scan(self, heard=None, adapter=None, **settings):
        bluez = {"adapter": adapter} if adapter else {}
        return BleakScanner(heard, bluez=bluez, backend=self.scanner, **settings)

    async def find(self, name="peer", adapter=None):
        found = asyncio.get_running_loop().create_future()
        address = self.air.named[name].public_address.to_string(with_type_qualifier=False)

        def heard(device, data):
            if device.address == address and data.local_name and not found.done():
                found.set_result((device, data))

        async with asyncio.timeout(PATIENCE_S), self.scan(heard, adapter):
            return await found

    async def connect(self, name="peer", adapter=None, **settings):
        device, _ = await self.find(name, adapter)
        client = self.to(device, **settings)
        await client.connect()
        return client

    def to(self, device, gone=None, timeout=PATIENCE_S, **settings):
        return BleakClient(
            device, gone and (lambda _: gone()), timeout=timeout, backend=self.client, **settings
        )


@asynccontextmanager
async def bench(peers=1, adapters=("hci0",), model=MODEL):
    air = Air(model, seed=1)
    ports = {name: await air.serve(name) for name in adapters}
    made = [await Peer(air, f"peer{number or ''}").start() for number in range(peers)]
    over = Bench(air, ports)
    try:
        yield over, *made
    finally:
        await over.fleet.close()
        for port in ports.values():
            await port.close()


async def test_a_scan_tells_all_that_is_in_the_air():
    async with bench() as (over, peer):
        over.air.set_rssi("hci0", "peer", -71)
        device, data = await over.find()
        assert data.local_name == device.name == "peer "
        assert data.manufacturer_data == {COMPANY: b"\x01\x02"}
        assert data.service_uuids == [SERVICE]
        assert data.rssi == -71
        assert device.details["address"] == peer.address
        assert device.details["path"].startswith("/org/bluez/hci0/dev_4C_4C_")


async def test_every_advertisement_calls_back():
    async with bench() as (over, peer):
        sent, heard = [], []
        advertise = peer.controller.advertiser.send_advertising_data
        async with over.scan(lambda _, data: heard.append(data)):
            await until(lambda: heard)
            before = len(heard)
            peer.controller.advertiser.send_advertising_data = lambda: (
                sent.append(1),
                advertise(),
            )
            await until(lambda: len(sent) == 10)
            await asyncio.sleep(0.01)
        assert len(heard) - before in {10, 11}


async def test_a_passive_scan_hears_no_scan_response():
    async with bench() as (over, _):
        heard = []
        async with over.scan(lambda _, data: heard.append(data), scanning_mode="passive"):
            await until(lambda: len(heard) > 3)
        assert {data.local_name for data in heard} == {None}


async def test_a_filter_of_services_lets_through_who_has_one():
    async with bench() as (over, _):
        heard = []
        other = SERVICE.replace("1-", "9-", 1)
        async with over.scan(lambda _, data: heard.append(data), service_uuids=[other]):
            await asyncio.sleep(0.15)
        assert heard == []
        async with over.scan(lambda _, data: heard.append(data), service_uuids=[SERVICE]):
            await until(lambda: heard)


async def test_a_thousand_notifications_come_in_order():
    async with bench() as (over, peer):
        client = await over.connect()
        got = []
        await client.start_notify(UP, lambda _, value: got.append(bytes(value)))
        values = [number.to_bytes(2) for number in range(1000)]
        await peer.say(values)
        await until(lambda: len(got) == 1000)
        assert got == values
        await client.stop_notify(UP)
        await peer.say([b"unheard"])
        await client.write_gatt_char(DOWN, b"after it", response=True)
        assert len(got) == 1000


async def test_writes_arrive_with_and_without_response():
    async with bench() as (over, peer):
        client = await over.connect()
        assert client.mtu_size == 247
        down = client.services.get_characteristic(DOWN)
        assert down.max_write_without_response_size == 244
        values = [bytes([number]) * 244 for number in range(10)]
        for value in values:
            await client.write_gatt_char(down, value, response=False)
        await client.write_gatt_char(down, b"last", response=True)
        assert peer.written == [*values, b"last"]


async def test_what_gatt_does_not_allow_is_bleaks_error():
    async with bench() as (over, _):
        client = await over.connect()
        with pytest.raises(BleakGATTProtocolError) as error:
            await client.read_gatt_char(DOWN)
        assert error.value.code == 0x02
        with pytest.raises(BleakDBusError, match="initiate write"):
            await client.write_gatt_char(DOWN, bytes(245), response=False)
        with pytest.raises(BleakCharacteristicNotFoundError):
            await client.read_gatt_char(SERVICE)
        await client.disconnect()
        with pytest.raises(BleakError):
            await client.write_gatt_char(DOWN, b"", response=True)


@pytest.mark.parametrize("mtu", [23, 100, 247])
async def test_the_mtu_is_what_both_agree_on(mtu):
    async with bench() as (over, peer):
        over.air.faults.mtu_limit = mtu
        client = await over.connect(services=[SERVICE])
        assert client.mtu_size == mtu
        await client.write_gatt_char(DOWN, bytes(mtu - 3), response=False)
        await until(lambda: peer.written == [bytes(mtu - 3)])


@pytest.mark.parametrize("way", ["self", "peer", "silence", "vanish"])
async def test_the_end_of_a_link_is_told_once(way):
    async with bench() as (over, peer):
        gone = []
        device, _ = await over.find()
        client = over.to(device, lambda: gone.append(1))
        await client.connect()
        if way == "self":
            await client.disconnect()
        elif way == "peer":
            for connection in list(peer.device.connections.values()):
                await connection.disconnect()
        elif way == "silence":
            assert over.air.silence("peer") == 1
        else:
            await over.ports["hci0"].close()
        await until(lambda: gone)
        assert not client.is_connected
        await client.disconnect()
        assert gone == [1]


@pytest.mark.parametrize("way", ["silence", "vanish"])
async def test_a_call_that_waits_on_a_lost_link_raises_bleaks_error(way):
    async with bench() as (over, _):
        client = await over.connect()
        if way == "silence":
            over.air.silence("peer")
        writing = asyncio.create_task(client.write_gatt_char(DOWN, b"x", response=True))
        await asyncio.sleep(0)
        if way == "vanish":
            await over.ports["hci0"].close()
        with pytest.raises(BleakError):
            async with asyncio.timeout(PATIENCE_S):
                await writing


async def test_a_task_that_is_cancelled_stays_so_and_the_adapter_goes_on():
    async with bench() as (over, peer):
        device, _ = await over.find()
        await peer.device.stop_advertising()
        connecting = asyncio.create_task(over.to(device).connect())
        await until(lambda: over.air.named["hci0"].pending_le_connection)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert over.air.named["hci0"].pending_le_connection is None
        await peer.advertise()
        assert (await over.connect()).is_connected


async def test_connecting_to_who_does_not_advertise_ends_by_its_timeout():
    async with bench() as (over, peer):
        device, _ = await over.find()
        await peer.device.stop_advertising()
        with pytest.raises(TimeoutError):
            await over.to(device, timeout=0.1).connect()
        await peer.advertise()
        assert (await over.connect()).is_connected


async def test_an_address_is_looked_for_before_it_is_connected_to():
    async with bench() as (over, peer):
        address = peer.address.to_string(with_type_qualifier=False)
        client = over.to(address)
        await client.connect()
        assert client.is_connected
        with pytest.raises(BleakDeviceNotFoundError):
            await over.to("4C:4C:00:00:0F:FF", timeout=0.1).connect()


async def test_a_scan_or_a_connection_too_many_is_in_progress():
    async with bench() as (over, _):
        device, _ = await over.find()
        async with over.scan():
            with pytest.raises(BleakDBusError, match="InProgress"):
                await over.scan().start()
        over.air.faults.busy.add("hci0")
        with pytest.raises(BleakDBusError, match="InProgress"):
            await over.to(device).connect()
        over.air.faults.busy.clear()
        assert (await over.connect()).is_connected


async def test_a_refused_connection_is_called_what_bluez_calls_it():
    async with bench() as (over, _):
        device, _ = await over.find()
        over.air.faults.refuse("peer", ABORTED)
        with pytest.raises(BleakDBusError, match="le-connection-abort-by-local"):
            await over.to(device).connect()


async def test_connections_are_made_one_after_the_other():
    async with bench(peers=3) as (over, *peers):
        devices = [(await over.find(peer.name))[0] for peer in peers]
        clients = [over.to(device) for device in devices]
        await asyncio.gather(*(client.connect() for client in clients))
        assert all(client.is_connected for client in clients)


async def test_a_scan_pauses_while_a_connection_is_made():
    async with bench(peers=2) as (over, peer, _):
        device, _ = await over.find()
        await peer.device.stop_advertising()
        heard = []
        async with over.scan(lambda device, _: heard.append(device.address)):
            await until(lambda: heard)
            connecting = asyncio.create_task(over.to(device).connect())
            await until(lambda: over.air.named["hci0"].pending_le_connection)
            heard.clear()
            await asyncio.sleep(0.2)
            assert heard == []
            await peer.advertise()
            await connecting
            await until(lambda: heard)


async def test_an_adapter_that_vanishes_is_missed_and_comes_back():
    async with bench() as (over, _):
        port, heard = over.ports["hci0"], []
        scanner = over.scan(lambda device, _: heard.append(device))
        await scanner.start()
        await until(lambda: heard)
        await port.close()
        await scanner.stop()
        with pytest.raises(BleakBluetoothNotAvailableError, match="hci0"):
            await over.scan().start()
        with pytest.raises(BleakBluetoothNotAvailableError):
            await over.to(heard[0]).connect()
        assert not await over.fleet.recover("hci0")
        await port.open()
        assert await over.fleet.recover("hci0")
        assert (await over.connect()).is_connected


async def test_an_adapter_that_vanishes_while_it_connects_is_told():
    async with bench() as (over, peer):
        device, _ = await over.find()
        await peer.device.stop_advertising()
        connecting = asyncio.create_task(over.to(device).connect())
        await until(lambda: over.air.named["hci0"].pending_le_connection)
        await over.ports["hci0"].close()
        with pytest.raises(BleakError):
            async with asyncio.timeout(PATIENCE_S):
                await connecting


@pytest.mark.parametrize("fault", ["wedged", "mute"])
async def test_a_sick_adapter_is_cured_by_recovery(fault):
    async with bench() as (over, _):
        await over.find()
        getattr(over.air.faults, fault).add("hci0")
        heard = []
        if fault == "wedged":
            async with over.scan(lambda device, _: heard.append(device)):
                await asyncio.sleep(0.2)
        assert heard == []
        assert await over.fleet.recover("hci0")
        assert (await over.connect()).is_connected


async def test_what_is_said_before_the_subscription_is_lost():
    async with bench() as (over, peer):
        client = await over.connect()
        (connection,) = peer.device.connections.values()
        got = []

        async def say(value):
            await peer.device.notify_subscriber(connection, peer.up, value, force=True)

        await say(b"too early")
        subscribing = asyncio.create_task(
            client.start_notify(UP, lambda _, value: got.append(value))
        )
        await asyncio.sleep(0)
        await say(b"early")
        await subscribing
        await say(b"heard")
        await until(lambda: got)
        assert got == [b"heard"]


async def test_ten_peers_are_served_at_once():
    async with bench(peers=10, model=replace(MODEL, links=10)) as (over, *peers):
        clients = [await over.connect(peer.name, services=[SERVICE]) for peer in peers]
        got = [[] for _ in peers]
        for client, values in zip(clients, got, strict=True):
            await client.start_notify(UP, lambda _, value, into=values: into.append(value))
        for number, peer in enumerate(peers):
            await peer.say([bytes([number, each]) for each in range(20)])
        await until(lambda: all(len(values) == 20 for values in got))
        for number, values in enumerate(got):
            assert values == [bytes([number, each]) for each in range(20)]


async def test_two_adapters_hear_and_connect_for_themselves():
    async with bench(peers=2, adapters=("hci0", "hci1")) as (over, *peers):
        over.air.set_rssi("hci0", "peer", -50)
        over.air.set_rssi("hci1", "peer", -80)
        assert (await over.find(adapter="hci0"))[1].rssi == -50
        assert (await over.find(adapter="hci1"))[1].rssi == -80
        for peer, adapter in zip(peers, ("hci0", "hci1"), strict=True):
            client = await over.connect(peer.name, adapter)
            assert client.is_connected
            assert over.air.named[adapter].radio_connections
        await over.ports["hci1"].close()
        await until(lambda: not client.is_connected)
        assert over.air.named["hci0"].radio_connections
        with pytest.raises(BleakBluetoothNotAvailableError, match="hci7"):
            over.scan(adapter="hci7")


async def test_a_program_that_knows_nothing_of_it_runs_on_it():
    before = dict(vars(bleak))
    async with bench() as (over, peer):
        fleet = install({"hci0": over.ports["hci0"].address}, FAST_MS)
        try:
            device = await BleakScanner.find_device_by_name("peer ", PATIENCE_S)
            client = await establish_connection(BleakClientWithServiceCache, device, "peer")
            assert client.backend_id == NAME
            await client.write_gatt_char(DOWN, b"hello", response=True)
            assert peer.written == [b"hello"]
            await client.disconnect()
        finally:
            vars(bleak).update(before)
            await fleet.close()


def test_a_program_without_an_adapter_is_told_to_name_one():
    with pytest.raises(ToolError, match="adapter"):
        Fleet({})


def test_the_gateway_on_virtual_adapters_wants_to_know_them(capsys):
    for words, problem in (([], "--adapter"), (["--adapter", "hci0"], "NAME=TRANSPORT")):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert problem in capsys.readouterr().err
