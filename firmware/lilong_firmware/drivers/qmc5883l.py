"""QST QMC5883L: magnetic field in three axes.

Datasheet: QST QMC5883L, 1.0
Wiring: VDD 2.16..3.6 V (module with regulator: 3..5 V), GND, SDA and SCL with pull-ups of
    4.7 kohm; DRDY open. Always at address 13: one on a bus. Modules sold as GY-271 or HMC5883L may
    hold an HMC5883L (address 30) or a QMC5883P (address 44): those are others, and it says so.
Options:
    range_gauss: 2 or 8
    rate_hz: 10, 50, 100 or 200 conversions a second while it measures
    oversampling: 64, 128, 256 or 512; more is less noise and more current
    samples: conversions whose median counts
Limits: +-200 or +-800 uT, noise 0.2 uT, offset +-1 uT without calibration; iron and currents
    nearby add to it; first reading after 0.1 s (10 Hz). Its temperature is only relative: left out
Power: 100 uA for 110 ms a measurement, 3 uA asleep
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, NonsenseError, WarmingError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "qmc5883l"
_ADDRESS = const(0x0D)
_CHIP_ID = const(0xFF)

_DATA = const(0x00)
_STATUS = const(0x06)
_CONTROL = const(0x09)
_SET_RESET = const(0x0B)
_ID = const(0x0D)

_READY = const(0x01)
_OVERFLOW = const(0x02)
_POLL_MS = const(5)

_RATES_HZ = (10, 50, 100, 200)


class Qmc5883l:
    """Converts while it is asked, and stands by in between. The field is in units of 10 nT."""

    BUS = "i2c"
    GIVES: "tuple[Quantity, ...]" = (
        Quantity("x", "T", -8, -20000, 20000),
        Quantity("y", "T", -8, -20000, 20000),
        Quantity("z", "T", -8, -20000, 20000),
        Quantity("total", "T", -8, 0, 34642),
    )
    STUCK_S = 3600

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._scale = (5, 6)
        wide = options.choice("range_gauss", (2, 8), 2)
        if wide:
            # 3000 steps a gauss, instead of 12000: 10/3 times 10 nT.
            self._scale = (10, 3)
            self.GIVES = tuple(
                [Quantity(axis, "T", -8, -80000, 80000) for axis in ("x", "y", "z")]
            ) + (Quantity("total", "T", -8, 0, 138565),)
        rate = options.choice("rate_hz", _RATES_HZ, 10)
        ratio = options.choice("oversampling", (512, 256, 128, 64), 512)
        self._control = ratio << 6 | wide << 4 | rate << 2 | 1
        self._polls = 3 * 1000 // _RATES_HZ[rate] // _POLL_MS + 10
        self._samples = options.number("samples", 1, 15, 1)

    async def measure(self) -> "list[int | None]":
        """Return x, y, z and the length of the three."""
        self._check_chip()
        try:
            samples = await self._convert()
        finally:
            self._write(_CONTROL, 0x00)
        times, parts = self._scale
        field = []
        for axis in range(3):
            values = sorted([sample[axis] for sample in samples])
            median = values[(len(values) - 1) // 2]
            field.append((2 * times * median + parts) // (2 * parts))
        return [field[0], field[1], field[2], _length(field)]

    def _check_chip(self) -> None:
        """AbsentError where another chip answers, here or at the address of a lookalike."""
        try:
            chip_id = self._read(_ID, 1)[0]
        except OSError:
            self._name_lookalike()
            raise
        if chip_id != _CHIP_ID:
            problem = "the chip at its address is another: its id is " + str(chip_id) + ", not 255"
            raise AbsentError(_NAME, problem)

    def _name_lookalike(self) -> None:
        lookalikes = (("an HMC5883L", 0x1E, 0x0A, b"H43"), ("a QMC5883P", 0x2C, 0x00, b"\x80"))
        for name, address, register, sign in lookalikes:
            try:
                found = self._bus.readfrom_mem(address, register, len(sign))
            except OSError:
                continue
            if found == sign:
                raise AbsentError(_NAME, "it is " + name + ", which needs another driver")

    async def _convert(self) -> "list[list[int]]":
        """Return the raw axes of each sample."""
        self._write(_SET_RESET, 0x01)
        self._write(_CONTROL, self._control)
        # What was left over from before it stood by is not of now.
        self._read(_DATA, 6)
        samples = []
        for _ in range(self._samples):
            await self._wait()
            samples.append(_axes(self._read(_DATA, 6)))
        return samples

    async def _wait(self) -> None:
        """Return when there is a new conversion.

        DOR only tells that one in between was not read, which does this one no harm.
        """
        for _ in range(self._polls):
            await asyncio.sleep(_POLL_MS / 1000)
            status = self._read(_STATUS, 1)[0]
            if status & _READY:
                if status & _OVERFLOW:
                    raise NonsenseError(_NAME, "the field is out of its range")
                return
        raise WarmingError(_NAME, "it converts nothing in three times its interval")

    def _read(self, register: int, count: int) -> bytes:
        return bytes(self._bus.readfrom_mem(_ADDRESS, register, count))

    def _write(self, register: int, value: int) -> None:
        self._bus.writeto_mem(_ADDRESS, register, bytes((value,)))


def _axes(data: bytes) -> "list[int]":
    """Return three 16-bit integers, low byte first; NonsenseError for one at its limit."""
    axes = []
    for place in (0, 2, 4):
        value = data[place] | data[place + 1] << 8
        if value in {0x7FFF, 0x8000}:
            raise NonsenseError(_NAME, "the field is out of its range")
        axes.append(value - (value >> 15 << 16))
    return axes


def _length(field: "list[int]") -> int:
    """Return the root of the sum of the squares, rounded down; a device's floats are too short."""
    square = sum([value * value for value in field])
    root = sum([abs(value) for value in field])
    while root * root > square:
        root = (root + square // root) // 2
    return root
