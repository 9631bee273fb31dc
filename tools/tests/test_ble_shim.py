import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from bumble import hci
from bumble.att import ATT_Handle_Value_Notification
from bumble.core import UUID, ProtocolError
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host

from lilong_tools.radio.air import Air
from lilong_tools.radio.model import RadioModel
from lilong_tools.radio.plug import Radio
from lilong_tools.vnode import VirtualNode, make_folder
from lilong_tools.vnode.folder import Firmware

PATIENCE_S = 20
INSUFFICIENT_RESOURCES = 0x11
UP = UUID("2ba20002-4c1d-4e7a-9d35-6c696c6f6e67")
DOWN = UUID("2ba20003-4c1d-4e7a-9d35-6c696c6f6e67")
ENOMEM, EBUSY, ENODEV, EINVAL, ENOTCONN, EOPNOTSUPP = 12, 16, 19, 22, 107, 95
CONNECT, DISCONNECT, WRITE, READ_REQUEST, INDICATE_DONE, MTU = 1, 2, 3, 4, 20, 21

# What every program has: a service, a note of every event, and orders by the file "order".
PREAMBLE = """
import asyncio, bluetooth, json, os, sys, time
from binascii import hexlify

ble = bluetooth.BLE()
flag = asyncio.ThreadSafeFlag()
events = []
kept = []

def note(*words):
    with open("notes", "a") as file:
        file.write(json.dumps(words) + chr(10))

def handle(event, data):
    if event in (29, 30):
        return note("secret", event)
    if event in (1, 2):
        kept.append(data[2])
        data = (data[0], data[1], hexlify(bytes(data[2])).decode())
    events.append(event)
    note("event", event, list(data))
    flag.set()

def error_of(call, *arguments, **settings):
    try:
        call(*arguments, **settings)
    except OSError as error:
        return error.errno
    except ValueError:
        return "ValueError"

async def ordered(word):
    while True:
        try:
            if word in os.listdir():
                return
        except OSError:
            pass
        await asyncio.sleep_ms(5)

async def event(number):
    while number not in events:
        await flag.wait()

SERVICE = bluetooth.UUID("2ba20001-4c1d-4e7a-9d35-6c696c6f6e67")
UP = (bluetooth.UUID("2ba20002-4c1d-4e7a-9d35-6c696c6f6e67"), 0x0032)
DOWN = (bluetooth.UUID("2ba20003-4c1d-4e7a-9d35-6c696c6f6e67"), 0x000C)
ble.irq(handle)
ble.active(True)
((up, down),) = ble.gatts_register_services(((SERVICE, (UP, DOWN)),))

def advertise(**settings):
    ble.gap_advertise(20000, b"\\x02\\x01\\x06", resp_data=b"\\x04\\x09abc", **settings)
"""

MakeNode = Callable[..., VirtualNode]


@pytest.fixture
async def air() -> Air:
    return Air(RadioModel(interval_ms=7.5, collisions=False), seed=1)


@pytest.fixture
async def make_node(tmp_path: Path, micropython: Path, air: Air) -> AsyncIterator[MakeNode]:
    made: list[VirtualNode] = []

    def make(program: str, interpreter: Path = micropython, **settings: bool) -> VirtualNode:
        number = len(made)
        folder = tmp_path / f"node{number}"
        make_folder(folder, {"eui": f"{number:016x}"}, bytes(16))
        main = tmp_path / f"main{number}.py"
        main.write_text(f"{PREAMBLE}\nasync def main():\n{program}\nasyncio.run(main())\n")
        node = VirtualNode(
            folder,
            interpreter,
            firmware=Firmware(main, (".frozen",)),
            radio=Radio(air, f"node{number}", **settings),
        )
        made.append(node)
        return node

    yield make
    for node in made:
        await node.close()


@pytest.fixture
async def central(air: Air) -> Device:
    controller = air.controller("hci0")
    config = DeviceConfiguration(name="central", address=hci.Address.ANY_RANDOM)
    device = Device(config=config, host=Host(controller, controller))
    await device.power_on()
    return device


def notes(node: VirtualNode) -> list[list[object]]:
    path = node.folder / "notes"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def events(node: VirtualNode) -> list[object]:
    return [words[1] for words in notes(node) if words[0] == "event"]


