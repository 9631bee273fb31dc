"""STMicroelectronics VL53L1X: distance by the time of flight of light.

Datasheet: ST VL53L1X, DocID031281 revision 3; ULD driver user manual UM2510 revision 4
Wiring: VIN 2.6..5.5 V on a module with regulator (the chip: 2.6..3.5 V), GND, SDA and SCL with
    pull-ups of 2.2..4.7 kohm; XSHUT high, GPIO1 open. Always at address 41: one on a bus.
Options:
    mode: long (to 4 m, in the dark) or short (to 1.3 m, also in bright light)
    budget_ms: of one ranging: 15 (mode short only), 20, 33, 50, 100, 200 or 500
    samples: rangings whose median counts
    width: of the region of interest, in SPADs; 16 see 27 degrees
    height: of the region of interest
    centre: SPAD amid the region (UM2555); 199 where it is wider or higher than 10
Limits: 0.04..4 m +-20 mm (ambient light shortens it: 0.7 m in sunlight in mode long); no distance
    where nothing within reach reflects; a window in front falsifies it, it is not compensated;
    first reading after 0.3 s
Power: 16000 uA for 210 ms a measurement, 6 uA asleep
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, NonsenseError, SettingsError, WarmingError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "vl53l1x"
_ADDRESS = const(0x29)
_MODEL = const(0xEACC)
_CENTRE = const(199)

_SOFT_RESET = const(0x0000)
_VHV_LOOP_BOUND = const(0x0008)
_VHV_INIT = const(0x000B)
_FIRST_SETTING = const(0x002D)
_INTERRUPT = const(0x0030)
_PERIOD = const(0x006C)
_CLEAR = const(0x0086)
_START = const(0x0087)
_RESULT = const(0x0089)
_OSCILLATOR = const(0x00DE)
_FIRMWARE = const(0x00E5)
_MODEL_ID = const(0x010F)

_POLL_MS = const(5)
_BOOT_POLLS = const(20)
_FAR = const(0xFFFF)
_BUDGETS_MS = (15, 20, 33, 50, 100, 200, 500)


class Vl53l1x:
    """Ranges when asked, with a full calibration for temperature before, and sleeps in between."""

    BUS = "i2c"
    GIVES: "tuple[Quantity, ...]" = (
        Quantity("distance", "m", -3, 0, 5000),
        Quantity("signal", "1/s", 3, 0, 512000),
        Quantity("ambient", "1/s", 3, 0, 512000),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        short = bool(options.choice("mode", ("long", "short"), "long"))
        if short:
            self.GIVES = (Quantity("distance", "m", -3, 0, 1500),) + Vl53l1x.GIVES[1:]
        self._budget_ms = options.number("budget_ms", 15, 500, 100)
        if self._budget_ms not in _BUDGETS_MS[not short :]:
            problem = "must be 20, 33, 50, 100, 200 or 500, in mode short also 15"
            raise SettingsError(options.name("budget_ms"), problem)
        self._samples = options.number("samples", 1, 15, 1)
        width = options.number("width", 4, 16, 16)
        height = options.number("height", 4, 16, 16)
        centre = options.number("centre", 0, 255, _CENTRE)
        if max(width, height) > 10 and centre != _CENTRE:
            problem = "must be 199 where width or height is more than 10"
            raise SettingsError(options.name("centre"), problem)
        self._settings = _settings(short, self._budget_ms)
        self._settings[0x7F - _FIRST_SETTING] = centre
        self._settings[0x80 - _FIRST_SETTING] = (height - 1) << 4 | (width - 1)
        self._ready = False

    async def measure(self) -> "list[int | None]":
        """Return millimetres (None: nothing reflects) and light in kilocounts a second."""
        ready, self._ready = self._ready, False
        if not ready or not self._still_set():
            await self._initialise()
        await self._calibrate()
        results = await self._range(self._samples)
        self._ready = True
        return _summary(results)

    def _still_set(self) -> bool:
        """Whether it has its period yet, which it forgets when its power fails."""
        place = _PERIOD - _FIRST_SETTING
        return self._read(_PERIOD, 4) == bytes(self._settings[place : place + 4])

    async def _initialise(self) -> None:
        self._write(_SOFT_RESET, 0)
        await asyncio.sleep(0.001)
        self._write(_SOFT_RESET, 1)
        # It acknowledges nothing while it boots, for at most 1.2 ms.
        await asyncio.sleep(0.005)
        for _ in range(_BOOT_POLLS):
            if self._read(_FIRMWARE, 1)[0] & 1:
                break
            await asyncio.sleep(0.005)
        else:
            raise WarmingError(_NAME, "does not boot")
        model = self._word(_MODEL_ID)
        if model != _MODEL:
            raise AbsentError(_NAME, "another chip is at its address: model " + hex(model))
        self._set_period()
        self._bus.writeto_mem(_ADDRESS, _FIRST_SETTING, self._settings, addrsize=16)

    def _set_period(self) -> None:
        """From start to start 5 ms more than a ranging: with less every other one is left out."""
        period = (self._word(_OSCILLATOR) & 0x3FF) * (self._budget_ms + 5) * 43 // 40
        place = _PERIOD - _FIRST_SETTING
        self._settings[place : place + 4] = period.to_bytes(4, "big")

    async def _calibrate(self) -> None:
        """Adapt it to the temperature, which it does not follow while it sleeps (UM2510 7.41)."""
        self._write(_VHV_LOOP_BOUND, 0x81)
        self._write(_VHV_INIT, 0x92)
        await self._range(1)
        self._write(_VHV_LOOP_BOUND, 0x09)
        self._write(_VHV_INIT, 0x00)

    async def _range(self, count: int) -> "list[bytes]":
        """Return so many results of 17 bytes."""
        self._write(_CLEAR, 1)
        self._write(_START, 0x40)
        results = []
        try:
            for _ in range(count):
                await self._wait()
                results.append(self._read(_RESULT, 17))
                self._write(_CLEAR, 1)
        finally:
            self._write(_START, 0x00)
        return results

    async def _wait(self) -> None:
        for _ in range((2 * self._budget_ms + 100) // _POLL_MS):
            await asyncio.sleep(_POLL_MS / 1000)
            polarity, status = self._read(_INTERRUPT, 2)
            if status & 1 != polarity >> 4 & 1:
                return
        raise WarmingError(_NAME, "no ranging ends in twice its time")

    def _word(self, register: int) -> int:
        return int.from_bytes(self._read(register, 2), "big")

    def _read(self, register: int, count: int) -> bytes:
        return bytes(self._bus.readfrom_mem(_ADDRESS, register, count, addrsize=16))

    def _write(self, register: int, value: int) -> None:
        self._bus.writeto_mem(_ADDRESS, register, bytes((value,)), addrsize=16)


def _settings(short: bool, budget_ms: int) -> bytearray:  # noqa: FBT001 - one of two modes
    """Return registers 0x2D to 0x87, as SensorInit of ST's ULD driver (STSW-IMG009) sets them.

    Pads 0x2E and 0x2F are for pull-ups to 2.8 V or more. Then SetDistanceMode and
    SetTimingBudgetInMs, whose tables have no formula.
    """
    settings = bytearray(
        b"\x00\x01\x01\x01\x02\x00\x02\x08\x00\x08\x10\x01\x01\x00\x00\x00\x00\xff\x00\x0f"
        b"\x00\x00\x00\x00\x00\x20\x0b\x00\x00\x02\x0a\x21\x00\x00\x05\x00\x00\x00\x00\xc8"
        b"\x00\x00\x38\xff\x01\x00\x08\x00\x00\x01\xcc\x0f\x01\xea\x0d\x01\x68\x00\x80\x08"
        b"\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0f\x0d\x0e\x0e\x00"
        b"\x00\x02\xc7\xff\x9b\x00\x00\x00\x01\x00\x00"
    )
    if short:
        changes = ((0x4B, 0x14), (0x60, 0x07), (0x63, 0x05), (0x69, 0x38))
        for register, value in changes + ((0x78, 7), (0x79, 5), (0x7A, 6), (0x7B, 6)):
            settings[register - _FIRST_SETTING] = value
        timeouts = (0x1D0027, 0x51006E, 0xD6006E, 0x1AE01E8, 0x2E10388, 0x3E10496, 0x59105C1)
    else:
        timeouts = (0, 0x1E0022, 0x60006E, 0xAD00C6, 0x1CC01EA, 0x2D902F8, 0x48F04A4)
    pair = timeouts[_BUDGETS_MS.index(budget_ms)].to_bytes(4, "big")
    settings[0x5E - _FIRST_SETTING : 0x60 - _FIRST_SETTING] = pair[:2]
    settings[0x61 - _FIRST_SETTING : 0x63 - _FIRST_SETTING] = pair[2:]
    return settings


def _summary(results: "list[bytes]") -> "list[int | None]":
    distances = []
    for result in results:
        distance = _distance(result)
        if distance is not None:
            distances.append(distance)
    if not distances:
        status = results[-1][0] & 0x1F
        words = {6: ": too noisy", 7: ": beyond reach, wrapped around"}.get(status, "")
        raise NonsenseError(_NAME, "range status " + str(status) + words)
    distance = _median(distances)
    signal = _median([result[15] << 8 | result[16] for result in results])
    ambient = _median([result[7] << 8 | result[8] for result in results])
    return [None if distance == _FAR else distance, _kilocounts(signal), _kilocounts(ambient)]


def _distance(result: bytes) -> "int | None":
    """Return millimetres, _FAR where nothing within reach reflects, None for a failed ranging.

    Status 9 is a ranging, 8 one that is nearer than it can; 4 a signal that is too weak, 5 a
    target beyond the last distance (UM2510 chapter 5, there as 2 and 4).
    """
    status = result[0] & 0x1F
    if status in {8, 9}:
        return result[13] << 8 | result[14]
    return _FAR if status in {4, 5} else None


def _median(values: "list[int]") -> int:
    """Return the middle one; of an even number the lower one of the two."""
    return sorted(values)[(len(values) - 1) // 2]


def _kilocounts(rate: int) -> int:
    """From millions a second with 7 binary places."""
    return rate * 125 // 16
