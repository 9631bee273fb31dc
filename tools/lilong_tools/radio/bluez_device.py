"""org.bluez.Device1: a device that was heard, and the link to it."""

import asyncio
import contextlib
from typing import Any

from bumble.core import BaseBumbleError
from bumble.device import Connection, Peer
from bumble.hci import Address

from lilong_tools.radio.bluez_errors import answering, failed, in_progress, not_connected
from lilong_tools.radio.bluez_face import Call, Face, Method
from lilong_tools.radio.bluez_faults import ConnectFault
from lilong_tools.radio.bluez_gatt import Table
from lilong_tools.radio.bluez_parts import Parts
from lilong_tools.radio.bluez_radio import ABORTED
from lilong_tools.radio.bluez_sighting import Sighting

_CANCELED = "br-connection-canceled"
_MTU = 517
_SETTLE_S = 0.005
"""Between the kernel's word that a link is up and that of its ATT socket."""
_SIGNATURES = {
    "Address": "s",
    "AddressType": "s",
    "Name": "s",
    "Alias": "s",
    "Appearance": "q",
    "Paired": "b",
    "Bonded": "b",
    "Trusted": "b",
    "Blocked": "b",
    "LegacyPairing": "b",
    "RSSI": "n",
    "TxPower": "n",
    "Connected": "b",
    "UUIDs": "as",
    "Adapter": "o",
    "ManufacturerData": "a{qv}",
    "ServiceData": "a{sv}",
    "ServicesResolved": "b",
    "AdvertisingFlags": "ay",
}
_FALSE = ("Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing", "Connected")


class RemoteDevice:
    """A device of an adapter; temporary until somebody connects to it.

    `heard_s` is the loop's time of its last advertisement.
    """

    def __init__(self, adapter: str, address: Address, parts: Parts) -> None:
        """Make the device; `adapter` is a path. It is on the bus once it was heard."""
        text = address.to_string(with_type_qualifier=False)
        self.path = f"{adapter}/dev_{text.replace(':', '_')}"
        self.temporary = True
        self.heard_s = 0.0
        self._address = address
        self._parts = parts
        self._table = Table(self.path, parts)
        self._link: Connection | None = None
        self._attempt: asyncio.Task[None] | None = None
        values: dict[str, Any] = dict.fromkeys(_FALSE, False)
        values |= {
            "Address": text,
            "AddressType": "public" if address.is_public else "random",
            "Alias": text.replace(":", "-"),
            "Adapter": adapter,
            "UUIDs": [],
            "ServicesResolved": False,
        }
        methods = {
            "Connect": Method("", "", self._connect),
            "Disconnect": Method("", "", self._disconnect),
        }
        self._face = Face("org.bluez.Device1", _SIGNATURES, values, methods)

    @property
    def is_connected(self) -> bool:
        """Whether there is a link, or one is being made."""
        return self._link is not None or self._attempt is not None

    def hear(self, sighting: Sighting, *, filtered: bool, repeat: bool) -> None:
        """Take an advertisement; the first one puts the device on the bus."""
        first = not self.heard_s
        self.heard_s = asyncio.get_running_loop().time()
        if changes := sighting.changes(self._face, filtered=filtered, repeat=repeat):
            self._face.change(changes)
        if first:
            self._parts.tree.add(self.path, self._face)

    def fade(self) -> None:
        """Forget the signal strength, as when a discovery ends."""
        gone = {name: None for name in ("RSSI", "TxPower") if self._face[name] is not None}
        if gone:
            self._face.change(gone)

    def forget(self, client: str) -> None:
        """Do without a client that has left the bus."""
        self._table.forget(client)

    async def drop(self) -> None:
        """End the link, or the attempt to make one, if there is any."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        if self._link is not None:
            await self._parts.radio.hang_up(self._link)

    def remove(self) -> None:
        """Take the device and all below it off the bus; what becomes of its link is not told."""
        self._link = None
        self._table.clear()
        self._parts.tree.remove(self.path)

    async def _connect(self, _: Call) -> tuple[Any, ...]:
        """Answer once the link is up; the services are told of later."""
        fault = self._parts.faults.next_connect()
        if self._attempt is not None or fault is ConnectFault.BUSY:
            raise in_progress()
        if self._link is not None:
            return ()
        self.temporary = False
        self._attempt = attempt = asyncio.create_task(self._establish(fault))
        try:
            await asyncio.wait([attempt])
        finally:
            attempt.cancel()
            await asyncio.wait([attempt])
            self._attempt = None
        if attempt.cancelled():
            raise failed(_CANCELED)
        attempt.result()
        return ()

    async def _disconnect(self, _: Call) -> tuple[Any, ...]:
        if not self.is_connected:
            raise not_connected()
        await self.drop()
        return ()

    async def _establish(self, fault: ConnectFault | None) -> None:
        if fault is ConnectFault.HUNG:
            await asyncio.Event().wait()
        link = await self._parts.radio.call_up(self._address)
        link.on(Connection.EVENT_DISCONNECTION, lambda _: self._lost(link))
        self._link = link
        self._table.bind(link.gatt_client)
        self._face.change({"Connected": True})
        if fault is ConnectFault.ABORTED:
            self._parts.work.start(self._parts.radio.hang_up(link))
            raise failed(ABORTED)
        self._parts.work.start(self._resolve(link))
        await asyncio.sleep(_SETTLE_S)

    async def _resolve(self, link: Connection) -> None:
        """Exchange the MTU, discover all attributes, say so; BluezError when the link is lost."""
        peer = Peer(link)
        with answering():
            with contextlib.suppress(BaseBumbleError):
                self._table.set_mtu(await peer.request_mtu(_MTU))
            await _discover(peer)
        if link is self._link:
            uuids = {*self._face["UUIDs"], *self._table.show(peer.services)}
            self._face.change({"UUIDs": sorted(uuids), "ServicesResolved": True})

    def _lost(self, link: Connection) -> None:
        if link is self._link:
            self._link = None
            self._table.unbind()
            self._face.change({"ServicesResolved": False})
            self._face.change({"Connected": False})


async def _discover(peer: Peer) -> None:
    await peer.discover_services()
    for service in peer.services:
        for characteristic in await service.discover_characteristics():
            await characteristic.discover_descriptors()
