"""What an advertisement changes of org.bluez.Device1 (src/adapter.c, btd_adapter_device_found)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lilong_tools.radio.bluez_face import Face

_RSSI_STEP = 8
_DATA = ("ManufacturerData", "ServiceData")


@dataclass(frozen=True)
class Sighting:
    """An advertisement that was heard: the properties it tells, and its strength in dBm."""

    told: Mapping[str, Any]
    rssi: int

    def passes(self, options: Mapping[str, Any]) -> bool:
        """Whether a discovery filter (UUIDs, RSSI) lets it through; an empty one lets all."""
        wanted = options.get("UUIDs")
        if wanted and not {each.lower() for each in wanted} & set(self.told.get("UUIDs", ())):
            return False
        return bool(self.rssi >= options.get("RSSI", self.rssi))

    def changes(self, face: Face, *, filtered: bool, repeat: bool) -> dict[str, Any]:
        """Give the properties that are to be told.

        The strength is always one of them under a discovery filter, else when it differs by
        8 dB; data when it differs, or each time with `repeat` (DuplicateData).
        """
        changed: dict[str, Any] = {}
        before = face["RSSI"]
        if filtered or before is None or abs(before - self.rssi) >= _RSSI_STEP:
            changed["RSSI"] = self.rssi
        changed |= {
            name: value
            for name, value in self._merged(face).items()
            if value != face[name] or (repeat and name in _DATA)
        }
        if "Name" in changed:
            changed["Alias"] = changed["Name"]
        return changed

    def _merged(self, face: Face) -> dict[str, Any]:
        """Add to what is known: other companies' data and other UUIDs stay."""
        merged = dict(self.told)
        for name in _DATA:
            if name in merged:
                merged[name] = {**(face[name] or {}), **merged[name]}
        if "UUIDs" in merged:
            merged["UUIDs"] = sorted({*face["UUIDs"], *merged["UUIDs"]})
        return merged