async def noted(node: VirtualNode, word: str) -> list[object]:
    """The rest of the first note that begins with this word."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for words in notes(node):
                if words[0] == word:
                    return words[1:]
            assert node.running, node.log.read_text()
            await asyncio.sleep(0.005)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def connect(central: Device, node: VirtualNode) -> Connection:
    assert isinstance(node.radio, Radio)
    async with asyncio.timeout(PATIENCE_S):
        return await central.connect(
            node.radio.controller.public_address, own_address_type=hci.OwnAddressType.PUBLIC
        )


async def discover(connection: Connection) -> tuple[CharacteristicProxy, CharacteristicProxy]:
    peer = Peer(connection)
    await peer.discover_all()
    (up,) = peer.get_characteristics_by_uuid(UP)
    (down,) = peer.get_characteristics_by_uuid(DOWN)
    return up, down


async def test_an_advertisement_and_its_scan_response_reach_a_scanner(make_node, central):
    node = make_node("""
    note("inactive", ble.config("mac")[0], ble.config("gap_name").decode())
    ble.gap_advertise(20000, b"\\x02\\x01\\x06", resp_data=b"\\x04\\x09abc", connectable=False)
    await ordered("go")
    ble.gap_advertise(20000, b"\\x02\\x01\\x05")
    await asyncio.sleep(60)
""")
    heard: list[Advertisement] = []
    central.on("advertisement", heard.append)
    await central.start_scanning(filter_duplicates=False)
    await node.start()

    def seen(data: bytes, *, connectable: bool) -> bool:
        # Bumble joins the scan response to the advertisement it answers.
        return any(bytes(one.data) == data and one.is_connectable is connectable for one in heard)

    await until(lambda: seen(bytes.fromhex("020106 0409616263"), connectable=False))
    assert not any(one.is_connectable for one in heard)
    (node.folder / "go").touch()
    # What is not given stays: the scan response.
    await until(lambda: seen(bytes.fromhex("020105 0409616263"), connectable=True))
    assert isinstance(node.radio, Radio)
    assert {str(one.address) for one in heard} == {str(node.radio.controller.public_address)}


async def test_events_come_in_order_and_their_memory_is_only_lent(make_node, central):
    node = make_node("""
    advertise()
    await event(2)
    note("kept", hexlify(bytes(kept[0])).decode())
    await asyncio.sleep(60)
""")
    await node.start()
    connection = await connect(central, node)
    await Peer(connection).request_mtu(517)
    await until(lambda: MTU in events(node))
    await connection.disconnect()
    kept = await noted(node, "kept")
    address = bytes(central.public_address)[::-1].hex()
    assert [words[1:] for words in notes(node) if words[0] == "event"] == [
        [CONNECT, [0, 0, address]],
        [MTU, [0, 256]],
        [DISCONNECT, [0, 0, address]],
    ]
    assert kept != [address]


async def test_advertising_ends_with_a_connection_and_can_go_on_beside_it(make_node, central):
    node = make_node("""
    advertise()
    await event(1)
    note("registering", error_of(ble.gatts_register_services, ()))
    await ordered("go")
    ble.gap_advertise(20000, b"\\x02\\x01\\x04", connectable=False)
    await ordered("none")
    ble.gap_advertise(None)
    note("stopped")
    note("left", ble.gap_disconnect(0), error_of(ble.gap_disconnect, 0), ble.gap_disconnect(1))
    await event(2)
    ble.gap_advertise(None)
    note("registered", ble.gatts_register_services(((SERVICE, (UP,)),)) == ((up,),))
    advertise()
    await asyncio.sleep(60)
