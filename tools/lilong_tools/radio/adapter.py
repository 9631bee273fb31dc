"""A program's side of an adapter: a Bumble host on its HCI, opened at need, again after a loss."""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from bleak.exc import BleakError
from bumble import core, hci
from bumble.device import Connection, ConnectionParametersPreferences, Device, DeviceConfiguration
from bumble.transport import open_transport

from lilong_tools.radio.bleak_errors import adapter_gone, as_bleak, in_progress
from lilong_tools.radio.hci_host import AdapterHost, OnReport

if TYPE_CHECKING:
    from bumble.transport.common import Transport

_log = logging.getLogger(__name__)
_OPEN_TIMEOUT_S = 5.0
_GIVE_UP_TIMEOUT_S = 2.0
_SCAN_MS = 11.25
"""Interval and window of BlueZ's discovery: it listens all the time."""
_SUPERVISION_MS = 420
"""BlueZ's, as are the intervals."""
BLUEZ_INTERVALS_MS = (30.0, 50.0)
Intervals = tuple[float, float]
"""The shortest and the longest connection interval that a program asks for, ms."""


class Adapter:
    """One adapter, found at a Bumble transport such as `tcp-client:127.0.0.1:9001`.

    All its methods raise bleak's errors. It does as Linux does: one scan at a time, one
    connection being made at a time, and no scanning while one is made.
    """

    def __init__(self, name: str, transport: str, intervals_ms: Intervals) -> None:
        """Name the adapter; nothing is opened yet."""
        self.name = name
        self._spec = transport
        self._intervals_ms = intervals_ms
        self._opening = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._scan_change = asyncio.Lock()
        self._transport: Transport | None = None
        self._host: AdapterHost | None = None
        self._device: Device | None = None
        self._scan: tuple[OnReport, bool] | None = None

    async def device(self) -> Device:
        """Return its Bumble device, powered."""
        async with self._opening:
            if self._device is None:
                with as_bleak(self.name):
                    self._device = await self._open()
            return self._device

    async def close(self) -> None:
        """Let go of the adapter; its connections end."""
        async with self._opening:
            await self._close()

    async def cycle(self) -> bool:
        """Take its power and give it back; say whether it works after that."""
        await self.close()
        try:
            await self.device()
        except BleakError as error:
            _log.warning("%s does not come back: %s", self.name, error)
            return False
        return True

    async def start_scan(self, on_report: OnReport, *, active: bool) -> None:
        """Report advertisements until `stop_scan`, or until the adapter is lost."""
        if self._scan is not None:
            raise in_progress()
        device = await self.device()
        self._scan = (on_report, active)
        try:
            await self._apply_scan(device, on=not self._connecting.locked())
        except BaseException:
            self._scan = None
            raise

    async def stop_scan(self, on_report: OnReport) -> None:
        """End the scan that reports there, if there is one still."""
        if self._scan is None or self._scan[0] != on_report:
            return
        self._scan = None
        if (device := self._device) is not None:
            try:
                await self._apply_scan(device, on=False)
            except BleakError:
                if self._device is device:  # a lost adapter scans no more
                    raise

    async def connect(self, address: hci.Address) -> Connection:
        """Connect to a peer when it advertises; cancel this to give up."""
        async with self._connecting:
            device = await self.device()
            try:
                await self._apply_scan(device, on=False)
                with as_bleak(self.name):
                    return await self._create_connection(device, address)
            finally:
                await self._resume_scan(device)

    async def _resume_scan(self, device: Device) -> None:
        try:
            await self._apply_scan(device, on=self._scan is not None)
        except BleakError as error:
            _log.warning("%s does not scan again: %s", self.name, error)

    async def _open(self) -> Device:
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                self._transport = await open_transport(self._spec)
                self._host = AdapterHost(self._transport, self._report, self._lost)
                config = DeviceConfiguration(name=self.name)
                device = Device(config=config, host=self._host)
                await device.power_on()
        except BaseException as error:
            await self._close()
            if isinstance(error, TimeoutError):
                raise adapter_gone(self.name) from error
            raise
        return device

    async def _close(self) -> None:
        transport, self._transport = self._transport, None
        host, self._host = self._host, None
        if host is not None:
            host.on_transport_lost()
        if transport is not None:
            await transport.close()

    def _report(
        self, kind: int, address_type: int, address: bytes, data: bytes, rssi: int
    ) -> None:
        if self._scan is not None:
            self._scan[0](kind, address_type, address, data, rssi)

    def _lost(self) -> None:
        self._device = None
        self._scan = None

    async def _apply_scan(self, device: Device, *, on: bool) -> None:
        async with self._scan_change:
            if on == device.is_scanning or self._device is not device:
                return
            with as_bleak(self.name):
                if on and self._scan is not None:
                    await device.start_scanning(
                        legacy=True,
                        active=self._scan[1],
                        scan_interval=_SCAN_MS,
                        scan_window=_SCAN_MS,
                        own_address_type=hci.OwnAddressType.PUBLIC,
                    )
                elif not on:
                    await device.stop_scanning(legacy=True)

    async def _create_connection(self, device: Device, address: hci.Address) -> Connection:
        shortest, longest = self._intervals_ms
        wishes = ConnectionParametersPreferences(
            connection_interval_min=shortest,
            connection_interval_max=longest,
            supervision_timeout=_SUPERVISION_MS,
        )
        making = asyncio.ensure_future(
            device.connect_le(
                address, {hci.Phy.LE_1M: wishes}, hci.OwnAddressType.PUBLIC, timeout=None
            )
        )
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            if not making.done():
                await self._give_up(device, making)
            raise

    async def _give_up(self, device: Device, making: asyncio.Future[Connection]) -> None:
        """Cancel a connection that is being made; end it if it came about nevertheless."""
        with contextlib.suppress(core.BaseBumbleError, TimeoutError):
            async with asyncio.timeout(_GIVE_UP_TIMEOUT_S):
                await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
        await asyncio.wait({making}, timeout=_GIVE_UP_TIMEOUT_S)
        making.cancel()
        with contextlib.suppress(core.BaseBumbleError, asyncio.CancelledError, TimeoutError):
            connection = await making
            async with asyncio.timeout(_GIVE_UP_TIMEOUT_S):
                await connection.disconnect()
