"""docs/drivers.md, written from what the drivers say of themselves."""

import json
from collections.abc import Iterator, Sequence

from lilong_tools.drivers.leaflet import Leaflet, Option, Quantity

_BUSES = {
    "i2c": ("i2c0", {"sda": 21, "scl": 22}),
    "uart": ("uart2", {"tx": 17, "rx": 16}),
    "onewire": ("onewire4", {}),
}
_HEAD = """\
# Drivers

The sensors that a node can read, made by `make docs` from the source of the drivers
(`firmware/lilong_firmware/drivers/`). `lilong drivers` prints the list, `lilong drivers NAME` one
of them with an example for `settings.json`. How devices, buses and status channels are set, and
how a driver is added, is in [node.md](node.md).
"""


def page(drivers: Sequence[Leaflet]) -> str:
    """Give the whole page."""
    lines = [_HEAD, "| driver | what | bus | gives |", "|---|---|---|---|"]
    for driver in drivers:
        given = ", ".join(f"`{quantity.name}`" for quantity in driver.gives) or "as options say"
        link = f"[{driver.name}](#{driver.name})"
        lines.append(f"| {link} | {driver.title} | {driver.bus} | {given} |")
    for driver in drivers:
        lines += ["", *_section(driver)]
    return "\n".join(lines) + "\n"


def _section(driver: Leaflet) -> Iterator[str]:
    yield f"## {driver.name}"
    yield ""
    yield f"{driver.title}."
    yield ""
    for name, text in driver.fields.items():
        yield f"* **{name}**: {text}"
    if driver.gives:
        yield ""
        yield "| gives | unit | step | from | to |"
        yield "|---|---|---|---|---|"
        yield from (_quantity_row(quantity) for quantity in driver.gives)
    if driver.options:
        yield ""
        yield "| option | may be | default | what |"
        yield "|---|---|---|---|"
        yield from (_option_row(option) for option in driver.options)


def _quantity_row(given: Quantity) -> str:
    unit = f"`{given.unit}`" if given.unit else ""
    return f"| `{given.name}` | {unit} | 1e{given.exponent} | {given.lowest} | {given.highest} |"


def _option_row(option: Option) -> str:
    words = option.words.replace("|", "\\|")
    return f"| `{option.name}` | {option.form} | {option.default} | {words} |"


def example(driver: Leaflet) -> str:
    """Give settings.json for a node with this one device, as far as they concern it."""
    device: dict[str, object] = {"driver": driver.name}
    buses = {}
    if driver.bus in _BUSES:
        name, buses_pins = _BUSES[driver.bus]
        device["bus"] = name
        buses[name] = buses_pins
    device |= {option.name: f"<{option.form}>" for option in driver.options if not option.default}
    names = [quantity.name for quantity in driver.gives] or ["<quantity>"]
    channels = [
        {"number": number, "name": name, "source": f"here.{name}", "privacy": 0}
        for number, name in enumerate([*names, "status"])
    ]
    settings = {
        "sensor": {"kind": "devices"},
        "buses": buses,
        "devices": {"here": device},
        "channels": channels,
    }
    return json.dumps(settings, indent=1)
