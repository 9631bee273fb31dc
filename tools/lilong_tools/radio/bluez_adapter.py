"""org.bluez.Adapter1: scanning for its clients, and the devices it heard."""

import asyncio
from typing import Any

from bumble.device import Advertisement
from bumble.hci import Address

from lilong_tools.radio.bluez_advert import told
from lilong_tools.radio.bluez_device import RemoteDevice
from lilong_tools.radio.bluez_discovery import Discoveries
from lilong_tools.radio.bluez_errors import does_not_exist, in_progress, not_ready
from lilong_tools.radio.bluez_face import Call, Face, Method
from lilong_tools.radio.bluez_parts import Parts
from lilong_tools.radio.bluez_sighting import Sighting

_SIGNATURES = {
    "Address": "s",
    "AddressType": "s",
    "Name": "s",
    "Alias": "s",
    "Powered": "b",
    "Discoverable": "b",
    "Pairable": "b",
    "Discovering": "b",
    "UUIDs": "as",
    "Roles": "as",
}
_SWEEP_S = 0.25


class Adapter:
    """An adapter; a device that only was heard is forgotten after `temporary_s` of silence.

    There is no AdvertisementMonitorManager1, as in a bluetoothd without --experimental.
    """

    def __init__(self, name: str, parts: Parts, temporary_s: float) -> None:
        """Make an adapter, `hci0` for example, that is powered; it is on the bus after `open`."""
        self.path = f"/org/bluez/{name}"
        self._name = name
        self._parts = parts
        self._temporary_s = temporary_s
        self._devices: dict[Address, RemoteDevice] = {}
        self._discoveries = Discoveries()
        self._silent = False
        values: dict[str, Any] = dict.fromkeys(("Discoverable", "Pairable", "Discovering"), False)
        values |= {
            "AddressType": "public",
            "Name": name,
            "Alias": name,
            "Powered": True,
            "UUIDs": [],
            "Roles": ["central"],
        }
        methods = {
            "SetDiscoveryFilter": Method("a{sv}", "", self._set_filter),
            "StartDiscovery": Method("", "", self._start),
            "StopDiscovery": Method("", "", self._stop),
            "RemoveDevice": Method("o", "", self._remove_device),
        }
        setters = {"Powered": self.power}
        self._face = Face("org.bluez.Adapter1", _SIGNATURES, values, methods, setters)

    @property
    def discovering(self) -> bool:
        """Whether it scans for any client."""
        return bool(self._face["Discovering"])

    @property
    def devices(self) -> list[str]:
        """The paths of the devices it knows."""
        return [device.path for device in self._devices.values()]

    async def open(self) -> None:
        """Power the radio on and put the adapter on the bus."""
        await self._parts.radio.wake()
        self._face.change({"Address": self._parts.radio.address})
        self._parts.tree.add(self.path, self._face)
        self._parts.work.start(self._sweep())

    async def vanish(self) -> None:
        """Take the adapter and all its devices off the bus, as when it is unplugged.

        Of links only the devices' removal tells; the radio loses them.
        """
        self._discoveries.clear()
        for device in list(self._devices.values()):
            device.remove()
        self._devices.clear()
        self._parts.tree.remove(self.path)
        await self._parts.radio.rest()
        await self._parts.radio.hang_up_all()

    async def power(self, on: object) -> None:
        """Set Powered. Off ends all links and discoveries; on again mends a silent adapter."""
        if bool(on) == self._face["Powered"]:
            return
        if on:
            self._silent = False
        else:
            self._discoveries.clear()
            await self._rest()
            for device in list(self._devices.values()):
                await device.drop()
        self._face.change({"Powered": bool(on)})

    def go_silent(self) -> None:
        """Tell of no advertisement any more, until the adapter is powered off and on."""
        self._silent = True

    def forget(self, client: str) -> None:
        """Do without a client that has left the bus."""
        for device in self._devices.values():
            device.forget(client)
        self._discoveries.leave(client)
        self._parts.work.start(self._rest())

    async def _set_filter(self, call: Call) -> tuple[Any, ...]:
        self._needs_power()
        (options,) = call.body
        self._discoveries.set_filter(call.sender, options)
        return ()

    async def _start(self, call: Call) -> tuple[Any, ...]:
        self._needs_power()
        if self._parts.faults.start_is_busy():
            raise in_progress()
        self._discoveries.start(call.sender)
        await self._parts.radio.scan(self._hear)
        if not self._face["Discovering"]:
            self._face.change({"Discovering": True})
        return ()

    async def _stop(self, call: Call) -> tuple[Any, ...]:
        self._needs_power()
        self._discoveries.stop(call.sender)
        await self._rest()
        if self._parts.faults.stop_is_busy():
            raise in_progress()
        return ()

    async def _remove_device(self, call: Call) -> tuple[Any, ...]:
        self._needs_power()
        for address, device in list(self._devices.items()):
            if device.path == call.body[0]:
                await device.drop()
                self._remove(address)
                return ()
        raise does_not_exist()

    async def _rest(self) -> None:
        """Stop scanning if nobody discovers any more."""
        if self._discoveries or not self._face["Discovering"]:
            return
        await self._parts.radio.rest()
        if not self._discoveries:
            for device in self._devices.values():
                device.fade()
            self._face.change({"Discovering": False})

    def _hear(self, advertisement: Advertisement) -> None:
        """Take an advertisement from the radio; of new devices only what a filter lets through."""
        structures = [(int(kind), data) for kind, data in advertisement.data.ad_structures]
        sighting = Sighting(told(structures), advertisement.rssi)
        if self._silent or not self._discoveries.wants(sighting):
            return
        device = self._devices.get(advertisement.address)
        if device is None:
            device = RemoteDevice(self.path, advertisement.address, self._parts)
            self._devices[advertisement.address] = device
        options = {"filtered": self._discoveries.filtered, "repeat": self._discoveries.repeat}
        device.hear(sighting, **options)

    async def _sweep(self) -> None:
        """Forget temporary devices that fell silent, for as long as the adapter lives."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._temporary_s))
            since_s = asyncio.get_running_loop().time() - self._temporary_s
            for address, device in list(self._devices.items()):
                if device.temporary and not device.is_connected and device.heard_s < since_s:
                    self._remove(address)

    def _remove(self, address: Address) -> None:
        if (device := self._devices.pop(address, None)) is not None:
            device.remove()

    def _needs_power(self) -> None:
        if not self._face["Powered"]:
            raise not_ready()
