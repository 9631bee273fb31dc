import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from bumble import hci
from bumble.core import ConnectionError as ConnectError

from lilong_tools.errors import ToolError
from lilong_tools.radio.air import Air
from lilong_tools.radio.model import RadioModel

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_peer import ADVERT, PATIENCE_S, RESPONSE, Central, Peer, until

REPORTS = hci.HCI_LE_Advertising_Report_Event.EventType


def quiet(**changes):
    """A model in which nothing is left to chance."""
    return RadioModel(**{"collisions": False, "rssi_spread_db": 0.0, "interval_ms": 15, **changes})


async def pair(model=None, **settings):
    air = Air(model or quiet(), seed=1)
    return air, await Peer(air).start(**settings), await Central(air).start()


def of_kind(central, kind):
    return [report for report in central.heard if report.event_type == kind]


async def test_a_scanner_hears_the_advertisement_and_the_scan_response():
    _, peer, central = await pair()
    await central.scan()
    await until(lambda: of_kind(central, REPORTS.SCAN_RSP))
    assert of_kind(central, REPORTS.ADV_IND)[0].data == ADVERT
    response = of_kind(central, REPORTS.SCAN_RSP)[0]
    assert (response.data, response.address) == (RESPONSE, peer.address)


async def test_a_passive_scanner_gets_no_scan_response():
    _, _, central = await pair()
    await central.scan(active=False)
    await until(lambda: len(of_kind(central, REPORTS.ADV_IND)) > 3)
    assert of_kind(central, REPORTS.SCAN_RSP) == []


async def test_the_filter_of_duplicates_tells_each_advertisement_once():
    _, peer, central = await pair(interval_ms=20)
    await central.scan(filter_duplicates=True)
    await until(lambda: len(central.heard) == 2)
    peer.controller.advertiser.advertising_data = ADVERT + b"\x02\x0a\x04"
    await until(lambda: len(central.heard) == 3)
    assert len({report.data for report in central.heard}) == 3


async def test_the_advertising_interval_has_units_of_625_microseconds():
    _, peer, _ = await pair(interval_ms=100)
    assert peer.controller.advertiser.interval_s == pytest.approx(0.1)


async def test_what_cannot_be_connected_to_is_heard_and_left_alone():
    _, peer, central = await pair(connectable=False)
    await central.scan()
    await until(lambda: len(of_kind(central, REPORTS.ADV_NONCONN_IND)) > 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await central.link(peer.address)
    assert peer.controller.radio_connections == []


@pytest.mark.parametrize("own", [hci.OwnAddressType.PUBLIC, hci.OwnAddressType.RANDOM])
async def test_data_goes_both_ways_whatever_the_kind_of_address(own):
    _, peer, central = await pair(own=own)
    public = own == hci.OwnAddressType.PUBLIC
    connection = await central.connect(peer.address if public else peer.device.random_address)
    assert connection.att_mtu == 247
    got = await central.subscribe(connection)
    await peer.say([bytes([number]) * 244 for number in range(20)])
    await until(lambda: len(got) == 20)
    assert [value[0] for value in got] == list(range(20))


async def test_connecting_to_nobody_can_be_cancelled():
    _, peer, central = await pair()
    absent = hci.Address("4C:4C:00:00:0F:FF/P")
    waiting = asyncio.create_task(central.link(absent))
    await until(lambda: central.device.is_le_connecting)
    await central.device.cancel_connection()
    with pytest.raises(ConnectError) as failed:
        await waiting
    assert failed.value.error_code == hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
    assert (await central.connect(peer.address)).att_mtu == 247
    with pytest.raises(hci.HCI_Error):
        await central.device.host.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())


async def test_a_reset_forgets_links_scans_and_advertising_and_peers_notice():
    air, peer, central = await pair()
    connection = await central.connect(peer.address)
    reasons = []
    for each in peer.device.connections.values():
        each.on("disconnection", reasons.append)
    await central.scan()
    await central.device.host.send_sync_command(hci.HCI_Reset_Command())
    assert central.controller.radio_connections == []
    assert not central.controller.le_scan_enable
    await until(lambda: reasons)
    assert reasons == [hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR]
    assert not air.links
    assert connection.handle
    await peer.device.host.send_sync_command(hci.HCI_Reset_Command())
    assert not peer.controller.advertiser.enabled


