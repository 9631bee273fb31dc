"""ST LIS3DH: acceleration, vibration and tilt.

Datasheet: ST LIS3DH, DocID17530 revision 2, December 2016; application note AN3308 revision 3
Wiring: VDD and VDD_IO 1.71..3.6 V, GND, CS to VDD_IO, SDA and SCL with pull-ups of 4.7 kohm,
    SA0 to GND or VDD_IO gives the address; screwed down firmly, away from soft mounts
Options:
    address: 24 (SA0 to GND, when not given) or 25 (SA0 to VDD_IO)
    range_g: 2, 4, 8 or 16, the largest acceleration in g; 2 when not given
    rate: 10, 25, 50, 100, 200 or 400 samples a second; 100 when not given
    motion_mg: 1..16000, a change of so much on an axis asks for a measurement at once; 0 (never)
    reference: [x, y, z], whole numbers, as they are where tilt is 0; [0, 0, 1] when not given
Limits: a measurement sees the last 32 samples at most (0.32 s of 100 a second), and what is
    between two only by motion_mg, in steps of 16 mg at 2 g and 186 mg at 16 g; steps of 4 mg at
    2 g, 48 mg at 16 g (its FIFO keeps 10 bits); zero is 40 mg wrong, and so tilt 0.04 rad unless
    reference is what it gave itself when it was mounted; tilt only where the mean is 0.5..1.5 g;
    a value beyond the range stands at the range; first reading after 0.4 s, at 10 a second 1.8 s
Power: 20 uA always
"""

import asyncio
from struct import unpack_from

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, DamagedError, SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.fields import Fields

_WHO_AM_I = const(0x0F)
_LIS3DH = const(0x33)
_CTRL_REG1 = const(0x20)
_REFERENCE = const(0x26)
_OUT_X_L = const(0x28)
_FIFO_CTRL = const(0x2E)
_FIFO_SRC = const(0x2F)
_INT1_CFG = const(0x30)
_INT1_SRC = const(0x31)
_INT1_THS = const(0x32)
# Set in a register's number: the next byte is of the next register.
_ON = const(0x80)
_OVERRUN = const(0x40)
_EMPTY = const(0x20)
_ACTIVE = const(0x40)
_STREAM = b"\x80"
_BYPASS = b"\x00"
_ANY_AXIS_HIGH = b"\x2a"

_DEPTH = const(32)
_SAMPLE_BYTES = const(6)
# So many at a time, lest the bus is held for more than 2 ms at 100 kHz.
_SAMPLES_AT_ONCE = const(3)
_SETTLING = const(8)
_MOST_REFERENCE = const(200000)
# 1 mg is 9.80665 mm/s2; nanometres a second squared keep it whole.
_NM_PER_MG = const(9806650)
_NM_PER_MM = const(1000000)
_PI_US = const(3141593)
_RATES = (10, 25, 50, 100, 200, 400)


