"""DFRobot A02YYUW (and JSN-SR04T in mode 2, ME007YS, A01NYUB): distance by ultrasound.

Datasheet: DFRobot SEN0311 A02YYUW; JSN-SR04T-2.0 (R27 = 47 kohm); SEN0312 and SEN0313 alike
Wiring: VCC 3.3..5 V, GND; TX of the sensor to rx of the bus (of a sensor at 5 V over a divider);
    RX of the sensor open: it sends averaged values by itself
Options:
    lowest_mm: nearest that it can measure; 200 for JSN-SR04T, 280 for A01NYUB and ME007YS
    highest_mm: farthest; 6000 for JSN-SR04T, 7500 for A01NYUB
Limits: 30..4500 mm +-1 %, 60 degrees; soft and slanted surfaces give no echo; one value each
    100..300 ms, the median of five counts, so a measurement takes 0.5..1.5 s
Power: 8000 uA always
"""

import asyncio

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError, SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.devices.line import Line
    from lilong_firmware.fields import Fields

_NAME = "a02yyuw"
_HEAD = const(0xFF)
_FRAME_BYTES = const(4)
_FRAMES = const(5)
_POLL_MS = const(20)
_PATIENCE_MS = const(2500)


class A02yyuw:
    """Takes frames FF, high byte, low byte, sum; in millimetres."""

    BUS = "uart"
    UART = {"baudrate": 9600}
    GIVES = (Quantity("distance", "m", -3, 30, 4500),)

    def __init__(self, bus: "Line", options: "Fields") -> None:
        self._bus = bus
        self._lowest_mm = options.number("lowest_mm", 0, 10000, 30)
        self._highest_mm = options.number("highest_mm", 0, 10000, 4500)
        if self._lowest_mm >= self._highest_mm:
            raise SettingsError(options.name("highest_mm"), "must be above lowest_mm")
        self.GIVES = (Quantity("distance", "m", -3, self._lowest_mm, self._highest_mm),)

    async def measure(self) -> "list[int | None]":
        """Give the median of five fresh values, or of as many as came in 2.5 s."""
        # What waits there are the oldest since the last time, not the newest: the buffer is full.
        self._bus.discard()
        distances_mm, noise = await self._collect()
        if not distances_mm:
            if noise:
                raise DamagedError(_NAME, "no whole frame in what comes; is its baud rate 9600?")
            raise AbsentError(_NAME, "no frame in 2.5 s")
        return [self._median_mm(distances_mm)]

    async def _collect(self) -> "tuple[list[int], int]":
        """Return the values of whole frames, and how many bytes were in none."""
        distances_mm: list[int] = []
        came, noise = b"", 0
        for _ in range(_PATIENCE_MS // _POLL_MS):
            data = self._bus.read()
            if not data:
                # A frame comes in one go: what was left before a pause is no part of the next.
                noise += len(came)
                came = b""
            came += data[-_FRAMES * _FRAME_BYTES :]
            while len(came) >= _FRAME_BYTES:
                used = _FRAME_BYTES if _is_frame(came) else 1
                if used == _FRAME_BYTES:
                    distances_mm.append(came[1] << 8 | came[2])
                else:
                    noise += 1
                came = came[used:]
            if len(distances_mm) >= _FRAMES:
                break
            await asyncio.sleep(_POLL_MS / 1000)
        return distances_mm, noise + len(came)

    def _median_mm(self, distances_mm: "list[int]") -> int:
        """Return the median of those that can be; NonsenseError unless they are the most."""
        believed = [mm for mm in distances_mm if self._lowest_mm <= mm <= self._highest_mm]
        if 2 * len(believed) <= len(distances_mm):
            problem = "no echo, or nearer or farther than it can measure"
            raise NonsenseError(_NAME, problem)
        return sorted(believed)[len(believed) // 2]


def _is_frame(came: bytes) -> bool:
    # 0xFFFD and 0xFFFE stand for no echo and disturbance; another high byte FF is a head or a sum.
    if came[0] != _HEAD or (came[1] == _HEAD and came[2] not in {0xFD, 0xFE}):
        return False
    return (came[0] + came[1] + came[2]) & 0xFF == came[3]