async def test_a_host_with_small_buffers_gets_pieces():
    _, peer, central = await pair()
    connection = await central.connect(peer.address)
    got = await central.subscribe(connection)
    await central.device.host.send_sync_command(hci.HCI_Host_Buffer_Size_Command(64, 0, 8, 0))
    lengths = []
    take = central.controller.host.on_packet

    class Watching:
        def on_packet(self, packet):
            lengths.append(len(packet))
            take(packet)

    central.controller.host = Watching()
    await peer.say([bytes(244)])
    await until(lambda: got)
    assert got == [bytes(244)]
    assert max(lengths) == 64 + 5


async def test_each_pair_hears_each_other_as_loud_as_it_was_said():
    air, _, central = await pair()
    await Peer(air, "other").start()
    air.set_rssi("hci0", "peer", -71)
    air.set_rssi("hci0", "other", None)
    await central.scan()
    await until(lambda: len(central.heard) > 6)
    assert {report.rssi for report in central.heard} == {-71}


async def test_a_peer_out_of_range_is_lost_after_the_supervision_timeout():
    air, peer, central = await pair()
    connection = await central.connect(peer.address)
    ended = asyncio.get_running_loop().create_future()
    connection.on("disconnection", ended.set_result)
    air.set_rssi("hci0", "peer", None)
    assert len(air.links) == 1
    async with asyncio.timeout(PATIENCE_S):
        assert await ended == hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
    assert not air.links


@pytest.mark.parametrize(
    ("changes", "pieces"), [({}, 1), ({"data_length": 27}, 10), ({"packets_per_event": 2}, 1)]
)
async def test_no_more_goes_through_an_event_than_the_model_says(changes, pieces):
    air, peer, central = await pair(quiet(**changes))
    connection = await central.connect(peer.address)
    got = await central.subscribe(connection)
    link = peer.link
    events, packets = link.events, link.packets[1]
    await peer.say([bytes([number]) * 244 for number in range(40)])
    await until(lambda: len(got) == 40)
    events, packets = link.events - events, link.packets[1] - packets
    assert packets == 40 * pieces
    model = air.model
    per_second = 40 * 244 / (events * model.interval_ms / 1000)
    assert 0.85 < per_second / model.goodput_limit(247) <= 1.0


async def test_packets_are_completed_when_they_have_come_through_and_not_before():
    air, peer, central = await pair()
    connection = await central.connect(peer.address)
    await central.subscribe(connection)
    (far,) = peer.device.connections.values()
    queue = far.data_packet_queue
    await peer.say([bytes(244)] * 4)
    await until(lambda: queue.pending == 0)
    air.silence("peer")
    await peer.say([bytes(244)] * 30)
    await asyncio.sleep(0.1)
    assert queue.pending == 30
    assert len(peer.controller.radio_connections[0].data) == air.model.buffers


async def test_lost_events_delay_data_and_lose_none():
    _, peer, central = await pair(quiet(event_loss=0.4))
    connection = await central.connect(peer.address)
    got = await central.subscribe(connection)
    await peer.say([number.to_bytes(2) * 122 for number in range(60)])
    await until(lambda: len(got) == 60)
    assert [int.from_bytes(value[:2]) for value in got] == list(range(60))
    assert 0.2 < peer.link.lost_events / (peer.link.lost_events + peer.link.events) < 0.6


async def test_a_link_on_which_nothing_comes_through_ends_by_itself():
    air, peer, central = await pair(quiet(event_loss=1.0))
    connection = await central.link(peer.address)
    ended = asyncio.get_running_loop().create_future()
    connection.on("disconnection", ended.set_result)
    asking = asyncio.create_task(connection.gatt_client.request_mtu(247))
    async with asyncio.timeout(PATIENCE_S):
        assert await ended == hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not air.links


async def test_busy_links_share_the_radio_of_their_adapter():
    air, first, central = await pair(quiet(packets_per_event=99))
    second = await Peer(air, "second").start()
    peers = [first, second]
    got = [await central.subscribe(await central.connect(peer.address)) for peer in peers]
    events = [peer.link.events for peer in peers]
    for peer in peers:
        await peer.say([bytes(244)] * 30)
    await until(lambda: all(len(values) == 30 for values in got))
    for peer, before in zip(peers, events, strict=True):
        # Alone, five such packets fit into an event of 15 ms.
        assert 30 / (peer.link.events - before) < 3.5


async def test_an_adapter_that_is_full_of_data_hears_and_connects_nevertheless():
    air, peer, central = await pair(quiet(packets_per_event=99))
    other = await Peer(air, "other").start()
    got = await central.subscribe(await central.connect(peer.address))
    await peer.say([bytes(244)] * 600)
    await central.scan(active=False)
    await until(lambda: len(central.heard) > 3)
    assert (await central.connect(other.address)).att_mtu == 247
    assert len(got) < 600


