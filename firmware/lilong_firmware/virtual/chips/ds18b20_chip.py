"""A DS18B20 at the level of its time slots, as its data sheet's figures 13 and 14 have it.

Entry: rom (14 hexadecimal digits, or 16 with their check byte), temperature (Cel). Faults: absent
(and without power: it comes back as after a power-on), damaged (check sum of the scratchpad),
stuck, nonsense (a conversion fails: 07FFh), brownout (its supply breaks down as it converts).
"""

from binascii import unhexlify

from chip import SimulatedChip
from onewire import crc8

READ_ROM = 0x33
MATCH_ROM = 0x55
SKIP_ROM = 0xCC
SEARCH_ROM = 0xF0
CONVERT = 0x44
WRITE_SCRATCHPAD = 0x4E
READ_SCRATCHPAD = 0xBE

EEPROM = b"\x4b\x46\x7f"
"""TH, TL and configuration as Maxim delivers it."""
FAILED = 0x07FF


class Chip(SimulatedChip):
    """Each reset begins a conversation: it yields what it pulls in a slot and gets its level."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        rom = unhexlify(entry.get("rom", "28ca610a000000"))
        self.rom = rom if len(rom) == 8 else rom + bytes((crc8(rom),))
        self.pull = 1
        self._conversation = None
        self._power_on()

    def reset(self) -> bool:
        """Return whether it answers a reset with a presence pulse."""
        self.pull = 1
        self._conversation = None
        if self.fault("absent"):
            self._power_on()
            return False
        self._conversation = self._converse()
        self.pull = next(self._conversation)
        return True

    def hear(self, level: int) -> None:
        """End of a slot."""
        if self._conversation is None:
            return
        try:
            self.pull = self._conversation.send(level)
        except StopIteration:
            self.pull = 1
            self._conversation = None

    def _power_on(self) -> None:
        self._temperature = 0x0550
        self._writable = EEPROM
        self._byte_6 = 0x0C
        self._done_s = None

    def _converse(self) -> "object":
        command = yield from _heard(8)
        if command == READ_ROM:
            yield from _said(self.rom)
        elif command == MATCH_ROM:
            for byte in self.rom:
                if (yield from _heard(8)) != byte:
                    return
        elif command == SEARCH_ROM:
            yield from self._be_found()
            return
        elif command != SKIP_ROM:
            return
        yield from self._function((yield from _heard(8)))

    def _be_found(self) -> "object":
        for place in range(64):
            bit = (self.rom[place >> 3] >> (place & 7)) & 1
            yield bit
            yield 1 - bit
            if (yield 1) != bit:
                return

    def _function(self, command: int) -> "object":
        if command == CONVERT:
            self._begin()
            while True:
                yield 0 if self._converting() else 1
        elif command == READ_SCRATCHPAD:
            yield from _said(self._scratchpad())
        elif command == WRITE_SCRATCHPAD:
            high = yield from _heard(8)
            low = yield from _heard(8)
            configuration = yield from _heard(8)
            self._writable = bytes((high, low, (configuration & 0x60) | 0x1F))

    def _begin(self) -> None:
        if self.fault("brownout"):
            self._power_on()
            return
        resolution = (self._writable[2] >> 5) & 3
        # 600 ms for 12 bits is what chips take; the data sheet allows 750 ms.
        self._done_s = self.now_s() + 0.6 / (1 << (3 - resolution))

    def _converting(self) -> bool:
        if self._done_s is None:
            return False
        if self.now_s() < self._done_s:
            return True
        self._done_s = None
        if self.fault("nonsense"):
            self._temperature = FAILED
            return False
        undefined = (1 << (3 - ((self._writable[2] >> 5) & 3))) - 1
        code = round(self.value("temperature", 21.5) * 16) & 0xFFFF
        self._temperature = code | undefined
        self._byte_6 = 0x10 - (self._temperature & 0x0F)
        return False

    def _scratchpad(self) -> bytes:
        self._converting()
        code = self._temperature
        data = bytes((code & 0xFF, code >> 8)) + self._writable + bytes((0xFF, self._byte_6, 0x10))
        return data + bytes((crc8(data) ^ self.fault("damaged"),))


def _heard(count: int) -> "object":
    value = 0
    for bit in range(count):
        value |= (yield 1) << bit
    return value


def _said(data: bytes) -> "object":
    for byte in data:
        for bit in range(8):
            yield (byte >> bit) & 1
