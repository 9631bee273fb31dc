"""Maxim DS18B20, DS1822 and MAX31820: temperature on a 1-Wire bus.

Stands on MicroPython's onewire, not on its ds18x20: that raises a bare Exception for a wrong check
sum, gives a float, takes the power-on value for a temperature, and its scan holds up everything
for 14 ms a chip, on a disturbed line for seconds.

Datasheet: Maxim DS18B20, 19-7487, revision 6, July 2019
Wiring: VDD 3.0..5.5 V, GND, DQ with a pull-up of 4.7 kohm to 3.3 V; VDD must be wired, there is no
    strong pull-up for parasite power; several chips may share the line
Options:
    rom: the chip's 16 hexadecimal digits, family code first (28...); without it the only one there
    bits: 9, 10, 11 or 12 for steps of 0.5, 0.25, 0.125 or 0.0625 K in 94, 188, 376 or 752 ms
Limits: -55..125 Cel; +-0.5 K from -10 to 85 Cel, +-2 K elsewhere; first reading after 0.8 s; no
    DS18S20 (family 10); on clones that do not count in byte 6 a first reading of exactly 85 Cel
    is taken for the power-on value until it changes; a lost command to convert gives the value
    before
Power: 1000 uA for 750 ms a measurement, 0.75 uA asleep
"""

import asyncio
from binascii import hexlify, unhexlify

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SettingsError,
    WarmingError,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "ds18b20"
_FAMILIES = b"\x28\x22"
_MOST_CHIPS = const(16)
_SEARCH_ROM = const(0xF0)
_MATCH_ROM = const(0x55)
_CONVERT = const(0x44)
_WRITE_SCRATCHPAD = const(0x4E)
_READ_SCRATCHPAD = const(0xBE)
_ALARMS = b"\x7d\xc9"
"""TH and TL: 125 and -55 Cel. After a loss of power there are those of the EEPROM instead."""
_POWER_ON = const(0x0550)
_FAILED = const(0x07FF)
_CONVERSION_MS = const(94)
_BURST = const(2)
"""Bytes without a pause: 0.5 ms each. A 1-Wire chip waits between them for as long as it takes."""


