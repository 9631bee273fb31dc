"""The hardware, and nothing decided about it: the only module that imports machine and esp32."""

import gc
import os
import sys
import time

import esp32
import machine

from lilong_firmware.clock import UNIX_AT_2000_S, Clock
from lilong_firmware.device_class import device_class
from lilong_firmware.flash import FileFlash
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.area import Flash
    from lilong_firmware.settings import Running

_EUI_BYTES = const(8)
_JOURNAL = const("journal")
_RX_BUFFER = const(4096)
_TX_BUFFER = const(2048)


class Board:
    """An ESP32, or the shim of it that a virtual node runs on."""

    def __init__(self) -> None:
        self._supply: machine.ADC | None = None
        self._supply_permille = 1000

    def clock(self) -> Clock:
        """Return an uptime that begins now."""
        return Clock(time.ticks_ms, time.ticks_diff)

    def eui(self) -> bytes:
        """Return the EUI-64: the chip's own, or its MAC-48 with FF FE in the middle."""
        identity = bytes(machine.unique_id())
        if len(identity) == _EUI_BYTES:
            return identity
        return identity[:3] + b"\xff\xfe" + identity[3:6]

    def device_class(self) -> str:
        """Return which updates this is for: those of its chip, or of virtual nodes."""
        return device_class(sys.platform, getattr(sys.implementation, "_machine", ""))

    def random(self, size: int) -> bytes:
        """Return bytes of the hardware's random generator."""
        return os.urandom(size)

    def uart(self, running: "Running", usual: "Running") -> machine.UART:
        """Open the serial line to the gateway, the usual one where the chip has no such line.

        Reads never block; a write waits until the chip's buffer has room for all of it.
        """
        try:
            return _open_uart(running)
        except (ValueError, OSError) as error:
            self.log("uart: " + str(error) + "; correct it in settings.json")
            return _open_uart(usual)

    def journal_flash(self, size_bytes: int) -> "Flash":
        """Return the partition `journal`, or files of that size where there is none."""
        found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=_JOURNAL)
        return found[0] if found else FileFlash(_JOURNAL, size_bytes)

    def next_image(self) -> "esp32.Partition | None":
        """Return the partition for the next image, None where the flash has but one."""
        try:
            # The stubs know names of partitions alone.
            running = esp32.Partition(esp32.Partition.RUNNING)  # type: ignore[arg-type]
            return running.get_next_update()
        except OSError:
            return None

    def watchdog(self, timeout_ms: int) -> machine.WDT:
        """Start the watchdog: it resets the node unless fed within `timeout_ms`."""
        return machine.WDT(timeout=timeout_ms)

    def reset_cause(self) -> int:
        """Return machine's number: 1 power, 2 hard, 3 watchdog, 4 deep sleep, 5 soft."""
        return machine.reset_cause()

    def reset(self) -> None:
        """Start again; does not return."""
        machine.reset()

    def retained(self) -> bytes:
        """Return what was kept over a reset, anything after a loss of power."""
        return machine.RTC().memory() or b""

    def retain(self, data: bytes, offset: int = 0) -> None:
        """Keep these bytes at `offset` over every reset but the loss of power, and all others."""
        kept = self.retained()
        before = kept[:offset] + bytes(max(0, offset - len(kept)))
        machine.RTC().memory(before + data + kept[offset + len(data) :])

    def rtc_ms(self) -> int:
        """Return a clock that runs in deep sleep too, although it may be percents off there."""
        return time.time_ns() // 1000000

    def sleep(self, timeout_ms: int) -> None:
        """Go into deep sleep; the chip starts anew after that. Does not return."""
        machine.deepsleep(timeout_ms)

    def output(self, number: int, level: int) -> machine.Pin:
        """Make the pin an output of this level; ValueError or OSError when it cannot be one."""
        return machine.Pin(number, machine.Pin.OUT, value=level)

    def measure_supply(self, running: "Running") -> None:
        """Measure the supply at the pin of the settings, behind its divider; -1 for none."""
        if running.supply_pin < 0:
            return
        try:
            self._supply = machine.ADC(machine.Pin(running.supply_pin))
        except (ValueError, OSError) as error:
            self.log("supply: " + str(error) + "; correct it in settings.json")
        self._supply_permille = running.supply_permille

    def supply_mv(self) -> "int | None":
        """Return the voltage of the supply or battery, None where it is not wired to a pin."""
        if self._supply is None:
            return None
        return self._supply.read_uv() // 1000 * self._supply_permille // 1000

    def chip_celsius(self) -> "int | None":
        """Return the temperature of the chip, None where it offers none."""
        if hasattr(esp32, "mcu_temperature"):
            return int(esp32.mcu_temperature())
        if hasattr(esp32, "raw_temperature"):
            return (esp32.raw_temperature() - 32) * 5 // 9
        return None

    def free_heap(self) -> int:
        """Return the bytes that are free after a collection."""
        gc.collect()
        return gc.mem_free()

    def largest_block(self) -> "int | None":
        """Return the largest free block outside of Python's heap, None where there is none."""
        if not hasattr(esp32, "idf_heap_info"):
            return None
        return max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])

    @property
    def may_stop(self) -> bool:
        """Whether the node is a process that can end; a chip would only go to its prompt."""
        return hasattr(machine, "stop")

    def give_up(self) -> None:
        """End the process where there is one; the chip goes on to MicroPython's prompt."""
        stop = getattr(machine, "stop", None)
        if stop is not None:
            stop()

    def unix_ms(self) -> int:
        """Return the wall clock of the interpreter, whatever its epoch; for traces only."""
        shift_s = UNIX_AT_2000_S if time.gmtime(0)[0] == 2000 else 0
        return time.time_ns() // 1000000 + shift_s * 1000

    def log(self, line: str) -> None:
        """Write one line to the console."""
        sys.stdout.write(line + "\n")


def _open_uart(running: "Running") -> machine.UART:
    pins = {}
    if running.tx_pin >= 0:
        pins["tx"] = running.tx_pin
    if running.rx_pin >= 0:
        pins["rx"] = running.rx_pin
    return machine.UART(
        running.uart,
        baudrate=running.baud,
        rxbuf=_RX_BUFFER,
        txbuf=_TX_BUFFER,
        timeout=0,
        **pins,
    )
