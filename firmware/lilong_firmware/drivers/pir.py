"""Any maker's PIR module (HC-SR501, AM312, EKMC): motion of people.

Datasheet: HC-SR501 module (for a minute after power-on up to three false outputs; output high)
Wiring: supply as the module says (HC-SR501 4.5..20 V), GND, output (3.3 V high) to the pin
Options:
    pin: number of the pin
    pull: "down", "up" or ""
    hold_s: motion stays 1 for so long after the output fell
    warm_s: after the node's start, in which the output says nothing
Limits: 3..7 m, moving people only: who sits still is not seen; looks every 50 ms; a broken wire is
    no motion; the module's own hold time (0.3..200 s) comes before hold_s; the count begins with 0
    at each start of the node
Power: 65 uA always
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import WarmingError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.fields import Fields

_LOOK_S = 0.05

_PULLS = ("up", "down", "")


class Pir:
    """`watch` looks and counts, `measure` tells what it has seen."""

    BUS = "pins"
    GIVES = (
        Quantity("motion", "", 0, 0, 1),
        Quantity("count", "count", 0, 0, 0x7FFFFFFF),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._number = options.number("pin", 0, 99)
        self._pull = _PULLS[options.choice("pull", _PULLS, "down")]
        self._hold_ms = 1000 * options.number("hold_s", 0, 86400, 30)
        self._warm_ms = 1000 * options.number("warm_s", 0, 3600, 60)
        self._pin: Any = None
        self._since: Any = None
        """When it was switched on, then when its output was last seen high."""
        self._warm = False
        self._high = False
        self._motion = False
        self._count = 0

    async def measure(self) -> "list[int | None]":
        """Return [motion, how often the output rose]; WarmingError until it is warm."""
        self._open()
        if not self._warm:
            raise WarmingError("pir", "is settling after its start")
        return [int(self._motion), self._count]

    async def watch(self, changed: "Callable[[], None]") -> None:
        """Look every 50 ms, for ever; `changed` when it is warm, too."""
        self._open()
        while True:
            if self._turned():
                changed()
            await asyncio.sleep(_LOOK_S)

    def _open(self) -> None:
        if self._pin is None:
            self._pin = self._bus.input(self._number, self._pull)
            self._since = self._bus.now_ms()
            self._warm = self._warm_ms == 0

    def _turned(self) -> bool:
        """Look once; whether there is something to tell."""
        now_ms = self._bus.now_ms()
        if not self._warm:
            # Only while it matters: differences of the ticks are good for six days.
            self._warm = self._bus.passed_ms(now_ms, self._since) >= self._warm_ms
            return self._warm
        before = self._motion
        high = bool(self._pin.value())
        if high:
            self._since = now_ms
            self._count += not self._high
            self._motion = True
        elif before:
            self._motion = self._bus.passed_ms(now_ms, self._since) < self._hold_ms
        self._high = high
        return self._motion != before