class Ds18b20:
    """Converts, waits, reads; writes alarm limits first that a reset of the chip would undo."""

    BUS = "onewire"
    GIVES = (Quantity("temperature", "Cel", -4, -550000, 1250000),)

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._given = _rom(options) if options.has("rom") else b""
        self._configuration = (options.number("bits", 9, 12, 12) - 9) << 5 | 0x1F
        self._rom = b""
        self._wait_ms = 0
        self._prepared = False
        self._measured = False

    async def measure(self) -> "list[int | None]":
        """Return [temperature] after a conversion."""
        prepared, self._prepared = self._prepared, False
        if not prepared:
            await self._prepare()
        await self._command(_CONVERT)
        await asyncio.sleep(self._wait_ms / 1000)
        value = self._temperature(await self._scratchpad())
        self._prepared = True
        return [value]

    async def _prepare(self) -> None:
        self._measured = False
        self._rom = self._given or await self._only()
        await self._command(_WRITE_SCRATCHPAD)
        await self._send(_ALARMS + bytes((self._configuration,)))
        scratchpad = await self._scratchpad()
        # Some clones stay at 12 bits.
        self._wait_ms = _CONVERSION_MS << ((scratchpad[4] >> 5) & 3)

    def _temperature(self, scratchpad: bytearray) -> int:
        if scratchpad[2:4] != _ALARMS:
            raise WarmingError(_NAME, "was without power since it was set up")
        code = scratchpad[1] << 8 | scratchpad[0]
        # Byte 6 becomes 16 minus the last four bits of a value that was measured, in Maxim's own.
        if code == _POWER_ON and scratchpad[6] != 0x10 and not self._measured:
            raise WarmingError(_NAME, "shows 85 Cel, the value of its power-on")
        if code == _FAILED:
            raise NonsenseError(_NAME, "could not convert: look at its supply")
        self._measured = True
        undefined = 3 - ((scratchpad[4] >> 5) & 3)
        code = code >> undefined << undefined
        return 625 * (code - 0x10000 if code & 0x8000 else code)

    async def _scratchpad(self) -> bytearray:
        await self._command(_READ_SCRATCHPAD)
        data = bytearray(9)
        for index in range(9):
            data[index] = self._bus.readbyte()
            if index % _BURST:
                await asyncio.sleep(0)
        if data == b"\xff" * 9:
            raise AbsentError(_NAME, "nobody answers to " + _words(self._rom))
        if not any(data) or _crc8(data):
            raise DamagedError(_NAME, "wrong check sum: look at the pull-up and the cable")
        return data

    async def _command(self, command: int) -> None:
        await self._reset()
        await self._send(bytes((_MATCH_ROM,)) + self._rom + bytes((command,)))

    async def _send(self, data: bytes) -> None:
        for index, byte in enumerate(data):
            self._bus.writebyte(byte)
            if index % _BURST:
                await asyncio.sleep(0)

    async def _reset(self) -> None:
        if not self._bus.reset():
            raise AbsentError(_NAME, "nobody answers on the line")
        await asyncio.sleep(0)

    async def _only(self) -> bytes:
        """Return the ROM of the only DS18B20 there."""
        roms = await self._search()
        own = [rom for rom in roms if rom[0] in _FAMILIES]
        if len(own) == 1:
            return own[0]
        found = ", ".join([_words(rom) for rom in roms])
        if own:
            raise AbsentError(_NAME, "several on the line, set rom to one of: " + found)
        raise AbsentError(_NAME, "on the line is only " + found + ", which is of another type")

    async def _search(self) -> "list[bytes]":
        """Return all ROMs on the line, at most 16 (Maxim's application note 187)."""
        roms: list[bytes] = []
        rom = bytearray(8)
        fork = 64
        while fork >= 0 and len(roms) < _MOST_CHIPS:
            fork = await self._pass(rom, fork)
            if _crc8(rom):
                raise DamagedError(_NAME, "wrong check sum of a ROM: look at pull-up and cable")
            roms.append(bytes(rom))
        return roms

    async def _pass(self, rom: bytearray, fork: int) -> int:
        """Make `rom` the next one: as it is up to bit `fork`, there 1, 0 at forks after it.

        Returns the last fork at which it is 0, -1 when there is none.
        """
        await self._reset()
        self._bus.writebyte(_SEARCH_ROM)
        next_fork = -1
        for bit in range(64):
            mask = 1 << (bit & 7)
            level, inverse = self._bus.readbit(), self._bus.readbit()
            if level and inverse:
                raise DamagedError(_NAME, "a chip fell silent: look at the pull-up and the cable")
            if level == inverse:
                level = bit == fork or (bit < fork < 64 and rom[bit >> 3] & mask)
                next_fork = next_fork if level else bit
            rom[bit >> 3] = (rom[bit >> 3] & ~mask) | (mask if level else 0)
            self._bus.writebit(1 if level else 0)
            if bit % 4 == 3:
                await asyncio.sleep(0)
        return next_fork


def _rom(options: "Fields") -> bytes:
    """Return the ROM that is set; SettingsError when it can be none."""
    text = options.text("rom", 16)
    try:
        rom = unhexlify(text)
    except ValueError:
        rom = b""
    if len(rom) != 8 or _crc8(rom):
        raise SettingsError(options.name("rom"), repr(text) + " is no ROM: a digit is wrong")
    if rom[0] not in _FAMILIES:
        raise SettingsError(
            options.name("rom"), repr(text) + " is no DS18B20: that begins with 28"
        )
    return rom


def _words(rom: bytes) -> str:
    return hexlify(rom).decode()


def _crc8(data: "bytes | bytearray") -> int:
    """Return the remainder, 0 with the right check byte at the end.

    Polynomial X8 + X5 + X4 + 1, section CRC Generation. A ROM is checked before there is a bus.
    """
    remainder = 0
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x8C if remainder & 1 else 0)
    return remainder
