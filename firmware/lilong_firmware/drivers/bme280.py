"""Bosch BME280: temperature, pressure and humidity.

Datasheet: Bosch Sensortec BME280, revision 1.24, February 2024
Wiring: VDD and VDDIO 1.71..3.6 V, GND, CSB to VDDIO, SDI (SDA) and SCK (SCL) with pull-ups of
    4.7 kohm, SDO to GND or VDDIO gives the address
Options:
    address: 118 (SDO to GND, when not given) or 119 (SDO to VDDIO)
    oversampling_t: 1, 2, 4, 8 or 16, conversions for one temperature; 1 when not given
    oversampling_p: 0 (no pressure), 1, 2, 4, 8 or 16; 1 when not given
    oversampling_h: 0 (no humidity), 1, 2, 4, 8 or 16; 1 when not given
    filter: 0 (none, when not given), 2, 4, 8 or 16, how slowly temperature and pressure follow
Limits: -40..85 Cel, +-1.0 K, and 1 K too warm near other parts; 300..1100 hPa, +-1.0 hPa;
    0..100 %RH, +-3 %RH; it has no check sums, a bad line may go unnoticed
Power: 440 uA for 8 ms a measurement, 0.1 uA asleep
"""

import asyncio
from struct import unpack

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_ID = const(0xD0)
_BME280 = const(0x60)
_BMP280 = const(0x58)
_CALIBRATION = const(0x88)
_CALIBRATION_H = const(0xE1)
_CTRL_HUM = const(0xF2)
_STATUS = const(0xF3)
_CTRL_MEAS = const(0xF4)
_CONFIG = const(0xF5)
_FORCED = const(0x01)
_COPYING = const(0x01)
_MEASURING = const(0x08)
_SKIPPED = const(0x80000)
_SKIPPED_H = const(0x8000)
_POLLS = const(10)