""")
    heard: list[Advertisement] = []
    central.on("advertisement", heard.append)
    await node.start()
    connection = await connect(central, node)
    assert await noted(node, "registering") == [EBUSY]
    assert isinstance(node.radio, Radio)
    assert not node.radio.controller.advertiser.enabled
    await central.start_scanning(filter_duplicates=False)
    (node.folder / "go").touch()
    await until(lambda: len(heard) > 1)
    assert {one.is_connectable for one in heard} == {False}
    (node.folder / "none").touch()
    assert await noted(node, "left") == [True, 114, False]
    await until(lambda: connection.handle not in central.connections)
    assert await noted(node, "registered") == [True]
    await until(lambda: any(one.is_connectable for one in heard))


async def test_what_is_written_is_cut_off_replaced_or_appended(make_node, central):
    node = make_node("""
    advertise()
    await event(1)
    await ordered("one")
    note("usual", ble.gatts_read(down).decode(), ble.gatts_read(down).decode())
    ble.gatts_set_buffer(down, 30)
    note("sized")
    await ordered("two")
    note("replaced", ble.gatts_read(down).decode())
    ble.gatts_set_buffer(down, 50, True)
    note("appending")
    await ordered("three")
    note("appended", ble.gatts_read(down).decode(), ble.gatts_read(down).decode())
    await asyncio.sleep(60)
""")
    await node.start()
    connection = await connect(central, node)
    await Peer(connection).request_mtu(247)
    _, down = await discover(connection)
    await down.write_value(b"a" * 25, with_response=True)
    (node.folder / "one").touch()
    assert await noted(node, "usual") == ["a" * 20, "a" * 20]
    await noted(node, "sized")
    await down.write_value(b"b" * 30, with_response=True)
    await down.write_value(b"c" * 31, with_response=True)
    (node.folder / "two").touch()
    assert await noted(node, "replaced") == ["c" * 30]
    await noted(node, "appending")
    for byte in b"def":
        await down.write_value(bytes([byte]) * 20)
    await down.write_value(b"g", with_response=True)
    (node.folder / "three").touch()
    assert await noted(node, "appended") == ["d" * 20 + "e" * 20 + "f" * 10, ""]
    assert events(node).count(WRITE) == 7


async def test_a_write_is_answered_after_the_handler_and_a_failed_handler_is_the_last(
    make_node, central
):
    node = make_node("""
    def slow(event, data):
        if event == 3:
            time.sleep_ms(100)
            note("handled")
            raise RuntimeError("a fault")
        events.append(event)
        flag.set()
    ble.irq(slow)
    advertise()
    await ordered("go")
    note("value", ble.gatts_read(down).decode())
    await asyncio.sleep(60)
""")
    await node.start()
    _, down = await discover(await connect(central, node))
    await down.write_value(b"first", with_response=True)
    assert notes(node)[-1] == ["handled"]
    # MicroPython takes a handler away that raised.
    await down.write_value(b"second", with_response=True)
    (node.folder / "go").touch()
    assert await noted(node, "value") == ["second"]
    assert [words[0] for words in notes(node)][-2:] == ["handled", "value"]
    assert notes(node).count(["handled"]) == 1
    assert "Unhandled exception in IRQ callback handler" in node.log.read_text()
    assert "RuntimeError: a fault" in node.log.read_text()


async def test_an_interrupt_does_not_wait_for_the_program_to_rest(make_node, central):
    node = make_node("""
    advertise()
    await event(1)
    note("busy")
    while 3 not in events:
        pass
    note("interrupted")
    while events.count(3) < 2:
        time.sleep_ms(5)
    note("woken")
    await asyncio.sleep(60)
""")
    await node.start()
    _, down = await discover(await connect(central, node))
    await noted(node, "busy")
    await down.write_value(b"hey", with_response=True)
    await noted(node, "interrupted")
    await down.write_value(b"hey", with_response=True)
    await noted(node, "woken")


def take_notifications(connection: Connection) -> list[bytes]:
    """Where notifications go which no one has subscribed to."""
    got: list[bytes] = []

    def take(pdu: ATT_Handle_Value_Notification) -> None:
        got.append(pdu.attribute_value)

    connection.gatt_client.on_att_handle_value_notification = take
    return got


async def test_notifications_are_cut_off_at_the_mtu_and_need_no_subscription(make_node, central):
    node = make_node("""
    ble.config(mtu=100)
    advertise()
    await event(1)
    await ordered("go")
    note("unconnected", error_of(ble.gatts_notify, 1, up, b"x"), error_of(ble.gatts_notify, 0, 0))
    ble.gatts_notify(0, up, b"s" * 30)
    await event(21)
    ble.gatts_notify(0, up, b"l" * 150)
    ble.gatts_write(up, b"stored")
    ble.gatts_notify(0, up)
    await event(2)
    note("gone", error_of(ble.gatts_notify, 0, up, b"x"))
    await asyncio.sleep(60)
