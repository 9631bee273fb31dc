"""BLE: adverts heard by an adapter, and links to nodes; the only importer of bleak and its kin."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Literal

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bleak_retry_connector import (
    BleakAbortedError,
    BleakConnectionError,
    BleakNotFoundError,
    BleakOutOfConnectionSlotsError,
    establish_connection,
)

from lilong_gateway.errors import (
    LinkBusyError,
    LinkError,
    LinkLostError,
    LinkMissingError,
    LinkRefusedError,
)
from lilong_gateway.links.bounded import end, within
from lilong_gateway.links.values import ValueLine
from lilong_gateway.logs import pairs
from lilong_protocol.advert import ADVERT, ADVERT_BYTES, COMPANY, DOWN, SERVICE, UP
from lilong_protocol.frame import VERSION

CONNECT_S = 25.0
"""A connect that has not come about by then is given up, whatever the system is doing."""

_SCAN_S = 15.0
_SUBSCRIBE_S = 10.0
_WRITE_S = 8.0
_CROWDED_S = 0.1
_LEAVE_S = 6.0
_DEVICES = 4096
_SMALLEST = 20
_LARGEST = 509
_LOST = (BleakError, OSError, EOFError, AttributeError, KeyError)
"""What bleak lets through of a bus or an adapter that goes away in the middle of a call."""

_WRAPPED = (
    BleakAbortedError,
    BleakConnectionError,
    BleakNotFoundError,
    BleakOutOfConnectionSlotsError,
)
_NO_SLOT = ("le-connection-concurrent-connection-limit", "le-connection-busy")
"""What BlueZ says of a controller that holds as many connections as it can, or makes one."""

_LOG = logging.getLogger(__name__)

Scanning = Literal["active", "passive"]
OnAdvert = Callable[[str, bytes, int], None]
"""Takes address, the 24 bytes, and RSSI in dBm."""


class Central:
    """One adapter of this machine, such as "hci0"; everything here may be called again at will."""

    def __init__(self, adapter: str, scanning: Scanning, on_advert: OnAdvert) -> None:
        self.adapter = adapter
        self._scanning = scanning
        self._on_advert = on_advert
        self._scanner: BleakScanner | None = None
        self._devices: dict[str, BLEDevice] = {}
        self._doubted: set[str] = set()
        self._beginning = bytes((VERSION << 5 | ADVERT,))

    async def listen(self) -> None:
        """Scan from now on; LinkError says why not."""
        await self.rest()
        scanner = BleakScanner(
            self._heard,
            scanning_mode=self._scanning,
            bluez={
                "adapter": self.adapter,
                "filters": {"DuplicateData": True},
                "or_patterns": [self._pattern()],
            },
        )
        self._scanner = scanner
        try:
            await within(_SCAN_S, scanner.start())
        except (TimeoutError, *_LOST) as error:
            raise _ours(self.adapter, error) from error

    async def rest(self) -> None:
        """Scan no more; an adapter that is gone has stopped already."""
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            with contextlib.suppress(TimeoutError, *_LOST):
                await within(_LEAVE_S, scanner.stop())

    async def connect(self, address: str, on_change: Callable[[], None]) -> "BleLink":
        """Connect to a node that was heard, and subscribe; LinkError says why not."""
        place = f"{self.adapter}/{address}"
        device = self._devices.get(address)
        if device is None:
            raise LinkMissingError(place, "not heard by this adapter")
        try:
            link = await self._connect(device, ValueLine(place, on_change))
        except LinkError:
            # What was known of its services may be why, as after a restart of bluetoothd.
            self._doubted.add(address)
            raise
        self._doubted.discard(address)
        return link

    async def _connect(self, device: BLEDevice, line: ValueLine) -> "BleLink":
        place = line.port
        connecting = asyncio.ensure_future(
            establish_connection(
                BleakClient,
                device,
                place,
                disconnected_callback=lambda _client: line.lose("the connection broke off"),
                max_attempts=1,
                use_services_cache=device.address not in self._doubted,
                services=[SERVICE],
                bluez={"adapter": self.adapter},
            )
        )
        try:
            client = await within(CONNECT_S, connecting)
        except (TimeoutError, *_LOST) as error:
            raise _ours(place, error) from error
        except asyncio.CancelledError:
            if connecting.done() and not connecting.cancelled() and not connecting.exception():
                await _let_go(connecting.result(), place)
            raise
        return await _subscribed(client, line)

    def _heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        advert = data.manufacturer_data.get(COMPANY)
        if advert is None or len(advert) != ADVERT_BYTES or advert[:1] != self._beginning:
            return
        self._devices[device.address] = device
        if len(self._devices) > _DEVICES:
            oldest = next(iter(self._devices))
            del self._devices[oldest]
            self._doubted.discard(oldest)
        self._on_advert(device.address, advert, data.rssi)

    def _pattern(self) -> OrPattern:
        """What a passive scan lets through: data of our company that begins as ours does."""
        content = COMPANY.to_bytes(2, "little") + self._beginning
        return OrPattern(0, AdvertisementDataType.MANUFACTURER_SPECIFIC_DATA, content)


class BleLink:
    """A connection to one node; a ValueLine whose values travel by notification and write."""

    def __init__(
        self, client: BleakClient, line: ValueLine, down: BleakGATTCharacteristic
    ) -> None:
        self.line = line
        self._client = client
        self._down = down
        self._writing = asyncio.create_task(self._write(), name=f"write {line.port}")

    async def close(self) -> None:
        """Let the node go, in bounded time; it advertises again."""
        self.line.lose("closed")
        await end(self._writing)
        await _let_go(self._client, self.line.port)

    async def _write(self) -> None:
        """Send what is queued, for ever; each write that is answered empties the node's buffer."""
        size = min(_LARGEST, max(_SMALLEST, self._down.max_write_without_response_size))
        try:
            while True:
                value, answered = await self.line.next_value(size)
                async with asyncio.timeout(_WRITE_S):
                    await self._write_one(value, answered=answered)
        except TimeoutError:
            self.line.lose(f"took nothing for {_WRITE_S:g} s")
        except _LOST as error:
            self.line.lose(_words(error))

    async def _write_one(self, value: bytes, *, answered: bool) -> None:
        """Write a value; a node without room for a request just now has not taken it."""
        while True:
            try:
                await self._client.write_gatt_char(self._down, value, response=answered)
            except BleakGATTProtocolError as error:
                if error.code is not BleakGATTProtocolErrorCode.INSUFFICIENT_RESOURCE:
                    raise
                await asyncio.sleep(_CROWDED_S)
            else:
                return


