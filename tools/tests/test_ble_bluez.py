import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest
from bumble.att import ATT_Error, ErrorCode
from bumble.core import UUID
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import OwnAddressType
from bumble.host import Host

from lilong_gateway.errors import LinkRefusedError
from lilong_gateway.radio.power import switch_off_and_on
from lilong_protocol.advert import DOWN, SERVICE, UP, payload, scan_response
from lilong_tools.errors import ToolError
from lilong_tools.radio.air import Air
from lilong_tools.radio.bluez_advert import told
from lilong_tools.radio.bluez_bus import ADDRESS_VARIABLE, PrivateBus
from lilong_tools.radio.bluez_daemon import Bluetoothd
from lilong_tools.radio.bluez_face import Face
from lilong_tools.radio.bluez_faults import ConnectFault
from lilong_tools.radio.bluez_sighting import Sighting
from lilong_tools.radio.model import RadioModel

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_node import BleNode

PROGRAM = Path(__file__).with_name("ble_central.py")
EUI = bytes.fromhex("0123456789abcdef")
NAME = "lilong cdef"
MTU = 247
PATIENCE_S = 30


class FailedError(Exception):
    pass


class Central:
    """The program with bleak, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def __call__(self, name: str, **options: object) -> object:
        self.process.stdin.write(json.dumps([name, options]).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            answer = json.loads(await self.process.stdout.readline())
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer["answer"]


class Node:
    """A peripheral with the project's GATT service and nothing behind it."""

    def __init__(self, air: Air, name: str = "node") -> None:
        self.written: list[bytes] = []
        bare = DeviceConfiguration(gap_service_enabled=False, gatt_service_enabled=False)
        self.device = Device(name=name, host=host(air, name), config=bare)
        self.up = Characteristic(
            UP,
            Characteristic.Properties.NOTIFY,
            Characteristic.READABLE,
            CharacteristicValue(read=refuse),
        )
        down = Characteristic(
            DOWN,
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=lambda _, value: self.written.append(bytes(value))),
        )
        self.device.add_service(Service(UUID(SERVICE), [self.up, down]))
        self.device.gatt_server.max_mtu = MTU

    async def advertise(self, advert: bytes) -> None:
        if not self.device.powered_on:
            await self.device.power_on()
        await self.device.stop_advertising()
        await self.device.start_advertising(
            advertising_data=payload(advert),
            scan_response_data=scan_response(EUI),
            advertising_interval_min=20,
            advertising_interval_max=20,
            own_address_type=OwnAddressType.PUBLIC,
            auto_restart=True,
        )

    async def notify(self, *values: bytes) -> None:
        for value in values:
            await self.device.notify_subscribers(self.up, value)


class Bench:
    """A bus, a bluetoothd, an air, a node that advertises."""

    def __init__(self, bus: PrivateBus, air: Air, node: Node, daemon: Bluetoothd) -> None:
        self.bus, self.air, self.node, self.daemon = bus, air, node, daemon

    @property
    def adapter(self):
        return self.daemon.adapters["hci0"]

    @contextlib.asynccontextmanager
    async def central(self):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, PROGRAM),
            env={**os.environ, ADDRESS_VARIABLE: self.bus.address},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Central(process)
        finally:
            process.kill()
            await process.wait()


def refuse(_connection):
    raise ATT_Error(ErrorCode.READ_NOT_PERMITTED)


def host(air: Air, name: str) -> Host:
    controller = air.controller(name)
    return Host(controller, controller)


def advert(number: int) -> bytes:
    return bytes([0x2C]) + EUI + number.to_bytes(4, "big") + bytes(11)


@pytest.fixture
async def bench(dbus_daemon: Path):
    air = Air(RadioModel(collisions=False), seed=1)
    node = Node(air)
    await node.advertise(advert(1))
    hosts = {"hci0": Device(name="hci0", host=host(air, "hci0"))}
    async with PrivateBus(dbus_daemon) as bus:
        daemon = Bluetoothd(bus.address, hosts, connect_s=2, temporary_s=1)
        async with daemon:
            yield Bench(bus, air, node, daemon)
            assert daemon.failures == 0


