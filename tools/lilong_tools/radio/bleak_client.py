"""bleak's client on a virtual adapter."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from bleak import BleakScanner
from bleak.args import SizedBuffer
from bleak.args.bluez import BlueZClientArgs, BlueZScannerArgs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble.device import Connection
from bumble.gatt_client import Client

from lilong_tools.radio.bleak_errors import as_bleak, failed
from lilong_tools.radio.bleak_scanner import RadioScanner
from lilong_tools.radio.fleet import Fleet
from lilong_tools.radio.gatt_map import discover

_log = logging.getLogger(__name__)
_ASKED_MTU = 517
"""What BlueZ asks for."""
_LEAST_MTU = 23
_HEADER_OCTETS = 3


class RadioClient(BaseBleakClient):
    """A connection through one adapter of `fleet`."""

    fleet: ClassVar[Fleet]
    scanner: ClassVar[type[RadioScanner]]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        bluez: BlueZClientArgs,
        **_kwargs: object,
    ) -> None:
        super().__init__(
            address_or_ble_device,
            disconnected_callback=disconnected_callback,
            timeout=timeout,
        )
        self._device: BLEDevice | None = None
        if isinstance(address_or_ble_device, BLEDevice):
            self._device = address_or_ble_device
        self._asked = bluez.get("adapter")
        self._wanted = services
        self._adapter_name = self._asked or ""
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The name that it advertises, or its address."""
        known = self._device.name if self._device is not None else None
        return known or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The ATT MTU that both ends agreed on."""
        return self._connection.att_mtu if self._connection is not None else _LEAST_MTU

    @property
    def is_connected(self) -> bool:
        """Whether the link is up, as far as this side knows."""
        return self._connection is not None

    async def connect(
        self,
        pair: bool,  # noqa: FBT001
        *,
        timeout: float | None = None,  # noqa: ASYNC109
        **_kwargs: object,
    ) -> None:
        """Connect and find the services; raises TimeoutError as bleak's others do."""
        if self._connection is not None:
            raise BleakError("Client is already connected")
        if pair:
            _log.warning("%s: the virtual radio does not pair", self.address)
        timeout_s = self._timeout if timeout is None else timeout
        device = self._device or await self._find(timeout_s)
        self._adapter_name = device.details["adapter"]
        adapter = self.fleet.adapter(self._adapter_name)
        async with asyncio.timeout(timeout_s):
            connection = await adapter.connect(device.details["address"])
            self._adopt(connection)
            try:
                await self._explore(connection)
            except BaseException:
                await self._hang_up(connection)
                raise

    async def disconnect(self) -> None:
        """End the link; there need not be one."""
        if self._connection is not None:
            await self._hang_up(self._connection)

    async def pair(self, *_args: object, **_kwargs: object) -> None:
        """Raise: nothing here needs to be paired with."""
        raise NotImplementedError("the virtual radio does not pair")

    async def unpair(self) -> None:
        """Raise: nothing here is paired."""
        raise NotImplementedError("the virtual radio does not pair")

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,  # noqa: ARG002
        **_kwargs: object,
    ) -> bytearray:
        """Read a characteristic."""
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,  # noqa: ARG002
        **_kwargs: object,
    ) -> bytearray:
        """Read a descriptor."""
        return await self._read(descriptor.handle)

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001
    ) -> None:
        """Write; without response it is only queued, and must fit into the MTU."""
        value = bytes(data)
        if not response and len(value) > self.mtu_size - _HEADER_OCTETS:
            raise failed("Failed to initiate write")
        with as_bleak(self._adapter_name):
            await self._client().write_value(characteristic.handle, value, response)

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        with as_bleak(self._adapter_name):
            await self._client().write_value(descriptor.handle, bytes(data), with_response=True)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_kwargs: object
    ) -> None:
        """Subscribe; what the peer says before this has returned is lost, as in real life."""
        subscription = _Subscription(callback)
        with as_bleak(self._adapter_name):
            await self._client().subscribe(characteristic.obj, subscription.hear)
        subscription.begun = True

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        with as_bleak(self._adapter_name):
            await self._client().unsubscribe(characteristic.obj)

    async def _find(self, timeout_s: float) -> BLEDevice:
        """Scan for the address, which alone does not tell whether it is public or random."""
        bluez: BlueZScannerArgs = {"adapter": self._asked} if self._asked else {}
        device = await BleakScanner.find_device_by_address(
            self.address, timeout_s, bluez=bluez, backend=self.scanner
        )
        if device is None:
            text = f"Device with address {self.address} was not found."
            raise BleakDeviceNotFoundError(self.address, text)
        self._device = device
        return device

    def _adopt(self, connection: Connection) -> None:
        self._connection = connection
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)

    def _on_disconnection(self, _reason: int) -> None:
        self._connection = None
        self.services = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _explore(self, connection: Connection) -> None:
        client = connection.gatt_client
        with as_bleak(self._adapter_name):
            await client.request_mtu(_ASKED_MTU)
            self.services = await discover(client, self._wanted, self._value_octets)

    async def _hang_up(self, connection: Connection) -> None:
        if self._connection is connection:
            with suppress(BleakError), as_bleak(self._adapter_name):
                await connection.disconnect()

    def _value_octets(self) -> int:
        return self.mtu_size - _HEADER_OCTETS

    def _client(self) -> Client:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection.gatt_client

    async def _read(self, handle: int) -> bytearray:
        with as_bleak(self._adapter_name):
            return bytearray(await self._client().read_value(handle))


class _Subscription:
    """What hears the notifications of a characteristic, once it has begun."""

    def __init__(self, callback: NotifyCallback) -> None:
        self.begun = False
        self._callback = callback

    def hear(self, value: bytes) -> None:
        if self.begun:
            self._callback(bytearray(value))
