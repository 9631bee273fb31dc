"""Any maker's transmitter with 4..20 mA (pressure, level, flow): its quantity, and the current.

Datasheet: NAMUR NE 43, 2003: 3.8..20.5 mA measure, up to 3.6 mA and from 21 mA on tell a failure
Wiring: loop supply (24 V) to the transmitter's plus, its minus to the pin and the shunt, the shunt
    to ground; shunt 100 ohm 0.1 %, then 1 kohm to the pin and 100 nF to ground; a pin of ADC1
Options:
    pin: number of the pin
    shunt_mohm: the shunt in thousandths of an ohm
    samples: how many, about 1 ms apart; 40 are two periods of 50 Hz mains
    name: what the quantity is called
    unit: its SenML unit
    exponent: the power of ten of its scale
    low: its value at 4 mA, scaled by the exponent
    high: its value at 20 mA, scaled by the exponent; may be less than low
Gives: the quantity under its name, and current in A with exponent -6
Limits: 3.8..20.5 mA is linear, what lies between that and a failure counts as 3.8 or 20.5 mA; the
    ADC of an ESP32 is good for +-60 mV, which is 0.6 mA at 100 ohm: set shunt_mohm so that a known
    current reads right; with more than 116 ohm a failure at 21 mA is beyond its 2.45 V
Power: 0 uA always
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, NonsenseError, SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "current_loop"
_OWN_NAMES = ("current", "status")
_FAILED_LOW_UA = const(3600)
_LOWEST_UA = const(3800)
_HIGHEST_UA = const(20500)
_FAILED_HIGH_UA = const(21000)
_MOST = const(1000000000)


def _rounded(dividend: int, divisor: int) -> int:
    """Return the quotient, rounded to the nearest; the divisor is positive."""
    return (2 * dividend + divisor) // (2 * divisor)


class CurrentLoop:
    """The mean of the middle half of many samples: neither spikes nor one step of the ADC."""

    BUS = "pins"

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._number = options.number("pin", 0, 99)
        self._shunt_mohm = options.number("shunt_mohm", 10000, 145000, 100000)
        self._samples = options.number("samples", 1, 255, 40)
        self._low = options.number("low", -_MOST, _MOST)
        self._high = options.number("high", -_MOST, _MOST)
        if self._low == self._high:
            raise SettingsError(options.name("high"), "must not be the same as low")
        name = options.text("name", 32)
        if name in _OWN_NAMES:
            raise SettingsError(options.name("name"), "is taken; give the quantity another")
        unit, exponent = options.text("unit", 32), options.number("exponent", -12, 6)
        ends = sorted((self._scaled(_LOWEST_UA), self._scaled(_HIGHEST_UA)))
        self.GIVES = (
            Quantity(name, unit, exponent, ends[0], ends[1]),
            Quantity("current", "A", -6, _FAILED_LOW_UA, _FAILED_HIGH_UA),
        )
        self._adc: Any = None

    async def measure(self) -> "list[int | None]":
        """Return [quantity, current]; AbsentError at 3.6 mA or less, NonsenseError from 21 mA."""
        if self._adc is None:
            self._adc = self._bus.adc(self._number)
        current_ua = await self._current_ua()
        if current_ua <= _FAILED_LOW_UA:
            raise AbsentError(_NAME, str(current_ua) + " uA: the loop is broken or says so")
        if current_ua >= _FAILED_HIGH_UA:
            raise NonsenseError(_NAME, str(current_ua) + " uA: a short circuit, or it says so")
        return [self._scaled(min(max(current_ua, _LOWEST_UA), _HIGHEST_UA)), current_ua]

    async def _current_ua(self) -> int:
        samples = []
        for _ in range(self._samples):
            samples.append(self._adc.read_uv())
            await asyncio.sleep(0.001)
        samples.sort()
        quarter = len(samples) // 4
        middle = samples[quarter : len(samples) - quarter]
        return _rounded(sum(middle) * 1000, len(middle) * self._shunt_mohm)

    def _scaled(self, current_ua: int) -> int:
        return self._low + _rounded((self._high - self._low) * (current_ua - 4000), 16000)