async def until(done) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():
            await asyncio.sleep(0.01)


async def connected(central: Central) -> object:
    await central("scan", DuplicateData=True)
    await central("advert", data=advert(1).hex())
    return await central("connect")


async def test_a_scan_sees_name_service_and_every_change_of_the_advertised_data(bench) -> None:
    async with bench.central() as central:
        await central("scan")
        for number in (1, 2, 3):
            await bench.node.advertise(advert(number))
            _data, name, services, rssi, address = await central(
                "advert", data=advert(number).hex()
            )
        assert (name, services) == (NAME, [SERVICE])
        assert -100 < rssi < 0
        assert address == bench.node.device.public_address.to_string(with_type_qualifier=False)
        await central("rest")


async def test_values_cross_both_ways_in_order_and_the_end_is_told(bench) -> None:
    values = [bytes([number]) * (MTU - 3) for number in range(50)]
    async with bench.central() as central:
        up, down, size = await connected(central)
        assert (up, sorted(down)) == (["notify"], ["write", "write-without-response"])
        assert size == MTU - 3
        await central("notify")
        await bench.node.notify(*values)
        assert await central("received", count=50) == [value.hex() for value in values]
        for number, value in enumerate(values):
            await central("write", data=value.hex(), response=number % 10 == 9)
        await until(lambda: bench.node.written == values)
        await central("disconnect")
        assert await central("lost") is False
        await until(lambda: not bench.node.device.connections)


async def test_values_cross_sockets_instead_of_the_bus_and_these_close_with_the_link(
    bench,
) -> None:
    async with bench.central() as central:
        await connected(central)
        assert await central("acquire_mtu") == MTU
        await central("notify", socket=True)
        await bench.node.notify(b"one", b"two")
        assert await central("received", count=2) == [b"one".hex(), b"two".hex()]
        await central("write", data=b"three".hex(), response=False)
        await central("unnotify")
        await central("notify", socket=True)
        assert bench.air.silence("node") == 1
        assert await central("lost") is False
        await central("connect")
        await central("notify", socket=True)
        await bench.node.notify(b"four")
        assert await central("received", count=1) == [b"four".hex()]
        assert bench.node.written == [b"three"]


async def test_what_is_known_of_a_node_can_be_used_at_once_on_its_next_link(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        await central("disconnect")
        for socket in (False, True):
            *_, size = await central("connect", cached=True)
            await central("notify", socket=socket)
            await central("write", data=b"one".hex(), response=True)
            await bench.node.notify(bytes(size))
            assert await central("received", count=1) == [bytes(MTU - 3).hex()]
            await central("disconnect")


async def test_what_may_not_be_read_is_an_error_of_the_attribute(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        with pytest.raises(FailedError, match=r"GATTProtocolError.*Read Not Permitted"):
            await central("read", uuid=UP)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (ConnectFault.BUSY, "org.bluez.Error.InProgress"),
        (ConnectFault.ABORTED, None),
        (ConnectFault.HUNG, "TimeoutError"),
    ],
)
async def test_a_connect_that_goes_wrong_is_followed_by_one_that_does_not(
    bench, fault: ConnectFault, message: str | None
) -> None:
    async with bench.central() as central:
        bench.daemon.faults.connects.append(fault)
        if message is None:
            await connected(central)  # bleak tries again by itself
        else:
            await central("scan")
            await central("advert", data=advert(1).hex())
            with pytest.raises(FailedError, match=message):
                await central("connect", seconds=1)
            await central("connect")
        await central("write", data="00", response=True)
        assert bench.node.written == [b"\0"]


async def test_a_node_that_is_out_of_reach_keeps_nobody_from_connecting_later(bench) -> None:
    async with bench.central() as central:
        await central("scan")
        await central("advert", data=advert(1).hex())
        await bench.node.device.stop_advertising()
        with pytest.raises(FailedError, match="TimeoutError"):
            await central("connect", seconds=0.3)
        await bench.node.advertise(advert(1))
        await central("connect")


