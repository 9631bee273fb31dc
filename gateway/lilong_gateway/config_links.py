"""The settings of what carries frames: serial ports and BLE adapters."""

import re
from dataclasses import dataclass
from typing import Literal

from lilong_gateway.config_table import Table

_SOCKET = re.compile(r"socket://[^/:\s]+:(\d{1,5})\Z")
_ADAPTER = re.compile(r"hci\d{1,3}\Z")
_PORT_LIMIT = 65_535


@dataclass(frozen=True)
class Ble:
    """Which adapters visit nodes, how many connections each holds, and how they scan.

    A node with nothing to hand over is visited every visit_every_s.
    """

    adapters: tuple[str, ...] = ()
    slots: int = 5
    scan: Literal["active", "passive"] = "active"
    visit_every_s: int = 600


def read_ports(serial: Table, *, needed: bool) -> tuple[str, ...]:
    """Return the ports; without `needed` there may be none."""
    ports = serial.texts("ports", None if needed else [])
    if needed and not ports:
        raise serial.error("ports", 'name at least one port, such as "/dev/ttyUSB*"')
    for port in ports:
        if "://" in port and not _is_socket(port):
            raise serial.error("ports", f'"{port}" is not socket://host:port')
        if "://" not in port and not port.startswith("/"):
            raise serial.error("ports", f'"{port}" must be a whole path, such as "/dev/ttyUSB0"')
    return ports


def _is_socket(port: str) -> bool:
    address = _SOCKET.match(port)
    return address is not None and 0 < int(address[1]) <= _PORT_LIMIT


def read_ble(root: Table) -> Ble:
    """Return the table [ble]; without it no adapter is used."""
    if "ble" not in root.keys:
        return Ble()
    table = root.table("ble", list(Ble.__dataclass_fields__))
    adapters = table.texts("adapters")
    if not adapters:
        raise table.error("adapters", 'name at least one adapter, such as "hci0"')
    for adapter in adapters:
        if not _ADAPTER.match(adapter):
            raise table.error(
                "adapters",
                f'"{adapter}" is no adapter; `bluetoothctl list` and '
                "/sys/class/bluetooth name them, such as hci0",
            )
    if len(set(adapters)) < len(adapters):
        raise table.error("adapters", "one adapter stands there twice")
    passive = table.text("scan", Ble.scan, ["active", "passive"]) == "passive"
    return Ble(
        adapters=tuple(adapters),
        slots=table.whole("slots", Ble.slots, 1, 64),
        scan="passive" if passive else "active",
        visit_every_s=table.whole("visit_every_s", Ble.visit_every_s, 5, 86_400),
    )
