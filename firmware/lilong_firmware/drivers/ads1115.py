"""Texas Instruments ADS1115: voltages of four inputs, or differences between them.

Datasheet: Texas Instruments ADS1113, ADS1114, ADS1115, SBAS444E, December 2024
Wiring: VDD 2.0..5.5 V with 100 nF, GND, SDA and SCL with pull-ups of 1..10 kohm, ADDR to GND (72),
    VDD (73), SDA (74) or SCL (75); no input below GND or above VDD, ALERT stays open
Options:
    address: 72..75, by ADDR; 72 when not given
    inputs: list of what is measured: "a0".."a3" against GND, "a0_a1", "a0_a3", "a1_a3", "a2_a3"
    range_mv: 6144, 4096, 2048, 1024, 512 or 256, full scale (the gain); 4096 when not given
    rate: 8, 16, 32, 64, 128, 250, 475 or 860 conversions a second; 128 when not given
Gives: a voltage for each of `inputs`, under its name (a0, a0_a1), in V with exponent -6
Limits: 16 bits, +-0.15 % and 3 steps of range_mv / 32768; no voltage beyond VDD + 0.3 V whatever
    the range is; an input at its full scale gives no value; it loads a source with 6 Mohm at
    4096 and 2048 mV, 3 Mohm at 1024
Power: 150 uA for 32 ms a measurement, 0.5 uA asleep
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import DamagedError, NonsenseError, SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_CONVERSION = const(0)
_CONFIG = const(1)
_START = const(0x8000)
_IDLE = const(0x8000)
# One conversion, then asleep; no comparator (table 8-3).
_SINGLE_SHOT = const(0x0103)
_LOWEST = const(-0x8000)
_HIGHEST = const(0x7FFF)
_ATTEMPTS = const(3)
_POLLS = const(8)

# In the order of the multiplexer's codes.
INPUTS = ("a0_a1", "a0_a3", "a1_a3", "a2_a3", "a0", "a1", "a2", "a3")
_RANGES_MV = (6144, 4096, 2048, 1024, 512, 256)
_RATES = (8, 16, 32, 64, 128, 250, 475, 860)


class Ads1115:
    """One conversion for each input, then it sleeps.

    GIVES of an instance are the `inputs` of its options, in their order and under their names,
    in microvolts; those of the class are the four that stand in the place of a missing option.
    Several drivers may share one chip.
    """

    BUS = "i2c"
    GIVES = tuple([Quantity(name, "V", -6, -300000, 4096000) for name in INPUTS[4:]])

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._address = options.number("address", 0x48, 0x4B, 0x48)
        gain = options.choice("range_mv", _RANGES_MV, 4096)
        speed = options.choice("rate", _RATES, 128)
        range_mv, rate = _RANGES_MV[gain], _RATES[speed]
        self._settings = _SINGLE_SHOT | gain << 9 | speed << 5
        self._step = range_mv >> 8
        # The rate is 10 % wrong at most (section 5.5), and it wakes in 25 us (7.4.2.1).
        self._wait_s = 1.1 / rate + 0.0001
        self._inputs = _inputs(options)
        self.GIVES = tuple([_quantity(name, range_mv) for name in self._inputs])

    async def measure(self) -> "list[int | None]":
        """Return the voltages, None for an input beyond the range; NonsenseError if all are."""
        values: list[int | None] = []
        for name in self._inputs:
            code = await self._convert(INPUTS.index(name))
            values.append(self._microvolts(code) if _LOWEST < code < _HIGHEST else None)
        if values.count(None) == len(values):
            raise NonsenseError("ads1115", "every input is beyond range_mv")
        return values

    async def read_uv(self, channel: str) -> int:
        """Return the microvolts of one of INPUTS; NonsenseError when it is beyond the range."""
        code = await self._convert(INPUTS.index(channel))
        if not _LOWEST < code < _HIGHEST:
            raise NonsenseError("ads1115", channel + " is beyond range_mv")
        return self._microvolts(code)

    def _microvolts(self, code: int) -> int:
        """Return code * full scale / 32768 (table 7-3), to the nearest."""
        return code * self._step * 125 + 8 >> 4

    async def _convert(self, multiplexer: int) -> int:
        """Return the code of one conversion; another driver of this chip may have come between."""
        settings = self._settings | multiplexer << 12
        for _ in range(_ATTEMPTS):
            await self._idle()
            self._bus.writeto_mem(self._address, _CONFIG, _bytes(settings | _START))
            await asyncio.sleep(self._wait_s)
            if await self._idle() == settings | _IDLE:
                code = self._register(_CONVERSION)
                return code - 0x10000 if code & 0x8000 else code
        raise DamagedError("ads1115", "its settings do not hold")

    async def _idle(self) -> int:
        """Wait for the end of a conversion; return the register of the settings."""
        for _ in range(_POLLS):
            settings = self._register(_CONFIG)
            if settings & _IDLE:
                return settings
            await asyncio.sleep(self._wait_s)
        raise DamagedError("ads1115", "its conversion does not end")

    def _register(self, number: int) -> int:
        data = self._bus.readfrom_mem(self._address, number, 2)
        return data[0] << 8 | data[1]


def _bytes(word: int) -> bytes:
    return bytes((word >> 8, word & 0xFF))


def _quantity(name: str, range_mv: int) -> Quantity:
    """Against GND an input reads a little below zero at most, however the chip is offset."""
    lowest = -300000 if len(name) == 2 else -range_mv * 1000
    return Quantity(name, "V", -6, max(lowest, -range_mv * 1000), range_mv * 1000)


def _inputs(options: "Fields") -> "tuple[str, ...]":
    if not options.has("inputs"):
        return INPUTS[4:]
    names = options.list("inputs")
    for name in names:
        if name not in INPUTS or names.count(name) > 1:
            problem = "must hold, each once, some of " + ", ".join(INPUTS)
            raise SettingsError(options.name("inputs"), problem)
    return tuple(names)