class Lis3dh:
    """Runs all the time into its own FIFO, which each measurement empties.

    rms is the root mean square of what remains without the mean of each axis, over all three;
    peak is the longest such remainder of a single sample.
    """

    BUS = "i2c"
    GIVES = (
        Quantity("x", "m/s2", -3, -242000, 242000),
        Quantity("y", "m/s2", -3, -242000, 242000),
        Quantity("z", "m/s2", -3, -242000, 242000),
        Quantity("rms", "m/s2", -3, 0, 420000),
        Quantity("peak", "m/s2", -3, 0, 840000),
        Quantity("tilt", "rad", -3, 0, 3142),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._address = options.number("address", 0x18, 0x19, 0x18)
        scale = options.choice("range_g", (2, 4, 8, 16), 2)
        rate = options.choice("rate", _RATES, 100)
        self._rate = _RATES[rate]
        self._step_mg = (1, 2, 4, 12)[scale]
        motion_mg = options.number("motion_mg", 0, 16000, 0)
        self._threshold = _threshold(motion_mg, (16, 32, 62, 186)[scale])
        self._reference = _reference(options)
        # The rate and all axes; the high-pass for motion alone; no pin; whole samples, the range,
        # 12 bits; FIFO, motion is kept until it was read.
        self._controls = bytes((rate + 2 << 4 | 7, 1, 0, 0x88 | scale << 4, 0x48, 0))
        self._started = False
        self._buffer = bytearray(_DEPTH * _SAMPLE_BYTES)

    async def measure(self) -> "list[int | None]":
        """Return the means, rms, peak and tilt of the latest samples."""
        try:
            if not (self._started and self._holds()):
                await self._start()
            return self._values(await self._drain())
        except OSError:
            self._started = False
            raise

    async def watch(self, changed: "Callable[[], None]") -> None:
        """Look every 0.1 s whether it has moved by motion_mg."""
        while True:
            await asyncio.sleep(0.1 if self._threshold else 3600.0)
            if self._started and self._moved():
                changed()

    def _moved(self) -> bool:
        try:
            return self._read(_INT1_SRC, 1)[0] & _ACTIVE != 0
        except OSError:
            self._started = False
            return False

    def _holds(self) -> bool:
        """Whether it has its settings; without supply, however shortly, they are lost."""
        return self._read(_CTRL_REG1 | _ON, 6) == self._controls

    async def _start(self) -> None:
        """Set it up; the FIFO begins when the samples are good (table 11: 7 later)."""
        self._started = False
        identity = self._read(_WHO_AM_I, 1)[0]
        if identity != _LIS3DH:
            raise _stranger(identity)
        self._write(_FIFO_CTRL, _BYPASS)
        self._write(_CTRL_REG1 | _ON, self._controls)
        self._write(_INT1_THS | _ON, bytes((self._threshold, 0)))
        self._write(_INT1_CFG, _ANY_AXIS_HIGH if self._threshold else b"\x00")
        if not self._holds():
            raise DamagedError("lis3dh", "its settings do not hold")
        await asyncio.sleep(_SETTLING / self._rate)
        self._write(_FIFO_CTRL, _STREAM)
        # Reading the one zeroes the high-pass, reading the other forgets the start.
        self._read(_REFERENCE, 1)
        self._read(_INT1_SRC, 1)
        await asyncio.sleep(min(1.0, _DEPTH / self._rate))
        self._started = True

    async def _drain(self) -> int:
        """Take what the FIFO holds into the buffer, return how many samples that are."""
        count = self._held()
        if count == 0:
            await asyncio.sleep(1.5 / self._rate)
            count = self._held()
        if count == 0:
            self._started = False
            raise DamagedError("lis3dh", "it takes no samples")
        view = memoryview(self._buffer)
        for first in range(0, count, _SAMPLES_AT_ONCE):
            end = min(first + _SAMPLES_AT_ONCE, count)
            part = view[first * _SAMPLE_BYTES : end * _SAMPLE_BYTES]
            self._bus.readfrom_mem_into(self._address, _OUT_X_L | _ON, part)
            await asyncio.sleep(0)
        return count

    def _held(self) -> int:
        """Return how many samples wait; after an overrun they are the latest 32."""
        source = self._read(_FIFO_SRC, 1)[0]
        if source & _OVERRUN:
            return _DEPTH
        if source & _EMPTY:
            return 0
        return max(1, source & 0x1F)

    def _values(self, count: int) -> "list[int | None]":
        """Return what GIVES name; all sums are exact, in steps times samples."""
        sums, squares = [0, 0, 0], 0
        for index in range(count):
            sample = self._sample(index)
            for axis in range(3):
                sums[axis] += sample[axis]
                squares += sample[axis] * sample[axis]
        spread = count * squares - _dot(sums, sums)
        peak = max([self._remainder(index, sums, count) for index in range(count)])
        means: list[int | None] = [self._scaled(total, count) for total in sums]
        rms = self._length(spread, count)
        return means + [rms, self._length(peak, count), self._tilt(sums, count)]

    def _sample(self, index: int) -> "tuple[int, int, int]":
        """Return the steps of three axes: 12 bits at the left of a word (AN3308, 4.2.1)."""
        x, y, z = unpack_from("<3h", self._buffer, index * _SAMPLE_BYTES)
        return x >> 4, y >> 4, z >> 4

    def _remainder(self, index: int, sums: "list[int]", count: int) -> int:
        """Return the square of count times what a sample is off the mean."""
        sample = self._sample(index)
        off = [sample[axis] * count - sums[axis] for axis in range(3)]
        return _dot(off, off)

    def _scaled(self, total: int, count: int) -> int:
        """Return steps / count in mm/s2, to the nearest."""
        divisor = count * _NM_PER_MM
        return (2 * total * self._step_mg * _NM_PER_MG + divisor) // (2 * divisor)

    def _length(self, square: int, count: int) -> int:
        """Return the root of steps2 / count2 in mm/s2, to the nearest."""
        factor = 2 * self._step_mg * _NM_PER_MG
        doubled = root(square * factor * factor // (count * _NM_PER_MM) ** 2)
        return (doubled + 1) // 2

    def _tilt(self, sums: "list[int]", count: int) -> "int | None":
        """Return the angle to the reference in mrad, None when gravity is not what it measures."""
        square = _dot(sums, sums) * self._step_mg * self._step_mg * 4
        one = 1000 * count
        if not one * one <= square <= 9 * one * one:
            return None
        (ax, ay, az), (bx, by, bz) = sums, self._reference
        cross = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
        return (angle_us(root(_dot(cross, cross)), _dot(sums, self._reference)) + 500) // 1000

    def _read(self, register: int, count: int) -> bytes:
        return bytes(self._bus.readfrom_mem(self._address, register, count))

    def _write(self, register: int, data: bytes) -> None:
        self._bus.writeto_mem(self._address, register, data)


def root(value: int) -> int:
    """Return the whole part of the square root of a number that is not negative."""
    guess = 1
    while guess * guess <= value:
        guess <<= 1
    while guess * guess > value:
        guess = guess + value // guess >> 1
    return guess


def angle_us(opposite: int, adjacent: int) -> int:
    """Return the angle at the side `adjacent` of a right triangle in urad, 0..pi.

    `opposite` is not negative, one of them is not 0. Within 60 urad of the truth: CORDIC with
    words that never leave the small integers of a device.
    """
    if adjacent < 0:
        return _PI_US - angle_us(opposite, -adjacent)
    while opposite < 0x80000 and adjacent < 0x80000:
        opposite, adjacent = opposite << 1, adjacent << 1
    while opposite > 0x100000 or adjacent > 0x100000:
        opposite, adjacent = opposite >> 1, adjacent >> 1
    angle = 0
    for turn, part in enumerate(_turns()):
        if opposite > 0:
            adjacent, opposite = adjacent + (opposite >> turn), opposite - (adjacent >> turn)
            angle += part
        else:
            adjacent, opposite = adjacent - (opposite >> turn), opposite + (adjacent >> turn)
            angle -= part
    return max(0, angle)


def _turns() -> "tuple[int, ...]":
    """Return the angles whose tangents are 1, 1/2, 1/4 ... in urad."""
    steep = (785398, 463648, 244979, 124355, 62419, 31240, 15624, 7812)
    return steep + (3906, 1953, 977, 488, 244, 122, 61, 31)


def _dot(a: "Any", b: "Any") -> int:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _threshold(motion_mg: int, step_mg: int) -> int:
    if motion_mg == 0:
        return 0
    return min(127, max(1, (motion_mg + step_mg // 2) // step_mg))


def _reference(options: "Fields") -> "list[int]":
    given = options.list("reference") if options.has("reference") else [0, 0, 1]
    whole = [
        value
        for value in given
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST_REFERENCE
    ]
    if len(given) != 3 or len(whole) != 3 or whole == [0, 0, 0]:
        problem = "must be three whole numbers of at most 200000, not all of them 0"
        raise SettingsError(options.name("reference"), problem)
    return whole


def _stranger(identity: int) -> "AbsentError | DamagedError":
    if identity in {0, 0xFF}:
        return DamagedError("lis3dh", "its lines stand still")
    return AbsentError("lis3dh", "another chip answers, id " + str(identity))
