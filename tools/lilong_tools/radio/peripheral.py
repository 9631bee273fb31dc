"""A virtual node's radio while it is on: a Bumble device on a controller of the air."""

import asyncio
import contextlib
import logging
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine

from bumble import hci
from bumble.att import ATT_CID, Attribute
from bumble.core import ProtocolError
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic
from bumble.gatt_server import Server
from bumble.host import Host
from bumble.transport.common import TransportSink

from lilong_tools.radio.beacon import Beacon, Beacons
from lilong_tools.radio.centrals import Centrals, Tell
from lilong_tools.radio.controller import RadioController
from lilong_tools.radio.frames import Record, ToNode
from lilong_tools.radio.node_server import NodeServer

_log = logging.getLogger(__name__)
_USUAL_MTU = 256
_NOTIFICATION = 0x1B
_ERROR_TIMEOUT = 13
_ERROR_NOT_CONNECTED = 7
"""NimBLE's BLE_HS_ETIMEOUT and BLE_HS_ENOTCONN."""
_PARTING_S = 2.0
Job = Callable[[], Awaitable[object]]


class Peripheral:
    """One life of a radio, from `start` to `stop`; `tell` sends the node what happens."""

    def __init__(self, controller: RadioController, tell: Tell) -> None:
        """Take the controller, which has no other host."""
        self.on = True
        self.parted = asyncio.Event()
        self._alone = asyncio.Event()
        self.centrals = Centrals(tell)
        self._controller = controller
        self._tell = tell
        host = Host(None, _Gate(controller, self))
        self._device = Device(config=_configuration(), host=host)
        self._server = NodeServer(self._device, self.centrals)
        self._beacons = Beacons(self._device)
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._indications: dict[asyncio.Task[None], tuple[int, int]] = {}
        self._untaken: deque[int] = deque()
        self.set_mtu(_USUAL_MTU)

    def start(self, former: "Peripheral | None" = None) -> None:
        """Switch it on, when the radio's former life has parted from its centrals."""
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._server.on(Server.EVENT_CHARACTERISTIC_SUBSCRIPTION, self._on_subscription)
        if former is not None:
            self._jobs.put_nowait(former.parted.wait)
        self._jobs.put_nowait(self._power_on)
        self._spawn(self._work())

    def stop(self, *, polite: bool) -> None:
        """Switch it off: its centrals notice by their timeouts, or are told if it is `polite`."""
        for task in self._tasks:
            task.cancel()
        self._controller.advertiser.stop()
        if polite and self._device.connections:
            self._spawn(self._part())
        else:
            self._leave()

    def set_name(self, name: bytes) -> None:
        """Set the GAP device name."""
        self._server.set_name(name)

    def set_mtu(self, mtu: int) -> None:
        """Agree to an ATT MTU of at most so much."""
        self._server.max_mtu = mtu

    def define(self, records: list[Record]) -> None:
        """Replace the services by those of a TABLE."""
        self._server.define(records)

    def advertise(self, beacon: Beacon) -> None:
        """Advertise, anew if it does already."""
        self._jobs.put_nowait(lambda: self._beacons.start(beacon))

    def be_quiet(self) -> None:
        """Advertise no more."""
        self._jobs.put_nowait(self._beacons.stop)

    def hang_up(self, number: int) -> None:
        """End a connection."""
        connection = self.centrals.find(number)
        if connection is not None:
            self._spawn(self._end(connection.handle))

    def notify(self, number: int, handle: int, value: bytes) -> None:
        """Send a notification; the node learns when the controller has taken it."""
        connection = self.centrals.find(number)
        if connection is None:
            self._tell_taken(1)
            return
        pdu = struct.pack("<BH", _NOTIFICATION, self._own_handle(handle)) + value
        self._device.send_l2cap_pdu(connection.handle, ATT_CID, pdu)
        queue = self._device.host.le_acl_packet_queue
        self._untaken.append(queue.queued if queue else 0)
        self._on_flow()

    def indicate(self, number: int, handle: int, value: bytes) -> None:
        """Send an indication; the node learns how it ended."""
        self._tell_taken(1)
        connection = self.centrals.find(number)
        attribute = self._server.attribute(handle)
        if connection is None or attribute is None:
            return
        task = self._spawn(self._indicate(connection, attribute, (number, handle), value))
        self._indications[task] = (number, handle)
        task.add_done_callback(self._indications.pop)

    async def _indicate(
        self,
        connection: Connection,
        attribute: Attribute[bytes],
        known_as: tuple[int, int],
        value: bytes,
    ) -> None:
        status = 0
        try:
            await self._server.indicate_subscriber(connection, attribute, value, force=True)
        except TimeoutError:
            status = _ERROR_TIMEOUT
        number, handle = known_as
        self._tell(ToNode.CONFIRMED, number, struct.pack("<HB", handle, status))

    async def _part(self) -> None:
        """End all connections, as NimBLE does before it stops."""
        for handle in list(self._device.connections):
            await self._end(handle)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARTING_S):
                await self._alone.wait()
        self._leave()

    def _leave(self) -> None:
        self.on = False
        self._controller.reset()
        self.parted.set()

    async def _end(self, handle: int) -> None:
        command = hci.HCI_Disconnect_Command(
            connection_handle=handle,
            reason=hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
        )
        # It may have ended meanwhile.
        with contextlib.suppress(ProtocolError):
            await self._device.host.send_async_command(command)

    def _own_handle(self, handle: int) -> int:
        attribute = self._server.attribute(handle)
        return handle if attribute is None else attribute.handle

    async def _power_on(self) -> None:
        self._controller.host = _Gate(self._device.host, self)
        await self._device.power_on()
        if queue := self._device.host.le_acl_packet_queue:
            queue.on("flow", self._on_flow)

    async def _work(self) -> None:
        """Do what takes HCI commands, one after the other."""
        while True:
            job = await self._jobs.get()
            try:
                await job()
            except (ProtocolError, TimeoutError) as error:
                _log.warning("%s: the radio of a node refused: %s", self._controller.name, error)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_connection(self, connection: Connection) -> None:
        number = self.centrals.add(connection)
        self._alone.clear()

        def tell_mtu() -> None:
            self._tell(ToNode.MTU, number, connection.att_mtu.to_bytes(2, "little"))

        connection.on(Connection.EVENT_CONNECTION_ATT_MTU_UPDATE, tell_mtu)
        connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: self._on_end(number))

    def _on_end(self, number: int) -> None:
        for task, (connection, handle) in list(self._indications.items()):
            if connection == number:
                task.cancel()
                body = struct.pack("<HB", handle, _ERROR_NOT_CONNECTED)
                self._tell(ToNode.CONFIRMED, number, body)
        self.centrals.remove(number)
        self._on_flow()
        if self.centrals.empty:
            self._alone.set()

    def _on_subscription(
        self,
        connection: Connection,
        characteristic: Characteristic[bytes],
        notify: bool,  # noqa: FBT001 - as Bumble calls it
        indicate: bool,  # noqa: FBT001
    ) -> None:
        number = self.centrals.number(connection)
        handle = self._server.node_handle(characteristic)
        if number is not None and handle is not None:
            self._tell(
                ToNode.SUBSCRIBED, number, struct.pack("<HB", handle, notify | indicate << 1)
            )

    def _on_flow(self) -> None:
        """Tell the node how many of its notifications have left the host."""
        queue = self._device.host.le_acl_packet_queue
        gone = queue.completed + queue.max_in_flight if queue else 0
        count = 0
        while self._untaken and self._untaken[0] <= gone:
            self._untaken.popleft()
            count += 1
        self._tell_taken(count)

    def _tell_taken(self, count: int) -> None:
        if count:
            self._tell(ToNode.TAKEN, 0, count.to_bytes(2, "little"))


def _configuration() -> DeviceConfiguration:
    return DeviceConfiguration(
        name="",
        address=hci.Address.ANY_RANDOM,
        gap_service_enabled=False,
        gatt_service_enabled=False,
    )


class _Gate:
    """One direction of HCI, open while the radio is on: there may be another soon."""

    def __init__(self, sink: TransportSink, radio: Peripheral) -> None:
        self._sink = sink
        self._radio = radio

    def on_packet(self, packet: bytes) -> None:
        """Pass a packet on."""
        if self._radio.on:
            self._sink.on_packet(packet)
