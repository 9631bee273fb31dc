"""Any maker's dry contact (reed, float switch, button, relay): closed or open.

Datasheet: none; bounce of reed contacts 0.5..1 ms (reed-sensor.com), of other ones up to 10 ms
Wiring: the contact between the pin and ground with pull up, or between the pin and 3.3 V with pull
    down; a cable of more than 2 m wants a resistor of 1..4.7 kohm to 3.3 V instead, pull ""
Options:
    pin: number of the pin
    pull: "up", "down", or "" for a resistor of your own to 3.3 V
    normally_closed: true for a contact that opens where others close (form B): both values turn
    debounce_ms: how long a level must stay the same to count
Limits: looks every 10 ms, so that what is shorter is not seen; a broken wire is an open contact;
    the count begins with 0 at each start of the node
Power: 73 uA always
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.fields import Fields

_LOOK_S = 0.01

_PULLS = ("up", "down", "")


class Contact:
    """`watch` looks and counts, `measure` tells what it saw; the first level counts at once."""

    BUS = "pins"
    GIVES = (
        Quantity("closed", "", 0, 0, 1),
        Quantity("count", "count", 0, 0, 0x7FFFFFFF),
    )

    def __init__(self, bus: "Any", options: "Fields") -> None:
        self._bus = bus
        self._number = options.number("pin", 0, 99)
        self._pull = _PULLS[options.choice("pull", _PULLS, "up")]
        self._closed_level = (self._pull == "down") != options.flag("normally_closed")
        self._debounce_ms = options.number("debounce_ms", 0, 10000, 50)
        self._pin: Any = None
        self._closed = False
        self._other_since: Any = None
        self._count = 0

    async def measure(self) -> "list[int | None]":
        """Return [closed, how often it has closed]."""
        self._open()
        return [int(self._closed), self._count]

    async def watch(self, changed: "Callable[[], None]") -> None:
        """Look every 10 ms, for ever."""
        self._open()
        while True:
            if self._turned():
                changed()
            await asyncio.sleep(_LOOK_S)

    def _open(self) -> None:
        if self._pin is None:
            self._pin = self._bus.input(self._number, self._pull)
            self._closed = self._read()

    def _read(self) -> bool:
        return bool(self._pin.value()) == self._closed_level

    def _turned(self) -> bool:
        """Look once; whether the other state counts from now on."""
        if self._read() == self._closed:
            self._other_since = None
            return False
        now_ms = self._bus.now_ms()
        if self._other_since is None:
            self._other_since = now_ms
        if self._bus.passed_ms(now_ms, self._other_since) < self._debounce_ms:
            return False
        self._other_since = None
        self._closed = not self._closed
        self._count += self._closed
        return True
