"""Any maker's HC-SR04, HC-SR04P, JSN-SR04T or US-100 (pulse mode): distance by ultrasound.

Datasheet: Elecfreaks HC-SR04 user guide (trigger of 10 us, echo as a pulse, cycle of 60 ms, 38 ms
    when nothing echoes)
Wiring: VCC 5 V (HC-SR04P 3.3 V), GND, Trig; Echo of a module at 5 V over 1 kohm to the pin and
    2 kohm from there to ground
Options:
    trigger: number of the pin at Trig
    echo: number of the pin at Echo
    celsius: of the air; 10 K beside it are 1.7 % of the distance
    samples: how many, 60 ms apart; their median counts
Limits: 0.02..4 m (JSN-SR04T from 0.2 m), +-3 mm and steps of 3 mm at best; 15 degrees; soft, small
    and slanting things do not echo; nothing within 4 m is a nonsense status, no echo pulse at all
    an absent one
Power: 15000 uA for 300 ms a measurement, 2000 uA asleep
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, NonsenseError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields

_NAME = "hcsr04"
_TIMEOUT_US = const(25000)
"""4.3 m at 20 Cel."""
_CYCLE_S = 0.06
_TOO_LONG = const(-1)
_TRIGGER_WRITES = const(20)


class Hcsr04:
    """Times echoes. What a module does when nothing echoes differs: a timeout ends it."""

    BUS = "pins"
    GIVES = (Quantity("distance", "m", -3, 20, 4000),)

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._trigger_number = options.number("trigger", 0, 99)
        self._echo_number = options.number("echo", 0, 99)
        self._speed_mm_s = _speed_mm_s(options.number("celsius", -40, 85, 20))
        self._samples = options.number("samples", 1, 15, 5)
        self._trigger: Any = None
        self._echo: Any = None

    async def measure(self) -> "list[int | None]":
        """Return [distance]; a median needs an echo for more than half of the samples."""
        if self._trigger is None:
            self._echo = self._bus.input(self._echo_number, "down")
            self._trigger = self._bus.output(self._trigger_number, 0)
        echoes: list[int] = []
        missing: list[int] = []
        for _ in range(self._samples):
            # Before each: the echo of whatever was before must have died down.
            await asyncio.sleep(_CYCLE_S)
            echo_us = self._echo_us()
            (missing if echo_us < 0 else echoes).append(echo_us)
        if len(echoes) > len(missing):
            echoes.sort()
            return [self._distance_mm(echoes[len(echoes) // 2])]
        if _TOO_LONG in missing:
            raise NonsenseError(_NAME, "nothing echoes within 4 m")
        raise AbsentError(_NAME, "no echo pulse: look at its supply, Trig and Echo")

    def _echo_us(self) -> int:
        if self._echo.value():
            return _TOO_LONG
        # At least 10 us: a write takes 1 us or more, on any chip.
        for _ in range(_TRIGGER_WRITES):
            self._trigger.value(1)
        self._trigger.value(0)
        return int(self._bus.pulse_us(self._echo, 1, _TIMEOUT_US))

    def _distance_mm(self, echo_us: int) -> int:
        """Half of the way there and back, rounded."""
        return (echo_us * self._speed_mm_s + 1000000) // 2000000


def _speed_mm_s(celsius: int) -> int:
    """Return the speed of sound in dry air: 331.3 m/s * sqrt(1 + t / 273.15 K), within 0.2 %.

    Its series up to the square: 331.3 + 0.6064 t - 0.000555 t^2.
    """
    return 331300 + (606400 * celsius - 555 * celsius * celsius) // 1000
