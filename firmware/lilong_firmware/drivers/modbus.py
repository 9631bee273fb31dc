"""Any maker's unit with Modbus RTU, on RS-485: whatever its register map holds.

Datasheet: MODBUS over Serial Line V1.02, 2006; MODBUS Application Protocol V1.1b3, 2012; and the
    register map in the manual of the unit
Wiring: A and B of the unit to A and B of an RS-485 driver (such as MAX3485), GND to GND, 120 ohm
    between A and B at both ends of a long line; DE and /RE of the driver to the pin that the bus
    names as direction; the unit has a supply of its own
Options:
    unit: address of the unit
    timeout_ms: how long it may take to begin its answer
    retries: how often it is asked again where no valid answer came
    gap: registers between others that may be read along to save a request
    registers: list of at most 64 objects with the keys that follow
    registers[].name: name of the quantity
    registers[].register: its first register as it is sent, 0..65535; 107 for 40108
    registers[].function: 3 holding or 4 input registers, 1 coils, 2 discrete inputs; usually 3
    registers[].type: u16, s16, u32, s32, f32, usually u16; only bit with the functions 1 and 2
    registers[].order: how the bytes come, a the highest: abcd, cdab, badc, dcba; usually abcd
    registers[].unit: SenML unit of the quantity
    registers[].exponent: values count 10**exponent of the unit, -9..9, usually 0
    registers[].scale_exponent: one of the register is 10**scale_exponent, -9..9, usually 0
    registers[].multiplier: times this, 1..1000000, usually 1
    registers[].divisor: divided by this, 1..1000000, usually 1
    registers[].lowest: values below are nonsense; counted as values are
    registers[].highest: values above are nonsense
    registers[].invalid: raw number that stands for no value; without it every number is one
Gives: each of `registers`, under its name
Limits: reads only; when a unit answers later than twice timeout_ms, the answer can be taken for
    that to the next question; the power is that of the RS-485 driver alone
Power: 1000 uA always
"""

import asyncio

from lilong_firmware.devices.modbus_frame import (
    answered,
    character_us,
    longest_bytes,
    request,
    silence_ms,
    surplus,
)
from lilong_firmware.devices.register_map import blocks_of, registers_of
from lilong_firmware.errors import AbsentError, DamagedError, SensorError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.devices.line import Line
    from lilong_firmware.fields import Fields

_NAME = "modbus"
_POLL_MS = const(2)
_MOST_WAITS = const(100)
_MOST_CAME = const(512)
# What an RS-485 driver leaves on the line when it is switched.
_MOST_GLITCHES = const(3)


class Modbus:
    """A master that reads one unit; it never broadcasts."""

    BUS = "uart"
    UART = {"baudrate": 9600}

    def __init__(self, bus: "Line", options: "Fields") -> None:
        self._bus = bus
        self._unit = options.number("unit", 1, 247)
        self._timeout_ms = options.number("timeout_ms", 20, 2000, 500)
        self._attempts = 1 + options.number("retries", 0, 3, 1)
        gap = options.number("gap", 0, 100, 0)
        registers = registers_of(options)
        self.GIVES = tuple([register.quantity for register in registers])
        self._blocks = blocks_of(registers, gap)
        self._baudrate = getattr(bus, "baudrate", 9600)

    async def measure(self) -> "list[int | None]":
        """Read every block of the map; all of it or an error."""
        values: list[int | None] = [None] * len(self.GIVES)
        for block in self._blocks:
            asked = request(self._unit, block.function, block.first, block.count)
            data = await self._ask(asked)
            for register in block.registers:
                values[register.index] = register.value(data, register.first - block.first)
        return values

    async def _ask(self, asked: bytes) -> bytes:
        """Return the data of the answer; a unit that refuses is not asked again."""
        error = _nothing(0)
        for _ in range(self._attempts):
            await self._silence()
            await self._bus.write(asked)
            came, noise = await self._listen(asked)
            if came:
                return answered(came, asked, _NAME)
            error = _nothing(noise)
            # One more time-out: a late answer must not be there for the next question.
            await self._pass(self._timeout_ms)
        raise error

    async def _silence(self) -> None:
        """Return when nobody has sent for the time that must be between frames."""
        for _ in range(_MOST_WAITS):
            await asyncio.sleep(silence_ms(self._baudrate) / 1000)
            if not self._bus.read():
                return
        raise DamagedError(_NAME, "the line is never silent; is there another master?")

    async def _listen(self, asked: bytes) -> "tuple[bytes, int]":
        """Return the answer, b"" when none came in time, and how many bytes were nobody's."""
        left_ms = self._timeout_ms + character_us(self._baudrate) * longest_bytes(asked) // 1000
        came, noise = b"", 0
        while left_ms > 0:
            came = (came + self._bus.read())[-_MOST_CAME:]
            before = surplus(came, asked)
            while before > 0:
                noise += before == 1
                came = came[before:]
                await asyncio.sleep(0)
                before = surplus(came, asked)
            if before == 0:
                return came, noise
            await asyncio.sleep(_POLL_MS / 1000)
            left_ms -= _POLL_MS
        return b"", noise + len(came)

    async def _pass(self, time_ms: int) -> None:
        """Throw away what comes in this time."""
        for _ in range(time_ms // _POLL_MS):
            await asyncio.sleep(_POLL_MS / 1000)
            self._bus.discard()


def _nothing(noise: int) -> SensorError:
    if noise > _MOST_GLITCHES:
        return DamagedError(_NAME, "no valid answer in what came; look at A, B and the baud rate")
    return AbsentError(_NAME, "no answer; look at A, B, its supply, address and baud rate")
