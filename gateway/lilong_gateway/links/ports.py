"""Which ports there are: names, patterns and addresses, as they come and go."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Port(NamedTuple):
    """A port to serve. identity changes when the name comes to mean another device."""

    name: str
    identity: tuple[str, int, int] | None


def find_ports(patterns: Iterable[str]) -> list[Port]:
    """Return the ports of all patterns, each device once.

    A name without wildcards and an address are always there, with identity None while absent.
    """
    found: dict[str, Port] = {}
    for pattern in patterns:
        for port in _expand(pattern):
            device = port.identity[0] if port.identity else port.name
            found.setdefault(device, port)
    return list(found.values())


def is_pattern(port: str) -> bool:
    """Whether a configured port stands for any number of ports."""
    return "://" not in port and glob.has_magic(port)


def _expand(pattern: str) -> Iterator[Port]:
    if "://" in pattern:
        yield Port(pattern, None)
    elif not is_pattern(pattern):
        yield Port(pattern, _identity(pattern))
    else:
        for name in sorted(glob.glob(pattern)):  # noqa: PTH207 - patterns are absolute
            identity = _identity(name)
            if identity is not None:
                yield Port(name, identity)


def _identity(name: str) -> tuple[str, int, int] | None:
    try:
        status = Path(name).stat()
    except OSError:
        return None
    return os.path.realpath(name), status.st_rdev, status.st_ino