""")
    await node.start()
    connection = await connect(central, node)
    got = take_notifications(connection)
    (node.folder / "go").touch()
    assert await noted(node, "unconnected") == [ENOTCONN, EINVAL]
    await until(lambda: got == [b"s" * 20])
    await Peer(connection).request_mtu(247)
    await until(lambda: got == [b"s" * 20, b"l" * 97, b"stored"])
    await connection.disconnect()
    assert await noted(node, "gone") == [ENOTCONN]


async def test_a_node_runs_out_of_buffers_refuses_requests_and_goes_on(make_node, central):
    node = make_node("""
    advertise()
    await ordered("burst")
    sent = 0
    while True:
        error = error_of(ble.gatts_notify, 0, up, b"%02d" % sent)
        if error:
            break
        sent += 1
    note("burst", sent, error)
    while sent < 100:
        if error_of(ble.gatts_notify, 0, up, b"%02d" % sent) is None:
            sent += 1
        else:
            await asyncio.sleep_ms(2)
    await asyncio.sleep(60)
""")
    await node.start()
    connection = await connect(central, node)
    _, down = await discover(connection)
    got = take_notifications(connection)
    # As long as the controller takes nothing, all stays in the node's buffers.
    assert isinstance(node.radio, Radio)
    queue = node.radio._line._peripheral._device.host.le_acl_packet_queue
    room, queue.max_in_flight = queue.max_in_flight, 0
    (node.folder / "burst").touch()
    assert await noted(node, "burst") == [12, ENOMEM]
    writing = asyncio.create_task(down.write_value(b"no", with_response=True))
    await asyncio.sleep(0)
    await down.write_value(b"yes")
    await until(lambda: WRITE in events(node))
    queue.max_in_flight = room
    queue.on_packets_completed(0, connection.handle)
    with pytest.raises(ProtocolError) as caught:
        await writing
    assert caught.value.error_code == INSUFFICIENT_RESOURCES
    await until(lambda: len(got) == 100)
    assert got == [b"%02d" % number for number in range(100)]
    assert events(node).count(WRITE) == 1


async def test_a_radio_that_is_switched_off_ends_its_connections_without_an_event(
    make_node, central
):
    node = make_node("""
    advertise()
    await event(1)
    ble.active(False)
    ble.active(True)
    note("again", error_of(ble.gatts_write, up, b"no services"))
    advertise()
    await asyncio.sleep(60)
""")
    await node.start()
    connection = await connect(central, node)
    reasons: list[int] = []
    connection.on(Connection.EVENT_DISCONNECTION, reasons.append)
    assert await noted(node, "again") == [EINVAL]
    await until(lambda: bool(reasons))
    assert reasons == [hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR]
    await connect(central, node)
    await until(lambda: events(node) == [CONNECT, CONNECT])


async def test_reads_indications_and_updates_of_subscribers(make_node, central):
    node = make_node("""
    def answer(event, data):
        handle(event, data)
        if event == 4 and refuse:
            return 5
    refuse = []
    ble.irq(answer)
    ble.gatts_write(up, b"a value of more than twenty bytes")
    advertise()
    await ordered("refuse")
    refuse.append(1)
    note("refusing")
    await ordered("update")
    refuse.clear()
    ble.gatts_write(up, b"news", True)
    ble.gatts_indicate(0, up, b"sure?")
    await event(20)
    note("confirmed")
    await asyncio.sleep(60)
