"""bleak's scanner on a virtual adapter."""

from typing import ClassVar, Literal

from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.scanner import (
    AdvertisementData,
    AdvertisementDataCallback,
    BaseBleakScanner,
)
from bumble import hci

from lilong_tools.radio.advertisement import Advertised
from lilong_tools.radio.advertiser import SCAN_RSP
from lilong_tools.radio.fleet import Fleet


class Sighting:
    """What was heard last of one device, and what that says."""

    def __init__(self, address: hci.Address, adapter: str) -> None:
        """Begin with nothing heard."""
        self.address = address.to_string(with_type_qualifier=False)
        path = f"/org/bluez/{adapter}/dev_{self.address.replace(':', '_')}"
        self.details = {"path": path, "adapter": adapter, "address": address, "props": {}}
        self._parts: list[bytes | None] = [None, None]
        self.says = Advertised()

    def hear(self, kind: int, data: bytes) -> bool:
        """Take an advertisement or a scan response; say whether it is worth telling.

        An advertisement always is, a scan response if it says something new: both reach a
        program together, as they do from Linux.
        """
        part = int(kind == SCAN_RSP)
        if self._parts[part] == data:
            return not part
        self._parts[part] = data
        self.says = Advertised()
        for each in self._parts:
            if each:
                self.says.add(each)
        return True


class RadioScanner(BaseBleakScanner):
    """Scans on one adapter of `fleet`; `bluez={"adapter": "hci1"}` says on which."""

    fleet: ClassVar[Fleet]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        *,
        bluez: BlueZScannerArgs,
        **_kwargs: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._adapter = self.fleet.adapter(bluez.get("adapter"))
        self._sightings: dict[tuple[int, bytes], Sighting] = {}

    async def start(self) -> None:
        """Scan; raises a BleakError if the adapter is gone or scans already."""
        self.seen_devices = {}
        self._sightings = {}
        await self._adapter.start_scan(self._on_report, active=self._active)

    async def stop(self) -> None:
        """End the scan."""
        await self._adapter.stop_scan(self._on_report)

    def _on_report(
        self, kind: int, address_type: int, address: bytes, data: bytes, rssi: int
    ) -> None:
        sighting = self._sightings.get((address_type, address))
        if sighting is None:
            whole = hci.Address(address, hci.AddressType(address_type))
            sighting = Sighting(whole, self._adapter.name)
            self._sightings[(address_type, address)] = sighting
        if not sighting.hear(kind, data):
            return
        says = sighting.says
        if self.is_allowed_uuid(says.service_uuids):
            self._tell(sighting, says, rssi)

    def _tell(self, sighting: Sighting, says: Advertised, rssi: int) -> None:
        advertisement = AdvertisementData(
            local_name=says.name,
            manufacturer_data=dict(says.manufacturer_data),
            service_data=dict(says.service_data),
            service_uuids=list(says.service_uuids),
            tx_power=says.tx_power,
            rssi=rssi,
            platform_data=(sighting.details,),
        )
        device = self.create_or_update_device(
            sighting.address,
            sighting.address,
            says.name or sighting.address.replace(":", "-"),
            sighting.details,
            advertisement,
        )
        self.call_detection_callbacks(device, advertisement)
