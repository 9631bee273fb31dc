"""Advertising of a virtual node's radio, with as few HCI commands as it takes."""

from dataclasses import dataclass

from bumble import hci
from bumble.device import AdvertisingType, Device, LegacyAdvertiser

_ALL_CHANNELS = 7


@dataclass(frozen=True)
class Beacon:
    """What is advertised, every so many slots of 0.625 ms; it can be scanned in any case."""

    slots: int
    connectable: bool
    data: bytes
    response: bytes

    @property
    def type(self) -> AdvertisingType:
        """The type of its packets."""
        types = AdvertisingType
        if self.connectable:
            return types.UNDIRECTED_CONNECTABLE_SCANNABLE
        return types.UNDIRECTED_SCANNABLE


class Beacons:
    """The advertising of one device, which nothing else makes advertise."""

    def __init__(self, device: Device) -> None:
        """Take a device whose controller has just been reset, or is about to be."""
        self._device = device
        self._said: dict[type[hci.HCI_Command], bytes] = {}

    async def start(self, beacon: Beacon) -> None:
        """Advertise this, anew if it does already. Bumble's ProtocolError."""
        await self.stop()
        await self._say(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=beacon.data))
        await self._say(
            hci.HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=beacon.response)
        )
        await self._say(_parameters(beacon))
        # Bumble asks it for the address that a central has connected to.
        self._device.legacy_advertiser = LegacyAdvertiser(
            self._device,
            beacon.type,
            hci.OwnAddressType.PUBLIC,
            hci.Address.ANY,
            auto_restart=False,
        )
        await self._enable(on=True)

    async def stop(self) -> None:
        """Advertise no more; a connection has ended it, too. Bumble's ProtocolError."""
        if self._device.legacy_advertiser is not None:
            self._device.legacy_advertiser = None
            await self._enable(on=False)

    async def _enable(self, *, on: bool) -> None:
        await self._device.host.send_sync_command(
            hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=int(on))
        )

    async def _say(self, command: hci.HCI_SyncCommand[hci.HCI_StatusReturnParameters]) -> None:
        """Send a command, unless its last one was the same."""
        if self._said.get(type(command)) != bytes(command):
            await self._device.host.send_sync_command(command)
            self._said[type(command)] = bytes(command)


def _parameters(beacon: Beacon) -> hci.HCI_LE_Set_Advertising_Parameters_Command:
    return hci.HCI_LE_Set_Advertising_Parameters_Command(
        advertising_interval_min=beacon.slots,
        advertising_interval_max=beacon.slots,
        advertising_type=int(beacon.type),
        own_address_type=hci.OwnAddressType.PUBLIC,
        peer_address_type=hci.Address.ANY.address_type,
        peer_address=hci.Address.ANY,
        advertising_channel_map=_ALL_CHANNELS,
        advertising_filter_policy=0,
    )
