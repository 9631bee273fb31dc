"""Advertising data as properties of org.bluez.Device1 (Core Specification Supplement, part A)."""

import uuid
from collections.abc import Iterable
from typing import Any

_FLAGS = 0x01
_UUIDS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_NAMES = (0x08, 0x09)
_POWER = 0x0A
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_APPEARANCE = 0x19
_MANUFACTURER = 0xFF
_COMPANY_SIZE = 2
_BASE = bytes.fromhex("fb349b5f8000008000100000")


def told(structures: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    """Give the properties that these AD structures (type, data) set; damaged ones set none."""
    properties: dict[str, Any] = {}
    for kind, data in structures:
        if kind == _FLAGS:
            properties["AdvertisingFlags"] = data
        elif size := _UUIDS.get(kind):
            properties.setdefault("UUIDs", []).extend(_uuids(data, size))
        elif kind in _NAMES:
            properties["Name"] = data.decode("utf-8", "replace")
        elif kind == _MANUFACTURER and len(data) >= _COMPANY_SIZE:
            company = int.from_bytes(data[:_COMPANY_SIZE], "little")
            properties.setdefault("ManufacturerData", {})[company] = data[_COMPANY_SIZE:]
        elif (size := _SERVICE_DATA.get(kind)) and len(data) >= size:
            service = uuid_text(data[:size])
            properties.setdefault("ServiceData", {})[service] = data[size:]
        else:
            properties.update(_number(kind, data))
    return properties


def uuid_text(data: bytes) -> str:
    """Write a UUID of 2, 4 or 16 bytes, little endian, in full."""
    whole = data if len(data) == len(_BASE) + 4 else _BASE + data.ljust(4, b"\0")
    return str(uuid.UUID(bytes=whole[::-1]))


def _uuids(data: bytes, size: int) -> list[str]:
    return [uuid_text(data[at : at + size]) for at in range(0, len(data) - size + 1, size)]


def _number(kind: int, data: bytes) -> dict[str, int]:
    if kind == _POWER and data:
        return {"TxPower": int.from_bytes(data[:1], "little", signed=True)}
    if kind == _APPEARANCE and data:
        return {"Appearance": int.from_bytes(data[:2], "little")}
    return {}
