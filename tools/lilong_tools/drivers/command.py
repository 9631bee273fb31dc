"""`lilong drivers`: which sensors a node can read, and how one of them is set."""

import argparse
import dataclasses
import json

from lilong_tools.drivers.leaflet import Leaflet, leaflets
from lilong_tools.drivers.page import example, page
from lilong_tools.errors import ToolError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", nargs="?", help="this driver, with an example of its settings")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--markdown", action="store_true", help="all of them, as docs/drivers.md")


def run(options: argparse.Namespace) -> int:
    """Print; give the exit status."""
    drivers = leaflets()
    if options.markdown:
        print(page(drivers), end="")  # noqa: T201
        return 0
    if options.name:
        drivers = [_named(drivers, options.name)]
    if options.json:
        print(json.dumps([dataclasses.asdict(driver) for driver in drivers], indent=1))  # noqa: T201
    elif options.name:
        print(_details(drivers[0]))  # noqa: T201
    else:
        width = max(len(driver.name) for driver in drivers)
        for driver in drivers:
            print(f"{driver.name:{width}}  {driver.bus:8}{driver.title}")  # noqa: T201
    return 0


def _named(drivers: list[Leaflet], name: str) -> Leaflet:
    for driver in drivers:
        if driver.name == name:
            return driver
    raise ToolError(f"there is no driver {name!r}", "`lilong drivers` lists them")


def _details(driver: Leaflet) -> str:
    lines = [driver.title, ""]
    lines += [f"{name}: {text}" for name, text in driver.fields.items()]
    for given in driver.gives:
        lines.append(
            f"  gives {given.name} [{given.unit}], {given.lowest} to {given.highest},"
            f" steps of 1e{given.exponent}"
        )
    for option in driver.options:
        default = f", default {option.default}" if option.default else ""
        lines.append(f"  option {option.name} ({option.form}{default}): {option.words}")
    return "\n".join([*lines, "", example(driver)])