""")
    await node.start()
    up, down = await discover(await connect(central, node))
    assert await up.read_value() == b"a value of more than twenty bytes"
    with pytest.raises(ProtocolError):
        await down.read_value()
    (node.folder / "refuse").touch()
    await noted(node, "refusing")
    with pytest.raises(ProtocolError) as caught:
        await up.read_value()
    assert caught.value.error_code == 5
    got: list[bytes] = []
    await up.subscribe(got.append)
    (node.folder / "update").touch()
    await noted(node, "confirmed")
    await until(lambda: b"news" in got)


async def test_what_micropython_refuses_is_refused(make_node):
    node = make_node("""
    ble.gap_advertise(None)
    note("config", error_of(ble.config, "rxbuf"), error_of(ble.config, rxbuf=1024),
         error_of(ble.config, mtu=22), ble.config("mtu"))
    note("missing", error_of(ble.gap_scan, 0), error_of(ble.gap_connect, 0, b""))
    note("advert", error_of(ble.gap_advertise, 20000, bytes(32)),
         error_of(ble.gap_advertise, 10000))
    note("handles", error_of(ble.gatts_write, 999, b""), error_of(ble.gatts_set_buffer, 999, 1),
         ble.gatts_read(999) == b"")
    note("single", bluetooth.BLE() is ble)
    uuid = bluetooth.UUID(0x180F)
    note("uuid", str(uuid), hexlify(bytes(uuid)).decode(), uuid == bluetooth.UUID(b"\x0f\x18"))
    note("long", str(SERVICE))
    ble.active(False)
    note("off", ble.active(), error_of(ble.gap_advertise, 20000), error_of(ble.config, "mac"))
""")
    await node.start()
    await node.wait()
    assert [tuple(words) for words in notes(node)] == [
        *(("secret", event) for event in (29, 29, 30)),
        ("config", "ValueError", "ValueError", EINVAL, 256),
        ("missing", EOPNOTSUPP, EOPNOTSUPP),
        ("advert", -18, -530),
        ("handles", EINVAL, EINVAL, True),
        ("single", True),
        ("uuid", "UUID(0x180f)", "0f18", True),
        ("long", "UUID('2ba20001-4c1d-4e7a-9d35-6c696c6f6e67')"),
        ("off", False, ENODEV, ENODEV),
    ]


@pytest.mark.parametrize("polite", [False, True])
async def test_a_killed_node_loses_its_link_and_comes_back(make_node, central, polite):
    node = make_node("    advertise()\n    await asyncio.sleep(60)\n", polite=polite)
    await node.start()
    connection = await connect(central, node)
    reasons: list[int] = []
    connection.on(Connection.EVENT_DISCONNECTION, reasons.append)
    await until(lambda: events(node) == [CONNECT])
    await node.kill()
    await until(lambda: bool(reasons))
    assert reasons == [
        hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        if polite
        else hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
    ]
    assert isinstance(node.radio, Radio)
    assert not node.radio.controller.advertiser.enabled
    await node.start()
    _, down = await discover(await connect(central, node))
    await down.write_value(b"again", with_response=True)
    await until(lambda: events(node) == [CONNECT, CONNECT, WRITE])


async def test_a_node_with_a_radio_resets_itself_in_good_order(make_node, central, micropython32):
    node = make_node(
        """
    note("boot", os.getenv("VNODE_RESET_CAUSE"))
    if os.getenv("VNODE_RESET_CAUSE") == "1":
        sys.exit(75)
    advertise()
    await event(1)
""",
        micropython32,
    )
    await node.start()
    await connect(central, node)
    await node.wait()
    assert [words[1] for words in notes(node) if words[0] == "boot"] == ["1", "2"]


async def test_ten_nodes_idle_and_serve_a_central_one_after_the_other(make_node, central):
    nodes = [make_node("    advertise()\n    await asyncio.sleep(60)\n") for _ in range(10)]
    await asyncio.gather(*(node.start() for node in nodes))
    for node in nodes:
        connection = await connect(central, node)
        _, down = await discover(connection)
        await down.write_value(b"hello", with_response=True)
        await connection.disconnect()
    await until(lambda: all(events(node) == [CONNECT, WRITE, DISCONNECT] for node in nodes))
    before = [used_s(node) for node in nodes]
    await asyncio.sleep(2)
    spent_s = [used_s(node) - start for node, start in zip(nodes, before, strict=True)]
    print(f"an idle node takes {100 * sum(spent_s) / len(nodes) / 2:.2f} % CPU")


def used_s(node: VirtualNode) -> float:
    """CPU time of the node's process."""
    fields = Path(f"/proc/{node.pid}/schedstat").read_text().split()
    return int(fields[0]) / 1e9
