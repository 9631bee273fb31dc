"""The chip's pins and buses: the one module of the devices that touches hardware."""

import time

import machine

from lilong_firmware.devices.pulses import Pulses
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_RX_BUFFER = const(1024)
_TX_BUFFER = const(256)

_LONGEST_FILTER_NS = const(12700)
"""What the counter of the chip can leave out at most; contacts want a capacitor besides."""


class Critical:
    """Between its `with` lines nothing interrupts: for pulses that must not become too long."""

    def __enter__(self) -> None:
        self._state = machine.disable_irq()

    def __exit__(self, *_: object) -> None:
        machine.enable_irq(self._state)


class Pins:
    """Opens pins; ValueError or OSError for those that the chip has not, or not for that."""

    def __init__(self) -> None:
        self._counters = 0

    def input(self, number: int, pull: str = "") -> machine.Pin:
        """Return a pin to read; `pull` is up, down or nothing."""
        if not pull:
            return machine.Pin(number, machine.Pin.IN)
        up = pull == "up"
        return machine.Pin(
            number, machine.Pin.IN, machine.Pin.PULL_UP if up else machine.Pin.PULL_DOWN
        )

    def output(self, number: int, value: int) -> machine.Pin:
        """Return a pin to write; it starts with this level."""
        return machine.Pin(number, machine.Pin.OUT, value=value)

    def adc(self, number: int) -> machine.ADC:
        """Return an analogue input for 0 to about 3.1 V."""
        return machine.ADC(machine.Pin(number), atten=machine.ADC.ATTN_11DB)

    def counter(self, number: int, pull: str = "") -> "Any":
        """Return what counts falling edges: `value()` is how many so far.

        The chip's own pulse counter, which misses none, where MicroPython offers it (1.27 on the
        ESP32 and ESP32-S3), else an interrupt.
        """
        pin = self.input(number, pull)
        hardware = getattr(machine, "Counter", None)
        if hardware is None:
            return Pulses(pin)
        self._counters += 1
        number = self._counters - 1
        return hardware(number, pin, edge=hardware.FALLING, filter_ns=_LONGEST_FILTER_NS)

    def pulse_us(self, pin: machine.Pin, level: int, timeout_us: int) -> int:
        """Return how long the next pulse of this level is; -2 or -1 as machine.time_pulse_us."""
        return machine.time_pulse_us(pin, level, timeout_us)

    def now_ms(self) -> "Any":
        """Return a moment in ticks that wrap; for `passed_ms`."""
        return time.ticks_ms()

    def passed_ms(self, later: "Any", earlier: "Any") -> int:
        """Return the milliseconds between two results of now_ms."""
        return time.ticks_diff(later, earlier)

    def critical(self) -> Critical:
        """Return what keeps interrupts away while it is entered."""
        return Critical()


def open_i2c(number: int, scl: int, sda: int, frequency: int) -> machine.I2C:
    """Return an I2C bus; ValueError for one that the chip has not."""
    return machine.I2C(number, scl=machine.Pin(scl), sda=machine.Pin(sda), freq=frequency)


def open_uart(number: int, tx: int, rx: int, options: "Mapping[str, Any]") -> machine.UART:
    """Return a serial line that never waits; `options` are machine.UART's."""
    return machine.UART(
        number, tx=tx, rx=rx, rxbuf=_RX_BUFFER, txbuf=_TX_BUFFER, timeout=0, **options
    )


def open_onewire(number: int) -> "Any":
    """Return a 1-Wire bus on a pin; ImportError where the image lacks it."""
    from onewire import OneWire  # noqa: PLC0415 - only nodes with such a bus load it

    return OneWire(machine.Pin(number))
