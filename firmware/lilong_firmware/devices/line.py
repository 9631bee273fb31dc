"""A serial line to sensors, with the direction pin of an RS-485 driver."""

import asyncio

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

_BITS = const(11)
"""Of a character, at most: start, 8, parity, stop."""
_PATIENCE_MS = const(5)


class Line:
    """Reads what came and writes; neither waits for the other end.

    `uart` is a machine.UART with timeout 0, `direction` None or the pin that is high while
    sending.
    """

    def __init__(
        self,
        uart: "Any",
        baudrate: int,
        direction: "Any | None",
    ) -> None:
        self._uart = uart
        self.baudrate = baudrate
        self._direction = direction

    def read(self) -> bytes:
        """Return what came since the last time, nothing when nothing did."""
        return self._uart.read() or b""

    def discard(self) -> None:
        """Forget what came."""
        while self._uart.read():
            pass

    async def write(self, data: bytes) -> None:
        """Send all of it; return when the last bit is on the wire, at most a few ms later."""
        if self._direction is not None:
            self._direction.value(1)
        try:
            self._uart.write(data)
            # Nearly all of it asleep, the end awake: an answer comes 3.5 characters later.
            await asyncio.sleep(len(data) * _BITS / self.baudrate)
            for _ in range(_PATIENCE_MS):
                if self._uart.txdone():
                    break
                await asyncio.sleep(0.001)
        finally:
            if self._direction is not None:
                self._direction.value(0)