async def test_a_connection_update_reaches_both_hosts():
    _, peer, central = await pair()
    connection = await central.connect(peer.address)
    (far,) = peer.device.connections.values()
    heard = asyncio.Event()
    far.on("connection_parameters_update", heard.set)
    await connection.update_parameters(45, 45, 0, 2000)
    async with asyncio.timeout(PATIENCE_S):
        await heard.wait()
    assert peer.link.interval_s == pytest.approx(0.045)
    assert connection.parameters.connection_interval == far.parameters.connection_interval == 45


async def test_an_ended_link_tells_each_host_who_ended_it():
    _, peer, central = await pair()
    connection = await central.connect(peer.address)
    reasons = []
    connection.on("disconnection", reasons.append)
    for each in peer.device.connections.values():
        each.on("disconnection", reasons.append)
    await connection.disconnect()
    await until(lambda: len(reasons) == 2)
    codes = hci.HCI_ErrorCode
    assert set(reasons) == {
        codes.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR,
        codes.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
    }


async def test_a_refused_connection_fails_with_its_status_and_the_next_is_made():
    air, peer, central = await pair()
    air.faults.refuse("peer", hci.HCI_ErrorCode.CONNECTION_REJECTED_DUE_TO_LIMITED_RESOURCES_ERROR)
    with pytest.raises(ConnectError) as refused:
        await central.connect(peer.address)
    assert refused.value.error_code == 0x0D
    assert (await central.connect(peer.address)).att_mtu == 247


async def test_a_busy_controller_disallows_to_connect():
    air, peer, central = await pair()
    air.faults.busy.add("hci0")
    with pytest.raises(hci.HCI_Error) as busy:
        await central.connect(peer.address)
    assert busy.value.error_code == hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR


async def test_a_controller_holds_so_many_links_and_no_more_than_one_to_a_peer():
    air, peer, central = await pair(quiet(links=1))
    await central.connect(peer.address)
    with pytest.raises(hci.HCI_Error) as twice:
        await central.connect(peer.address)
    assert twice.value.error_code == hci.HCI_ErrorCode.CONNECTION_ALREADY_EXISTS_ERROR
    second = await Peer(air, "second").start()
    with pytest.raises(hci.HCI_Error) as full:
        await central.connect(second.address)
    assert full.value.error_code == hci.HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR


async def test_a_request_to_connect_that_is_not_heard_ends_soon():
    air, peer, central = await pair(quiet(interval_ms=7.5))
    air.faults.advert_loss = 0.5
    reasons = []
    for _ in range(60):
        connection = await central.link(peer.address)
        connection.on("disconnection", reasons.append)
        if peer.controller.radio_connections:
            await connection.disconnect()
            await until(lambda: not air.links)
        else:
            break
    await until(lambda: hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR in reasons)
    assert peer.controller.advertiser.enabled


async def test_links_that_drop_at_random_drop_without_a_word():
    air, peer, central = await pair()
    air.faults.drops_per_s = 1000
    await central.link(peer.address)
    (link,) = air.links
    await until(lambda: link.silent)
    assert central.device.connections
    await until(lambda: not central.device.connections)


async def test_a_wedged_adapter_hears_nothing_until_it_is_reset():
    air, _, central = await pair(interval_ms=20)
    await central.scan()
    await until(lambda: central.heard)
    air.faults.wedged.add("hci0")
    await asyncio.sleep(0.03)
    central.heard.clear()
    await central.device.stop_scanning()
    await central.scan()
    await asyncio.sleep(0.2)
    assert central.heard == []
    await central.device.power_on()
    await central.scan()
    await until(lambda: central.heard)


async def test_busy_air_loses_adverts():
    air, peer, central = await pair(interval_ms=20)
    air.faults.advert_loss = 0.5
    sent = []
    advertise = peer.controller.advertiser.send_advertising_data
    peer.controller.advertiser.send_advertising_data = lambda: (sent.append(1), advertise())
    await central.scan(active=False)
    await until(lambda: len(sent) == 40)
    assert 10 <= len(central.heard) <= 30


async def test_the_limit_of_the_mtu_is_kept_by_both_hosts():
    air, peer, central = await pair()
    air.faults.mtu_limit = 100
    connection = await central.connect(peer.address, mtu=517)
    (far,) = peer.device.connections.values()
    assert connection.att_mtu == far.att_mtu == 100
    with pytest.raises(ToolError, match="23"):
        air.faults.mtu_limit = 22