async def test_a_node_that_was_only_heard_and_falls_silent_is_forgotten(bench) -> None:
    async with bench.central() as central:
        await central("scan")
        await central("advert", data=advert(1).hex())
        await bench.node.device.stop_advertising()
        await until(lambda: not bench.adapter.devices)
        with pytest.raises(FailedError, match="not found"):
            await central("connect", seconds=1)


async def test_scans_that_are_busy_or_get_stuck_can_be_begun_again(bench) -> None:
    async with bench.central() as central:
        bench.daemon.faults.busy_starts = 1
        with pytest.raises(FailedError, match=r"org\.bluez\.Error\.InProgress"):
            await central("scan")
        bench.daemon.faults.busy_stops = 1
        for _ in range(2):
            await central("scan")
            await central("advert", data=advert(1).hex())
            await central("rest")
        with pytest.raises(FailedError, match="--experimental"):
            await central("scan", mode="passive")


async def test_a_silent_adapter_speaks_again_after_it_was_powered_off_and_on(bench) -> None:
    async with bench.central() as central:
        await central("scan", DuplicateData=True)
        bench.adapter.go_silent()
        count, _ = await central("adverts_in", seconds=0.3)
        await central("rest")
        await central("scan", DuplicateData=True)
        again, _ = await central("adverts_in", seconds=0.3)
        assert (count, again) == (0, 0)
        await bench.adapter.power(False)
        with pytest.raises(FailedError, match=r"org\.bluez\.Error\.NotReady"):
            await central("scan")
        await bench.adapter.power(True)
        await connected(central)


