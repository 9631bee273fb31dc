"""Buses and pins of a virtual node, with the calls of MicroPython's machine, on a World.

What is written to pins stands in pins.log of the current folder: milliseconds of the world, pin
and level.
"""

import os

from world import World

_ENODEV = 19
_PINS = 49
_UNKNOWN = -1


class _Place:
    """The one world of this process, read when something first looks at it."""

    world = None


def world() -> World:
    """Return the world of this node."""
    if _Place.world is None:
        _Place.world = World()
    return _Place.world


class Pin:
    """A pin by its number; ValueError for one that an ESP32 does not have."""

    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_FALLING = 2

    def __init__(
        self, number: int, mode: int = _UNKNOWN, pull: int = _UNKNOWN, value: "int | None" = None
    ) -> None:
        if not 0 <= number < _PINS:
            raise ValueError("invalid pin")
        self.number = number
        self._resting = 1 if pull == self.PULL_UP else 0
        self._driven = None
        if mode == self.OUT:
            self._drive(value or 0)

    @property
    def chips(self) -> "list[object]":
        """What hangs on it as a 1-Wire bus."""
        return world().on("onewire" + str(self.number))

    def value(self, level: "int | None" = None) -> "int | None":
        """Return the level, or drive it."""
        if level is not None:
            self._drive(level)
            return None
        if self._driven is not None:
            return self._driven
        chip = world().pin(self.number)
        level = None if chip is None else chip.level(self.number)
        return self._resting if level is None else level

    def __call__(self, level: "int | None" = None) -> "int | None":
        """Return the level, or drive it."""
        return self.value(level)

    def on(self) -> None:
        """Drive it high."""
        self._drive(1)

    def off(self) -> None:
        """Drive it low."""
        self._drive(0)

    def irq(self, _handler: "object", _trigger: int) -> None:
        """Nothing interrupts here: there is a counter, and what scans its pin."""
        raise OSError("no interrupts on a virtual node")

    def _drive(self, level: int) -> None:
        changed = self._driven != int(level)
        self._driven = int(level)
        chip = world().pin(self.number)
        if chip is not None:
            chip.set(self.number, self._driven)
        elif changed:
            # What clocks a chip would fill the file.
            with open("pins.log", "a") as file:
                now_ms = int(world().now_s() * 1000)
                file.write(str(now_ms) + " " + str(self.number) + " " + str(self._driven) + "\n")


class ADC:
    """An analogue pin: what its chip gives, or the voltage that the environment gives."""

    ATTN_11DB = 3

    def __init__(self, pin: Pin, atten: int = 0) -> None:
        self.pin = pin
        self.atten = atten

    def read_uv(self) -> int:
        """Return microvolts."""
        chip = world().pin(self.pin.number)
        if chip is not None:
            return chip.microvolts(self.pin.number)
        return int(os.getenv("VNODE_SUPPLY_UV") or 0)


def disable_irq() -> bool:
    """Nothing interrupts."""
    return True


def enable_irq(_state: bool) -> None:  # noqa: FBT001 - as machine has it
    """Nothing interrupts."""


class Counter:
    """The chip's pulse counter on a pin."""

    FALLING = 2

    def __init__(self, _number: int, pin: Pin, edge: int = FALLING, filter_ns: int = 0) -> None:
        self._pin = pin
        self._edge = edge
        self._filter_ns = filter_ns
        self._before = self._pulses()

    def value(self) -> int:
        """Return the pulses since it was made."""
        return self._pulses() - self._before

    def _pulses(self) -> int:
        chip = world().pin(self._pin.number)
        return 0 if chip is None else chip.pulses(self._pin.number)


class I2C:
    """The chips of one bus; ValueError for a bus that an ESP32 does not have."""

    def __init__(self, number: int, **options: "object") -> None:
        if number > 1:
            raise ValueError("I2C(" + str(number) + ") doesn't exist")
        self._bus = "i2c" + str(number)
        self.options = options

    def scan(self) -> "list[int]":
        """Return the addresses that anybody has."""
        return [address for address in range(8, 120) if world().at(address, self._bus)]

    def writeto(self, address: int, data: bytes) -> int:
        """Write; OSError where nobody acknowledges."""
        self._chip(address).write(bytes(data))
        return len(data)

    def readfrom(self, address: int, count: int) -> bytes:
        """Read; OSError where nobody acknowledges."""
        return bytes(self._chip(address).read(count))

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        """Read into a buffer."""
        buffer[:] = self.readfrom(address, len(buffer))

    def writeto_mem(self, address: int, register: int, data: bytes, *, addrsize: int = 8) -> None:
        """Write behind the number of a register."""
        self._chip(address).write(_register(register, addrsize) + bytes(data))

    def readfrom_mem(self, address: int, register: int, count: int, *, addrsize: int = 8) -> bytes:
        """Read from a register on."""
        chip = self._chip(address)
        chip.write(_register(register, addrsize))
        return bytes(chip.read(count))

    def readfrom_mem_into(
        self, address: int, register: int, buffer: bytearray, *, addrsize: int = 8
    ) -> None:
        """Read from a register on, into a buffer."""
        buffer[:] = self.readfrom_mem(address, register, len(buffer), addrsize=addrsize)

    def _chip(self, address: int) -> "object":
        chip = world().at(address, self._bus)
        if chip is None:
            raise OSError(_ENODEV)
        return chip


class ChipUart:
    """A UART with chips at its other end; what a chip sends is kept up to the buffer's size."""

    def __init__(self, bus: str, options: "dict[str, int]") -> None:
        self._bus = bus
        self._limit = options.get("rxbuf", 256)
        self._came = b""
        self.options = options

    def any(self) -> int:
        """Return how many bytes came."""
        self._fill()
        return len(self._came)

    def read(self, count: int = -1) -> "bytes | None":
        """Return what came, None when nothing did."""
        self._fill()
        count = len(self._came) if count < 0 else count
        data, self._came = self._came[:count], self._came[count:]
        return data or None

    def write(self, data: bytes) -> int:
        """Send to all."""
        for chip in world().on(self._bus):
            chip.receive(bytes(data))
        return len(data)

    def txdone(self) -> bool:
        """Whether all of it is on the wire."""
        return True

    def _fill(self) -> None:
        for chip in world().on(self._bus):
            self._came += chip.send()
        # As on the chip, what is too much is lost without a word.
        self._came = self._came[: self._limit]


def chip_uart(number: int, options: "dict[str, int]") -> "ChipUart | None":
    """Return the UART that chips hang on, None where none do."""
    bus = "uart" + str(number)
    return ChipUart(bus, options) if world().has(bus) else None


def pulse_us(pin: Pin, level: int, timeout_us: int) -> int:
    """Return how long the pulse is; -2 where none begins, -1 where it lasts longer."""
    chip = world().pin(pin.number)
    length_us = -2 if chip is None else chip.pulse_us(pin.number, level)
    return -1 if length_us > timeout_us else length_us


def _register(number: int, bits: int) -> bytes:
    return number.to_bytes(bits // 8, "big")