class Bme280:
    """It sleeps; each measurement is forced, after its settings were written once more."""

    BUS = "i2c"
    STUCK_S = 3600
    GIVES = (
        Quantity("temperature", "Cel", -2, -4000, 8500),
        Quantity("pressure", "Pa", -1, 300000, 1100000),
        Quantity("humidity", "%RH", -2, 0, 10000),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._address = options.number("address", 0x76, 0x77, 0x76)
        t = options.choice("oversampling_t", (1, 2, 4, 8, 16), 1) + 1
        p = options.choice("oversampling_p", (0, 1, 2, 4, 8, 16), 1)
        h = options.choice("oversampling_h", (0, 1, 2, 4, 8, 16), 1)
        self._humidity = h
        self._control = t << 5 | p << 2
        self._filter = options.choice("filter", (0, 2, 4, 8, 16), 0) << 2
        self._wait_s = longest_us(1 << t - 1, 1 << p >> 1, 1 << h >> 1) / 1000000
        self._calibration: _Calibration | None = None

    async def measure(self) -> "list[int | None]":
        """Return temperature, pressure and humidity, None for what is skipped."""
        try:
            calibration = self._calibration or await self._start()
            return _values(calibration, await self._force())
        except OSError:
            self._calibration = None
            raise

    async def _start(self) -> "_Calibration":
        """Read what the factory wrote into the chip; twice, as it has no check sum."""
        identity = self._read(_ID, 1)[0]
        if identity != _BME280:
            raise _stranger(identity)
        await self._idle(_COPYING)
        data = self._read(_CALIBRATION, 26) + self._read(_CALIBRATION_H, 7)
        await asyncio.sleep(0)
        if data != self._read(_CALIBRATION, 26) + self._read(_CALIBRATION_H, 7):
            raise DamagedError("bme280", "its calibration reads differently each time")
        self._calibration = _Calibration(data)
        return self._calibration

    async def _force(self) -> bytes:
        """Measure once, return the registers of the result (sections 3.3.3, 5.4)."""
        self._write(_CTRL_HUM, self._humidity)
        self._write(_CONFIG, self._filter)
        self._write(_CTRL_MEAS, self._control | _FORCED)
        await asyncio.sleep(self._wait_s)
        await self._idle(_MEASURING)
        data = self._read(_CTRL_HUM, 13)
        if data[0] & 7 != self._humidity or data[2] != self._control:
            raise DamagedError("bme280", "its settings do not hold")
        return data[5:]

    async def _idle(self, busy: int) -> None:
        for _ in range(_POLLS):
            if not self._read(_STATUS, 1)[0] & busy:
                return
            await asyncio.sleep(0.002)
        raise DamagedError("bme280", "it does not become ready")

    def _read(self, register: int, count: int) -> bytes:
        return bytes(self._bus.readfrom_mem(self._address, register, count))

    def _write(self, register: int, value: int) -> None:
        self._bus.writeto_mem(self._address, register, bytes((value,)))


class _Calibration:
    """The compensation of section 4.2.3: temperature and humidity in 32 bits, pressure in 64.

    `data` are the registers 0x88..0xa1 and 0xe1..0xe7. Python's integers never overflow, so that
    what would in C comes out beyond the range of its quantity.
    """

    def __init__(self, data: bytes) -> None:
        words = unpack("<HhhHhhhhhhhhxB", data[:26])
        self.t1, self.t2, self.t3 = words[:3]
        self.p = words[3:12]
        self.h1 = words[12]
        self.h2, self.h3, high4, shared, high5, self.h6 = unpack("<hBbBbb", data[26:])
        self.h4 = high4 * 16 + (shared & 15)
        self.h5 = high5 * 16 + (shared >> 4)
        if self.t1 in {0, 0xFFFF} or self.p[0] in {0, 0xFFFF}:
            raise DamagedError("bme280", "its calibration is blank")

    def fine(self, raw: int) -> int:
        """Return the temperature in 1 / 5120 degree, which the other two need."""
        coarse = ((raw >> 3) - (self.t1 << 1)) * self.t2 >> 11
        offset = (raw >> 4) - self.t1
        return coarse + ((offset * offset >> 12) * self.t3 >> 14)

    def pressure(self, raw: int, fine: int) -> int:
        """Return 1 / 256 Pa; DamagedError where the calibration divides by nothing."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.p
        warm = fine - 128000
        offset = warm * warm * p6 + (warm * p5 << 17) + (p4 << 35)
        slope = (warm * warm * p3 >> 8) + (warm * p2 << 12)
        slope = ((1 << 47) + slope) * p1 >> 33
        if slope == 0:
            raise DamagedError("bme280", "its calibration is blank")
        linear = (((1048576 - raw) << 31) - offset) * 3125 // slope
        square = p9 * (linear >> 13) * (linear >> 13) >> 25
        return (linear + square + (p8 * linear >> 19) >> 8) + (p7 << 4)

    def humidity(self, raw: int, fine: int) -> int:
        """Return 1 / 1024 %RH, cropped to 0..100 %RH."""
        warm = fine - 76800
        linear = (raw << 14) - (self.h4 << 20) - self.h5 * warm + 16384 >> 15
        slope = (warm * self.h6 >> 10) * ((warm * self.h3 >> 11) + 32768) >> 10
        value = linear * ((slope + 2097152) * self.h2 + 8192 >> 14)
        value -= ((value >> 15) * (value >> 15) >> 7) * self.h1 >> 4
        return min(max(value, 0), 419430400) >> 12


def longest_us(t: int, p: int, h: int) -> int:
    """Return how long so many conversions of each take at most (section 9.1)."""
    longest = 1250 + 2300 * t
    if p:
        longest += 2300 * p + 575
    if h:
        longest += 2300 * h + 575
    return longest


def _values(calibration: "_Calibration", data: bytes) -> "list[int | None]":
    """Return what the registers 0xf7..0xfe say."""
    raw = data[3] << 12 | data[4] << 4 | data[5] >> 4
    if raw == _SKIPPED:
        raise NonsenseError("bme280", "it has measured nothing")
    fine = calibration.fine(raw)
    pressure, humidity = None, None
    raw = data[0] << 12 | data[1] << 4 | data[2] >> 4
    if raw != _SKIPPED:
        pressure = (calibration.pressure(raw, fine) * 10 + 128) >> 8
    raw = data[6] << 8 | data[7]
    if raw != _SKIPPED_H:
        humidity = (calibration.humidity(raw, fine) * 100 + 512) >> 10
    return [fine * 5 + 128 >> 8, pressure, humidity]


def _stranger(identity: int) -> "AbsentError | DamagedError":
    if identity == _BMP280:
        return AbsentError("bme280", "this is a BMP280, which has no humidity")
    if identity in {0, 0xFF}:
        return DamagedError("bme280", "its lines stand still")
    return AbsentError("bme280", "another chip answers, id " + str(identity))
