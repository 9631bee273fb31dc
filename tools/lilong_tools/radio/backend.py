"""Makes bleak use virtual adapters, in this process, in programs that know nothing of it."""

from collections.abc import Mapping

import bleak
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner

from lilong_tools.radio.adapter import BLUEZ_INTERVALS_MS, Intervals
from lilong_tools.radio.bleak_client import RadioClient
from lilong_tools.radio.bleak_scanner import RadioScanner
from lilong_tools.radio.fleet import Fleet

NAME = "lilong-radio"
"""What bleak calls this backend (`backend_id`)."""


def scanner_type(of: Fleet) -> type[RadioScanner]:
    """Return the class of scanners on these adapters, for bleak's `backend=`."""

    class Scanner(RadioScanner):
        fleet = of

    return Scanner


def client_type(of: Fleet) -> type[RadioClient]:
    """Return the class of clients on these adapters, for bleak's `backend=`."""

    class Client(RadioClient):
        fleet = of
        scanner = scanner_type(of)

    return Client


def install(adapters: Mapping[str, str], intervals_ms: Intervals = BLUEZ_INTERVALS_MS) -> Fleet:
    """Let bleak find these adapters (name: Bumble transport) and no others, from now on."""
    fleet = Fleet(adapters, intervals_ms)
    scanner, client = scanner_type(fleet), client_type(fleet)

    def scanner_backend() -> tuple[type[BaseBleakScanner], str]:
        return scanner, NAME

    def client_backend() -> tuple[type[BaseBleakClient], str]:
        return client, NAME

    vars(bleak)["get_platform_scanner_backend_type"] = scanner_backend
    vars(bleak)["get_platform_client_backend_type"] = client_backend
    return fleet