async def test_power_off_ends_the_links_of_an_adapter(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        await bench.adapter.power(False)
        assert await central("lost") is False
        await until(lambda: not bench.node.device.connections)


async def test_notifications_get_lost_as_many_as_asked_for(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        await central("notify")
        bench.daemon.faults.lost_notifications = 2
        await bench.node.notify(b"1", b"2", b"3")
        assert await central("received", count=1) == [b"3".hex()]


async def test_an_adapter_that_was_pulled_out_is_gone_until_it_is_put_back(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        await bench.daemon.unplug("hci0")
        with pytest.raises(FailedError, match=r"not found|UnknownObject"):
            await central("scan")
        await bench.daemon.plug("hci0")
        await central("adapter_back")
        await connected(central)


async def test_a_daemon_that_is_killed_loses_its_links_and_can_be_started_again(bench) -> None:
    async with bench.central() as central:
        await connected(central)
        await bench.daemon.stop()
        await until(lambda: not bench.node.device.connections)
        with pytest.raises(FailedError, match="ServiceUnknown"):
            await central("write", data="00", response=True)
        with pytest.raises(FailedError, match="ServiceUnknown"):
            await central("scan")
        await bench.daemon.start()
        await connected(central)


async def test_the_discovery_of_a_program_that_was_killed_ends(bench) -> None:
    async with bench.central() as central:
        await central("scan")
        await central("advert", data=advert(1).hex())
        assert bench.adapter.discovering
    await until(lambda: not bench.adapter.discovering)


def test_strength_is_told_always_under_a_filter_and_else_in_steps_of_eight() -> None:
    face = Face("org.bluez.Device1", {}, {"RSSI": -60, "UUIDs": []})
    near = Sighting({}, -67)
    assert near.changes(face, filtered=False, repeat=False) == {}
    assert near.changes(face, filtered=True, repeat=False) == {"RSSI": -67}
    assert Sighting({}, -68).changes(face, filtered=False, repeat=False) == {"RSSI": -68}
    assert Sighting({}, -60).changes(face, filtered=True, repeat=False) == {"RSSI": -60}


def test_data_is_told_when_it_differs_or_each_time_if_duplicates_are_wanted() -> None:
    known = {"RSSI": -60, "UUIDs": [], "ManufacturerData": {1: b"a", 2: b"b"}}
    face = Face("org.bluez.Device1", {}, known)
    same = Sighting({"ManufacturerData": {1: b"a"}}, -60)
    other = Sighting({"ManufacturerData": {1: b"c"}}, -60)
    assert same.changes(face, filtered=False, repeat=False) == {}
    assert same.changes(face, filtered=False, repeat=True) == {
        "ManufacturerData": {1: b"a", 2: b"b"}
    }
    assert other.changes(face, filtered=False, repeat=False) == {
        "ManufacturerData": {1: b"c", 2: b"b"}
    }


@pytest.mark.parametrize(
    ("structures", "properties"),
    [
        ([(0x03, bytes.fromhex("1a18"))], {"UUIDs": ["0000181a-0000-1000-8000-00805f9b34fb"]}),
        ([(0xFF, b"\x01")], {}),
        ([(0x0A, b"\xf8")], {"TxPower": -8}),
        (
            [(0x16, bytes.fromhex("1a1801"))],
            {"ServiceData": {"0000181a-0000-1000-8000-00805f9b34fb": b"\1"}},
        ),
        ([(0x09, b"\xff"), (0x07, b"short")], {"Name": "\ufffd", "UUIDs": []}),
    ],
)
def test_advertising_data_becomes_properties(structures, properties) -> None:
    assert told(structures) == properties


async def test_a_program_that_is_no_dbus_daemon_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="true does not start"):
        async with PrivateBus(Path("/bin/true")):
            pass


async def test_a_bus_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no bus at unix:path="):
        await Bluetoothd(f"unix:path={tmp_path}/bus", {}).start()


async def test_the_gateway_drains_a_node_over_bluez(dbus_daemon: Path, tmp_path: Path) -> None:
    air = Air(RadioModel(collisions=False), seed=1)
    node = BleNode(air, "node", EUI, bytes(range(16)))
    for _ in range(20):
        node.say()
    node.say(stream=0)
    write_configuration(tmp_path, node)
    hosts = {"hci0": Device(name="hci0", host=host(air, "hci0"))}
    async with PrivateBus(dbus_daemon) as bus, Bluetoothd(bus.address, hosts) as daemon:
        playing = asyncio.create_task(node.run())
        log = tmp_path / "gateway.log"
        words = ["-m", "lilong_gateway", "run", "--config", tmp_path / "gateway.toml"]
        with log.open("wb") as file:
            gateway = await asyncio.create_subprocess_exec(
                *(sys.executable, *words),
                env={**os.environ, ADDRESS_VARIABLE: bus.address},
                stderr=file,
            )
        try:
            await until(lambda: not node.waiting and node.connection is None)
        except TimeoutError:
            pytest.fail(log.read_text())
        finally:
            gateway.terminate()
            assert await gateway.wait() == 0
            playing.cancel()
        assert (node.damaged, daemon.failures) == (0, 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "store.db")) as store:
        rows = store.execute("SELECT stream, count(*) FROM batch GROUP BY stream").fetchall()
    assert rows == [(0, 1), (2, 20)]


def write_configuration(folder: Path, node: BleNode) -> None:
    keys = folder / "nodes.toml"
    keys.write_text(f'[keys]\n"{node.eui.hex()}" = "{node.key.hex()}"\n')
    keys.chmod(0o600)
    (folder / "gateway.toml").write_text(
        '[gateway]\nid = "gw"\nsite = "s"\ndata = "data"\n[nodes]\nkeys = "nodes.toml"\n'
        '[ble]\nadapters = ["hci0"]\n[uplink]\nhost = "127.0.0.1"\nport = 9\n'
        '[log]\nlevel = "debug"\n[status]\nfile = "status.json"\n'
    )


async def test_the_gateway_switches_a_silent_adapter_off_and_on_and_it_hears_again(
    bench, monkeypatch
):
    monkeypatch.setenv(ADDRESS_VARIABLE, bench.bus.address)
    async with bench.central() as central:
        await central("scan", DuplicateData=True)
        await central("advert", data=advert(1).hex())
        bench.adapter.go_silent()
        await bench.node.advertise(advert(2))
        await switch_off_and_on("hci0")
        await central("scan", DuplicateData=True)
        await central("advert", data=advert(2).hex())
    with pytest.raises(LinkRefusedError, match="hci7"):
        await switch_off_and_on("hci7")


async def test_without_a_bus_the_gateway_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv(ADDRESS_VARIABLE, f"unix:path={tmp_path}/none")
    with pytest.raises(LinkRefusedError, match="no way to BlueZ"):
        await switch_off_and_on("hci0")
