"""What advertising data says (Core Specification Supplement, Part A), as bleak tells it."""

import uuid
from dataclasses import dataclass, field

_SHORT_NAME, _NAME, _TX_POWER = 0x08, 0x09, 0x0A
_UUIDS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_MANUFACTURER = 0xFF
_COMPANY_OCTETS = 2


@dataclass
class Advertised:
    """The content of an advertisement and of its scan response together."""

    name: str | None = None
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    service_data: dict[str, bytes] = field(default_factory=dict)
    service_uuids: list[str] = field(default_factory=list)
    tx_power: int | None = None

    def add(self, data: bytes) -> None:
        """Take advertising data; what is cut short ends it."""
        at = 0
        while at < len(data) and data[at]:
            end = at + 1 + data[at]
            if end > len(data):
                return
            self._take(data[at + 1], data[at + 2 : end])
            at = end

    def _take(self, kind: int, value: bytes) -> None:
        if kind == _NAME or (kind == _SHORT_NAME and self.name is None):
            self.name = value.decode("utf-8", "replace")
        elif kind == _MANUFACTURER and len(value) >= _COMPANY_OCTETS:
            company = int.from_bytes(value[:_COMPANY_OCTETS], "little")
            self.manufacturer_data[company] = value[_COMPANY_OCTETS:]
        elif size := _UUIDS.get(kind):
            whole = len(value) - len(value) % size
            found = (uuid_text(value[at : at + size]) for at in range(0, whole, size))
            self.service_uuids += [each for each in found if each not in self.service_uuids]
        elif (size := _SERVICE_DATA.get(kind)) and len(value) >= size:
            self.service_data[uuid_text(value[:size])] = value[size:]
        elif kind == _TX_POWER and value:
            self.tx_power = int.from_bytes(value[:1], "little", signed=True)


def uuid_text(little: bytes) -> str:
    """Return the full form of a UUID of 16, 32 or 128 bits, which the air gives lowest first."""
    number = int.from_bytes(little, "little")
    whole = uuid.UUID(int=number)
    if len(little) == len(whole.bytes):
        return str(whole)
    return f"{number:08x}-0000-1000-8000-00805f9b34fb"
