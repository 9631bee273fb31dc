"""Sensirion SHT40, SHT41, SHT43, SHT45: temperature and humidity.

Datasheet: Sensirion SHT4x, version 6.5, April 2024
Wiring: VDD 1.08..3.6 V, GND, SDA and SCL with pull-ups of 10 kohm; no address pin, see the type
Options:
    address: 68 (SHT40-AD1B and most others), 69 (-BD1B), 70 (-CD1B)
    precision: "high" (8.3 ms), "medium" (4.5 ms) or "low" (1.6 ms); "high" when not given
    heater_every_s: 60..604800, so often its heater drives moisture out for 1 s; 0 (never) else
    heater_mw: 200, 110 or 20, the heater's power; 200 when not given, which needs 100 mA at 3.3 V
Limits: -40..125 Cel, +-0.2 K (SHT45 +-0.1 K); 0..100 %RH, +-1.8 %RH (SHT45 +-1.0 %RH); after
    weeks above 80 %RH it reads a few %RH too much, which the heater mends; a reading comes before
    each pulse, none in the 32 s after it; above 65 Cel there is no pulse
Power: 320 uA for 8.3 ms a measurement, 0.08 uA asleep
"""

import asyncio
import time

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import DamagedError, NonsenseError, SettingsError, WarmingError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.fields import Fields

_BLANK = const(0x8000)
_HOTTEST = const(6500)
_LEAST_S = const(60)
_MOST_S = const(604800)
# The pulse takes 1.1 s at most; then five times the 6 s in which humidity follows to 63 %.
_COOLING_S = const(32)


class Sht4x:
    """One command, one answer of two values, each with its check sum."""

    BUS = "i2c"
    STUCK_S = 3600
    GIVES = (
        Quantity("temperature", "Cel", -2, -4000, 12500),
        Quantity("humidity", "%RH", -2, 0, 10000),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._address = options.number("address", 0x44, 0x46, 0x44)
        self._command, self._wait_s = _precision(options)
        self._heater = _heater(options)
        self._every_s = options.number("heater_every_s", 0, _MOST_S, 0)
        if 0 < self._every_s < _LEAST_S:
            raise SettingsError(options.name("heater_every_s"), "must be 0, or 60 and more")
        self._since_s: int | None = None
        self._hot = False
        self.now_s: Callable[[], float] = time.time
        """Seconds since some moment; the heater's schedule goes by it."""

    async def measure(self) -> "list[int | None]":
        """Return temperature and humidity; a pulse of the heater begins after them."""
        due = self._every_s > 0 and self._heater_is_due()
        self._bus.writeto(self._address, self._command)
        await asyncio.sleep(self._wait_s)
        data = self._bus.readfrom(self._address, 6)
        temperature, humidity = _word(data, 0), _word(data, 3)
        if temperature == humidity == _BLANK:
            # What a chip says that a discharge has destroyed.
            raise NonsenseError("sht4x", "it gives no values; replace it")
        values = [celsius(temperature), relative(humidity)]
        if due and values[0] <= _HOTTEST:
            self._bus.writeto(self._address, self._heater)
            self._since_s = int(self.now_s())
            self._hot = True
        return list(values)

    def _heater_is_due(self) -> bool:
        """Whether the time has come for a pulse; WarmingError just after one."""
        now_s = int(self.now_s())
        if self._since_s is None or now_s < self._since_s:
            # The first time, or the clock was set back.
            self._since_s = now_s
        if self._hot and now_s - self._since_s < _COOLING_S:
            raise WarmingError("sht4x", "it cools down after its heater")
        self._hot = False
        return now_s - self._since_s >= self._every_s


def _precision(options: "Fields") -> "tuple[bytes, float]":
    """Return the command, and the seconds after which the answer is there (section 4.5)."""
    name = options.text("precision", 16, "high")
    if name == "high":
        return b"\xfd", 0.012
    if name == "medium":
        return b"\xf6", 0.008
    if name == "low":
        return b"\xe0", 0.004
    raise SettingsError(options.name("precision"), 'must be "high", "medium" or "low"')


def _heater(options: "Fields") -> bytes:
    """Return the command for a pulse of 1 s (section 4.9)."""
    power_mw = options.number("heater_mw", 20, 200, 200)
    if power_mw == 200:
        return b"\x39"
    if power_mw == 110:
        return b"\x2f"
    if power_mw == 20:
        return b"\x1e"
    raise SettingsError(options.name("heater_mw"), "must be 20, 110 or 200")


def celsius(raw: int) -> int:
    """Return hundredths of a degree: -45 + 175 raw / 65535 (section 4.6)."""
    return (17500 * raw + 32767) // 65535 - 4500


def relative(raw: int) -> int:
    """Return hundredths of %RH: -6 + 125 raw / 65535, cropped to 0..100 %RH (section 4.6)."""
    return min(max((12500 * raw + 32767) // 65535 - 600, 0), 10000)


def _word(data: bytes, offset: int) -> int:
    """Return two bytes whose check sum follows them; DamagedError when it is another."""
    if crc8(data[offset : offset + 2]) != data[offset + 2]:
        raise DamagedError("sht4x", "a check sum is wrong")
    return data[offset] << 8 | data[offset + 1]


def crc8(data: bytes) -> int:
    """Return the check sum: polynomial 0x31, first 0xff (section 4.4)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x31 if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc
