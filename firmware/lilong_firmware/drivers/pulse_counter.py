"""Any maker's pulse output (rain gauge, water or energy meter, anemometer): count, total, rate.

Datasheet: none; common ones: rain 0.2 mm a tip, water meters 1 l a pulse, energy meters with S0
    output (IEC 62053-31, pulses of at least 30 ms) 1 Wh a pulse
Wiring: contact or open collector between the pin and ground; S0: minus to ground, plus to the pin
Options:
    pin: number of the pin
    pull: "up", "down", or "" for a resistor of your own
    name: what the total is called
    unit: SenML unit of the total; that of the rate has /s behind it
    exponent: of the total; that of the rate is 6 less
    value: of one pulse, scaled by the exponent: 2 at -1 for 0.2 mm
Gives: count (pulses since the start), the total under its name, and rate
Limits: counts falling edges; all three begin anew at each start of the node, nothing is kept: a
    meter's own reading is its start plus the totals of all runs; a contact bounces longer than
    the filter of the chip's counter reaches and wants 100 nF beside it; the first measurement
    has no rate
Power: 73 uA always
"""

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import SettingsError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_OWN_NAMES = ("count", "rate", "status")
_HIGHEST = 1 << 62


def _gives(name: str, unit: str, exponent: int) -> "tuple[Quantity, ...]":
    return (
        Quantity("count", "count", 0, 0, _HIGHEST),
        Quantity(name, unit, exponent, 0, _HIGHEST),
        Quantity("rate", unit + "/s", exponent - 6, 0, _HIGHEST),
    )


_PULLS = ("up", "down", "")


class PulseCounter:
    """The chip counts; this reads, and divides by the time since it last read."""

    BUS = "pins"
    GIVES = _gives("total", "count", 0)

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._number = options.number("pin", 0, 99)
        self._pull = _PULLS[options.choice("pull", _PULLS, "up")]
        name = options.text("name", 32, "total")
        if name in _OWN_NAMES:
            raise SettingsError(options.name("name"), "is taken; give the total another")
        unit = options.text("unit", 30, "count")
        self.GIVES = _gives(name, unit, options.number("exponent", -12, 6, 0))
        self._value = options.number("value", 1, 1000000, 1)
        self._counter: Any = None
        self._last: Any = None

    async def measure(self) -> "list[int | None]":
        """Return [count, total, rate since the last measurement]."""
        if self._counter is None:
            self._counter = self._bus.counter(self._number, self._pull)
        now_ms = self._bus.now_ms()
        count = self._counter.value()
        return [count, count * self._value, self._rate(count, now_ms)]

    def _rate(self, count: int, now_ms: "Any") -> "int | None":
        last, self._last = self._last, (count, now_ms)
        if last is None:
            return None
        elapsed_ms = self._bus.passed_ms(now_ms, last[1])
        if elapsed_ms <= 0:
            return None
        # A thousand for the milliseconds, a million for the finer exponent.
        scaled = (count - last[0]) * self._value * 1000000000
        return int((2 * scaled + elapsed_ms) // (2 * elapsed_ms))