async def test_a_command_that_is_unknown_is_refused_and_not_ignored():
    _, _, central = await pair()
    host = central.device.host
    for command in (
        hci.HCI_LE_Set_Extended_Scan_Enable_Command(1, 0, 0, 0),
        hci.HCI_Read_RSSI_Command(1),
    ):
        with pytest.raises(hci.HCI_Error) as refused:
            await host.send_sync_command(command)
        assert refused.value.error_code == hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
    with pytest.raises(hci.HCI_Error):
        await host.send_async_command(hci.HCI_LE_Set_PHY_Command(9, 0, 1, 1, 0))


async def test_bytes_that_are_no_hci_do_no_harm():
    _, _, central = await pair()
    for rubbish in (b"", b"\x01", b"\x01\x03\x0c\x05", b"\x02\x01\x00\xff\xff\x00", bytes(9)):
        central.controller.on_packet(rubbish)
    await central.device.power_on()


async def test_two_controllers_have_two_names():
    air, *_ = await pair()
    with pytest.raises(ToolError, match="peer"):
        air.controller("peer")


async def test_a_controller_that_is_removed_is_heard_no_more():
    air, peer, central = await pair()
    await central.connect(peer.address)
    air.remove("peer")
    await until(lambda: not central.device.connections)
    assert "peer" not in air.named
    assert not air.links


async def test_a_host_reaches_its_controller_over_a_pty():
    air = Air(quiet(), seed=1)
    port = await air.serve("node", "pty")
    far = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(far, bytes(hci.HCI_Reset_Command())[:2])
        await asyncio.sleep(0.02)
        os.write(far, bytes(hci.HCI_Reset_Command())[2:])
        answer = await until(lambda: readable(far))
    finally:
        os.close(far)
        await port.close()
    assert answer == bytes.fromhex("040e0401030c00")


def readable(file):
    try:
        return os.read(file, 100)
    except BlockingIOError:
        return b""


async def test_a_place_that_is_none_is_refused():
    with pytest.raises(ToolError, match="nowhere"):
        await Air(quiet()).serve("node", "nowhere")


RESET = bytes(hci.HCI_Reset_Command())
RESET_DONE = bytes.fromhex("040e0401030c00")


async def host_on(port):
    """A host that has reset its controller over a socket."""
    kind, _, place = port.address.partition(":")
    if kind == "tcp-client":
        reader, writer = await asyncio.open_connection(*place.split(":"))
    else:
        reader, writer = await asyncio.open_unix_connection(place)
    writer.write(RESET)
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(len(RESET_DONE)) == RESET_DONE
    return reader, writer


async def hang_up(writer):
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_a_controller_is_served_to_the_newest_host(where, tmp_path):
    path = tmp_path / "hci0"
    port = await Air(quiet()).serve("hci0", "tcp" if where == "tcp" else f"unix:{path}")
    old, writer = await host_on(port)
    assert path.exists() == (where == "unix")
    newer = await host_on(port)
    async with asyncio.timeout(PATIENCE_S):
        assert await old.read() == b""
    await port.close()
    assert not path.exists()
    with pytest.raises(OSError, match=r"refused|No such|failed"):
        await host_on(port)
    await port.open()
    last = await host_on(port)
    for end in (writer, newer[1], last[1]):
        await hang_up(end)
    await port.close()


async def test_a_host_that_hangs_up_takes_its_links_and_scans_along():
    air = Air(quiet(), seed=1)
    port = await air.serve("hci0")
    _, writer = await host_on(port)
    writer.write(bytes(hci.HCI_LE_Set_Scan_Enable_Command(1, 0)))
    await until(lambda: air.named["hci0"].le_scan_enable)
    await hang_up(writer)
    await until(lambda: not air.named["hci0"].le_scan_enable)
    await port.close()


async def test_a_host_that_never_reads_is_cut_off():
    air = Air(quiet(), seed=1)
    port = await air.serve("hci0")
    _, writer = await host_on(port)
    controller = air.named["hci0"]
    writer.transport.pause_reading()
    async with asyncio.timeout(PATIENCE_S):
        while controller.host is not None:
            for _ in range(1000):
                controller.on_report(bytes(250), -60)
            await asyncio.sleep(0)
    await hang_up(writer)
    await port.close()


async def test_what_is_no_hci_ends_the_session():
    port = await Air(quiet()).serve("hci0")
    reader, writer = await host_on(port)
    writer.write(b"\xee\xee")
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    await hang_up(writer)
    await port.close()
