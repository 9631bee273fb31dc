"""`machine` of a virtual node: the unix port with a UART on a PTY, a watchdog and reset causes.

The environment holds what is hardware elsewhere: VNODE_UART (number of an inherited,
non-blocking file descriptor), VNODE_EUI (16 hexadecimal digits), VNODE_RESET_CAUSE (1..5),
VNODE_DIP (not empty: the power failed for too short a time to clear the retained memory) and
VNODE_SUPPLY_UV (microvolts at every analogue pin). The retained memory is the file rtc.bin of the
current folder.
"""

import io
import os
import struct
import sys
from binascii import unhexlify

from umachine import *  # noqa: F403 - the rest of the built-in module stays real

try:
    import ffi
except ImportError:
    ffi = None

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_RESET_EXIT = 75
_SLEEP_EXIT = 76
_CONFIGURATION_EXIT = 2
_IOCTL_FILENO = 10
_ITIMER_REAL = 0
_UARTS = 3
_PINS = 49
_CHIPS = "chips.json"
_RTC_FILE = "rtc.bin"
_SLEEP_FILE = "deepsleep"
_RTC_BYTES = 2048


def reset() -> None:
    """End the process; whoever started it takes exit code 75 for a reset."""
    sys.exit(_RESET_EXIT)


def deepsleep(timeout_ms: int) -> None:
    """End the process: exit code 76; the file deepsleep says after how long it is to start."""
    with open(_SLEEP_FILE, "w") as file:
        file.write(str(timeout_ms))
    sys.exit(_SLEEP_EXIT)


def stop() -> None:
    """End the process for want of a usable configuration: exit code 2."""
    sys.exit(_CONFIGURATION_EXIT)


def reset_cause() -> int:
    """Return the cause that the starter of this process gives."""
    return int(os.getenv("VNODE_RESET_CAUSE") or PWRON_RESET)


def unique_id() -> bytes:
    """Return the EUI-64."""
    return unhexlify(os.getenv("VNODE_EUI") or "0000000000000000")


class RTC:
    """The retained memory of the real-time clock; a loss of power clears it."""

    _written = False

    def memory(self, data: "bytes | None" = None) -> "bytes | None":
        """Return what is kept, or keep `data`; ValueError for more than 2048 bytes."""
        if data is None:
            return self._read()
        if len(data) > _RTC_BYTES:
            raise ValueError("buffer too long")
        RTC._written = True
        # A chip's memory is not empty for a moment, whenever it is reset.
        with open(_RTC_FILE + ".new", "wb") as file:
            file.write(data)
        os.rename(_RTC_FILE + ".new", _RTC_FILE)
        return None

    def _read(self) -> bytes:
        cleared = reset_cause() == PWRON_RESET and not os.getenv("VNODE_DIP")
        if cleared and not RTC._written:
            return b""
        try:
            with open(_RTC_FILE, "rb") as file:
                return file.read()
        except OSError:
            return b""


def time_pulse_us(pin: "object", level: int, timeout_us: int = 1000000) -> int:
    """Return how long a pulse of what hangs on this pin is."""
    return __getattr__("pulse_us")(pin, level, timeout_us)


def __getattr__(name: str) -> "object":
    """Return Pin, ADC, I2C, Counter and what else only a node with wires needs: it costs heap."""
    import peripherals  # noqa: PLC0415 - see above

    return getattr(peripherals, name)


def UART(number: int, **options: int) -> "object":  # noqa: N802 - a class elsewhere
    """Return the UART of that number: of what hangs on it in chips.json, else the gateway's."""
    if _CHIPS in os.listdir():
        found = __getattr__("chip_uart")(number, options)
        if found is not None:
            return found
    return Line(number, **options)


class Line(io.IOBase):
    """A file descriptor with the reads and writes of machine.UART: they never wait.

    read returns None when there is nothing; write returns how many bytes were taken, or None
    when the other end has not read for too long. Asyncio polls the descriptor itself. ValueError
    for what an ESP32 does not have.
    """

    def __init__(self, number: int, **options: int) -> None:
        if number >= _UARTS:
            raise ValueError("UART(" + str(number) + ") doesn't exist")
        if max(options.get("tx", 0), options.get("rx", 0)) >= _PINS:
            raise ValueError("invalid pin")
        self.number = number
        self.options = options
        self._fd = int(os.getenv("VNODE_UART"))
        self._file = open(self._fd, "r+b")  # noqa: SIM115 - open as long as the node runs
        self.read = self._file.read
        self.readinto = self._file.readinto
        self.write = self._file.write

    def ioctl(self, request: int, _argument: int) -> int:
        """Answer MP_STREAM_GET_FILENO; asyncio then uses poll(2)."""
        return self._fd if request == _IOCTL_FILENO else -1


class WDT:
    """An interval timer of the kernel whose SIGALRM ends the process, as a reset ends the node.

    Without ffi in the interpreter there is no watchdog.
    """

    def __init__(self, timeout: int = 5000) -> None:
        self._setitimer = None
        seconds, rest_ms = divmod(timeout, 1000)
        self._period = struct.pack("@llll", 0, 0, seconds, rest_ms * 1000)
        if ffi is not None:
            try:
                self._setitimer = ffi.open("libc.so.6").func("i", "setitimer", "ipp")
            except OSError:
                return
        self.feed()

    def feed(self) -> None:
        """Start the period again."""
        if self._setitimer is not None:
            self._setitimer(_ITIMER_REAL, self._period, None)