async def listen_for(adapter: str, scanning: Scanning, time_s: float) -> int:
    """Return how many nodes, or who says to be one, were heard in that time; LinkError."""
    heard: set[str] = set()
    central = Central(adapter, scanning, lambda address, _advert, _rssi: heard.add(address))
    await central.listen()
    await asyncio.sleep(time_s)
    await central.rest()
    return len(heard)


async def _subscribed(client: BleakClient, line: ValueLine) -> BleLink:
    """Return the link once notifications come; a node that lacks what it needs is let go."""
    try:
        down = _characteristic(client, DOWN, line.port)
        up = _characteristic(client, UP, line.port)
        subscribing = client.start_notify(
            up,
            lambda _char, value: line.take(bytes(value)),
            # One read of a descriptor for each notification instead of a signal on the bus.
            bluez={"use_start_notify": False},
        )
        await within(_SUBSCRIBE_S, subscribing)
        return BleLink(client, line, down)
    except (TimeoutError, *_LOST) as error:
        await _let_go(client, line.port)
        raise _ours(line.port, error) from error
    except BaseException:
        await _let_go(client, line.port)
        raise


def _characteristic(client: BleakClient, uuid: str, place: str) -> BleakGATTCharacteristic:
    service = client.services.get_service(SERVICE)
    found = None if service is None else service.get_characteristic(uuid)
    if found is None:
        raise LinkRefusedError(place, "has no Lilong service; its firmware is another")
    return found


async def _let_go(client: BleakClient, place: str) -> None:
    try:
        await within(_LEAVE_S, client.disconnect())
    except (TimeoutError, *_LOST) as error:
        _LOG.warning("link not ended %s", pairs(link=place, error=_words(error)))


def _ours(place: str, error: Exception) -> LinkError:
    """Return what an error of the library is to us; the connector wraps those of bleak."""
    cause = error.__cause__ if isinstance(error, _WRAPPED) and error.__cause__ else error
    words = _words(cause)
    if isinstance(cause, TimeoutError):
        return LinkLostError(place, words)
    if isinstance(cause, BleakDBusError) and cause.dbus_error.endswith(".InProgress"):
        return LinkBusyError(place, "the adapter is at something else")
    if any(text in words for text in _NO_SLOT):
        return LinkBusyError(place, "the adapter has no slot for another connection")
    if isinstance(cause, BleakBluetoothNotAvailableError | BleakDeviceNotFoundError):
        return LinkMissingError(place, words)
    if isinstance(cause, OSError | EOFError):
        return LinkMissingError(place, f"the system's message bus cannot be reached ({words})")
    return LinkLostError(place, words)


def _words(error: BaseException) -> str:
    """Return an error of the library in one line of bounded length."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]
