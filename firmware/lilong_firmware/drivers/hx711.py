"""Avia HX711: weight by a load cell, or the counts of its bridge.

Datasheet: Avia Semiconductor HX711 (English, without date or revision)
Wiring: VDD 2.7..5.5 V, no higher than the pins of the node stand on DOUT; GND; DOUT and PD_SCK at
    two pins; the bridge at E+, E-, A+, A- (gain 128, 64) or B+, B- (gain 32). RATE low: 10 Hz
Options:
    dout: number of the pin at DOUT
    sck: number of the pin at PD_SCK
    gain: 128 (+-20 mV at 5 V), 64 (+-40 mV) or 32 (channel B, +-80 mV)
    samples: conversions whose median counts
    counts_per_kg: by how much a kilogram raises the counts; with it they become weight (kg, -3)
    zero: counts of the empty scale
Limits: 24 bit, of which 17 to 19 are free of noise; drift of the cell with temperature is not
    compensated; sampled one after the other, not for shocks; first reading after 0.8 s. Of the
    current 1500 uA are the chip's, the rest is for a bridge of 350 ohm
Power: 13000 uA for 800 ms a measurement, 1 uA asleep
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError, SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "hx711"
_BITS = const(24)
_HIGHEST = const(0x7FFFFF)
_LOWEST = const(-0x800000)
_POLL_MS = const(5)
_READY_POLLS = const(200)
_SETTLING = const(4)
_ATTEMPTS = const(3)
_ONES = const(0xFFF)


class Hx711:
    """Wakes chip and bridge, weighs, and switches both off.

    A frame whose last 12 bits are ones is taken again: so it looks when a clock pulse became
    longer than 60 us and the chip started anew in the middle of it.
    """

    BUS = "pins"
    GIVES: "tuple[Quantity, ...]" = (Quantity("counts", "count", 0, _LOWEST, _HIGHEST),)
    STUCK_S = 3600

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._numbers = options.number("dout", 0, 99), options.number("sck", 0, 99)
        self._pulses = 25 + options.choice("gain", (128, 32, 64), 128)
        self._samples = options.number("samples", 1, 15, 5)
        self._zero = options.number("zero", _LOWEST, _HIGHEST, 0)
        self._counts_per_kg = 0
        if options.has("counts_per_kg"):
            self._counts_per_kg = options.number("counts_per_kg", -16777216, 16777216)
            if not self._counts_per_kg:
                raise SettingsError(options.name("counts_per_kg"), "must not be 0")
            ends = sorted([self._grams(_LOWEST), self._grams(_HIGHEST)])
            self.GIVES = (Quantity("weight", "kg", -3, ends[0], ends[1]),)
        self._dout: Any = None
        self._sck: Any = None

    async def measure(self) -> "list[int | None]":
        """Return grams, or counts where it is not calibrated."""
        if self._sck is None:
            self._dout = self._bus.input(self._numbers[0], "up")
            self._sck = self._bus.output(self._numbers[1], 1)
        try:
            counts = await self._samples_taken()
        finally:
            # High for more than 60 us is power-down, also of the bridge.
            self._sck.value(1)
        counts.sort()
        median = counts[(len(counts) - 1) // 2]
        return [self._grams(median) if self._counts_per_kg else median]

    def _grams(self, counts: int) -> int:
        grams = 1000 * (counts - self._zero)
        return (2 * grams + self._counts_per_kg) // (2 * self._counts_per_kg)

    async def _samples_taken(self) -> "list[int]":
        for _ in range(_ATTEMPTS):
            counts = await self._burst()
            if counts:
                return counts
        raise DamagedError(_NAME, "clock pulses become longer than 60 us")

    async def _burst(self) -> "list[int]":
        """Start it anew and return its samples, none where it started anew by itself."""
        self._sck.value(1)
        await asyncio.sleep(0.003)
        self._sck.value(0)
        if self._pulses != 25:
            # It wakes with gain 128; the first frame chooses another, which has to settle.
            for _ in range(_SETTLING):
                await self._wait()
                self._frame()
        counts = []
        for _ in range(self._samples):
            await self._wait()
            frame = self._frame()
            if frame in {_HIGHEST, 0x800000}:
                raise NonsenseError(_NAME, "the bridge is out of range: overload or a broken wire")
            if frame & _ONES == _ONES:
                return []
            counts.append(frame - (frame >> 23 << 24))
        return counts

    async def _wait(self) -> None:
        """Return when there is a conversion: after 0.1 s, after waking 0.4 s (both typical)."""
        for _ in range(_READY_POLLS):
            if not self._dout.value():
                return
            await asyncio.sleep(_POLL_MS / 1000)
        raise AbsentError(_NAME, "no conversion in 1 s")

    def _frame(self) -> int:
        """Return the 24 bits; the pulses after them choose the gain of the next conversion."""
        clock, data = self._sck.value, self._dout.value
        frame = 0
        with self._bus.critical():
            for _ in range(_BITS):
                clock(1)
                clock(0)
                frame = frame << 1 | data()
            for _ in range(self._pulses - _BITS):
                clock(1)
                clock(0)
        if not data():
            # The 25th pulse raises it.
            raise DamagedError(_NAME, "DOUT stays low: look at PD_SCK and for a short circuit")
        return frame
