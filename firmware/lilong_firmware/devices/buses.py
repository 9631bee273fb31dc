"""Opens the buses that the settings name."""

import asyncio

from lilong_firmware.devices.hardware import Pins, open_i2c, open_onewire, open_uart
from lilong_firmware.devices.line import Line
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lilong_firmware.devices.setup import BusSetting, DeviceSetting


class Buses:
    """Each bus is opened once, by the first device on it.

    One that the chip has not is told to `log`, and None in its place: its devices are absent.
    """

    def __init__(self, settings: "Mapping[str, BusSetting]", log: "Callable[[str], None]") -> None:
        self._settings = settings
        self._log = log
        self._pins = Pins()
        self._open: dict[str, tuple[Any, asyncio.Lock]] = {}

    def bus(self, device: "DeviceSetting") -> "tuple[Any, asyncio.Lock | None]":
        """Return the bus of a device, and the lock of those that hold a conversation on it."""
        setting = self._settings.get(device.bus)
        if setting is None:
            return self._pins, None
        if setting.name not in self._open:
            self._open[setting.name] = self._opened(setting, device), asyncio.Lock()
        bus, lock = self._open[setting.name]
        return bus, None if setting.kind == "i2c" else lock

    def _opened(self, setting: "BusSetting", device: "DeviceSetting") -> "Any":
        try:
            if setting.kind == "i2c":
                return open_i2c(setting.number, setting.scl, setting.sda, setting.frequency)
            if setting.kind == "uart":
                return self._open_uart(setting, device)
            return open_onewire(setting.number)
        except (ValueError, OSError, ImportError) as error:
            self._log(setting.name + ": " + str(error) + "; correct it in settings.json")
            return None

    def _open_uart(self, setting: "BusSetting", device: "DeviceSetting") -> Line:
        usual = getattr(device.driver_class, "UART", {})
        options = {"baudrate": 9600}
        options.update(usual)
        options.update(setting.line)
        uart = open_uart(setting.number, setting.tx, setting.rx, options)
        direction = None if setting.direction < 0 else self._pins.output(setting.direction, 0)
        return Line(uart, options["baudrate"], direction)
