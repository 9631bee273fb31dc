"""Buses and devices as the settings give them, checked without touching any hardware."""

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.drivers import Driver
    from lilong_firmware.fields import Fields

PINS = "pins"
"""The bus of what hangs on pins of its own."""

STATUS = "status"
"""The quantity that every device has beside its driver's: one of instrument's numbers."""

_MOST_DEVICES = const(16)
_LONGEST_STUCK_S = const(604800)
_STATUS = Quantity(STATUS, "", 0, 0, 99)


class BusSetting:
    """One bus: its name is its kind and its number, i2c0, uart2, onewire4 (a pin)."""

    def __init__(self, name: str, fields: "Fields") -> None:
        self.name = name
        self.kind = name.rstrip("0123456789")
        number = name[len(self.kind) :]
        if self.kind not in {"i2c", "uart", "onewire"} or not number:
            raise SettingsError(fields.name(), "is no bus: i2c0, uart2, onewire4 are")
        self.number = int(number)
        if self.kind == "i2c":
            self.frequency = fields.number("frequency", 1000, 1000000, 100000)
            self.scl = fields.number("scl", 0, 99)
            self.sda = fields.number("sda", 0, 99)
        elif self.kind == "uart":
            self.tx = fields.number("tx", 0, 99)
            self.rx = fields.number("rx", 0, 99)
            self.direction = fields.number("direction", -1, 99, -1)
            """Pin that is high while an RS-485 driver is to send; -1 for none."""
            self.line = {
                key: fields.number(key, low, high)
                for key, low, high in (("baudrate", 300, 5000000), ("bits", 5, 9), ("stop", 1, 2))
                if fields.has(key)
            }
            if fields.has("parity"):
                self.line["parity"] = _parity(fields)


class DeviceSetting:
    """One device: `kind` names its driver's module, `options` are the driver's."""

    def __init__(self, name: str, fields: "Fields") -> None:
        self.name = name
        self.kind = fields.text("driver", 32)
        self.stuck_s = fields.number("stuck_s", -1, _LONGEST_STUCK_S, -1)
        """Seconds of the very same values after which it is stuck; -1 for the driver's."""
        self.options = fields
        self.driver_class = driver_class(self.kind, fields)
        default = PINS if self.driver_class.BUS == PINS else None
        self.bus = fields.text("bus", 32, default)
        self.driver = self.driver_class(None, fields)
        """Without a bus, for what it gives; `Driver.measure` is not for this one."""


class Setup:
    """What `buses` and `devices` of the settings say."""

    def __init__(self, fields: "Fields", gateway_uart: int) -> None:
        buses = fields.object("buses")
        self.buses = {name: BusSetting(name, bus) for name, bus in buses.named()}
        if "uart" + str(gateway_uart) in self.buses:
            raise SettingsError(buses.name("uart" + str(gateway_uart)), "is the gateway's line")
        named = fields.object("devices").named()
        self.devices = [DeviceSetting(name, device) for name, device in named]
        if not 0 < len(self.devices) <= _MOST_DEVICES:
            raise SettingsError("devices", "must hold 1 to 16 devices")
        for device in self.devices:
            self._check_bus(device)

    def quantity(self, source: str) -> "Quantity | None":
        """Return what stands behind a channel's `source`, None when that is nothing here."""
        name, _, quantity = source.partition(".")
        for device in self.devices:
            if device.name == name:
                for given in device.driver.GIVES + (_STATUS,):
                    if given.name == quantity:
                        return given
        return None

    def check(self, sources: "list[str]") -> None:
        """SettingsError unless every device has a channel, and one for its status."""
        for device in self.devices:
            own = [source for source in sources if source.startswith(device.name + ".")]
            if device.name + "." + STATUS not in own:
                problem = "no channel has the source " + device.name + "." + STATUS + "; add it"
                raise SettingsError(device.options.name(), problem)

    def _check_bus(self, device: DeviceSetting) -> None:
        needs = device.driver_class.BUS
        if device.bus != PINS and device.bus not in self.buses:
            problem = repr(device.bus) + " is not in buses; add it with its pins"
            raise SettingsError(device.options.name("bus"), problem)
        if (device.bus if device.bus == PINS else self.buses[device.bus].kind) != needs:
            raise SettingsError(device.options.name("bus"), "must be of the kind " + needs)


def driver_class(kind: str, fields: "Fields") -> "type[Driver]":
    """Load the driver's module and return its class; SettingsError when there is none."""
    if "." in kind or "/" in kind or kind.startswith("_"):
        raise SettingsError(fields.name("driver"), repr(kind) + " is no driver")
    try:
        module = __import__("lilong_firmware.drivers." + kind, None, None, ("BUS",))
    except ImportError:
        raise SettingsError(fields.name("driver"), repr(kind) + " is no driver of this node")
    members = [getattr(module, name) for name in dir(module)]
    (found,) = [member for member in members if hasattr(member, "BUS")]
    return found


def _parity(fields: "Fields") -> "Any":
    parity = fields.text("parity", 4)
    if parity not in {"none", "even", "odd"}:
        raise SettingsError(fields.name("parity"), "must be none, even or odd")
    return {"none": None, "even": 0, "odd": 1}[parity]
