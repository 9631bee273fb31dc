"""`lilong-gateway check`: is everything there that a run needs? One line each, with advice."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lilong_gateway.check_sinks import check_sink
from lilong_gateway.config import Config, load_config
from lilong_gateway.downlink.inspection import inspect_goods
from lilong_gateway.errors import (
    ConfigError,
    LinkBusyError,
    LinkError,
    LinkMissingError,
)
from lilong_gateway.finding import FAILED, OK, WARNING, Finding
from lilong_gateway.key_file import load_keys
from lilong_gateway.links.ports import find_ports, is_pattern
from lilong_gateway.links.serial import probe_serial
from lilong_gateway.store.database import free_bytes
from lilong_gateway.store.folder import in_the_way, nearest
from lilong_gateway.store.lock import is_held

_ROOM_BYTES = 256 << 20
_LISTEN_S = 3.0
_ADAPTER_ADVICE = "see `bluetoothctl list` and `show`, and that bluetoothd runs"


def check(file: Path) -> Iterator[Finding]:
    """Look at everything, in order; the first wrong setting ends it."""
    try:
        config = load_config(file)
    except ConfigError as error:
        yield Finding("configuration", *_place(file, error), configuration=True)
        return
    yield Finding("configuration", str(file), OK, "")
    yield _check_keys(config)
    yield _check_data(config.data, config.storage.max_bytes)
    yield from inspect_goods(config)
    for pattern in config.ports:
        yield from _check_ports(pattern, config.baud)
    for adapter in config.ble.adapters:
        yield _check_adapter(adapter, config.ble.scan)
    for sink in config.uplinks:
        yield check_sink(sink)


def _check_keys(config: Config) -> Finding:
    try:
        keys = load_keys(config.keys)
    except ConfigError as error:
        return Finding("keys", *_place(config.keys, error), configuration=True)
    if not len(keys):
        return Finding("keys", str(config.keys), WARNING, "holds no node; every node is refused")
    numbers = f"{len(keys)} nodes, {keys.rotating} rotating, {len(keys.revoked)} revoked"
    return Finding("keys", str(config.keys), OK, numbers)


def _place(file: Path, error: ConfigError) -> tuple[str, str, str]:
    """Return where, verdict and advice; the file is named once."""
    where = f"{file}:{error.line}" if error.line else str(file)
    return where, FAILED, f"{error.key}: {error.problem}" if error.key else error.problem


def _check_data(folder: Path, most_bytes: int) -> Finding:
    present = nearest(folder)
    if not present.is_dir():
        place, advice = in_the_way(present).split(": ", 1)
        return Finding("data", place, FAILED, advice)
    if present != folder:
        return _check_makeable(folder, present, most_bytes)
    where = str(folder)
    try:
        _try_writing(folder)
        held = is_held(folder)
    except OSError as error:
        advice = f"cannot be written ({error.strerror}); give this user the folder and all in it"
        return Finding("data", where, FAILED, advice)
    if held:
        return Finding("data", where, WARNING, "in use by a gateway that runs now")
    return _check_room(where, folder, "", most_bytes)


def _check_makeable(folder: Path, above: Path, most_bytes: int) -> Finding:
    if not os.access(above, os.W_OK | os.X_OK):
        advice = f"not there, and this user may not make it in {above}; make it for this user"
        return Finding("data", str(folder), FAILED, advice)
    return _check_room(str(folder), above, "will be made; ", most_bytes)


def _try_writing(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"lilong")
        file.flush()
    for part in folder.glob("store.db*"):
        part.open("r+b").close()


def _check_room(where: str, folder: Path, first: str, most_bytes: int) -> Finding:
    free = free_bytes(folder)
    if free < _ROOM_BYTES:
        advice = f"{first}only {free >> 20} MiB free; free some space"
        return Finding("data", where, WARNING, advice)
    used = sum(part.stat().st_size for part in Path(where).glob("store.db*"))
    if free + used < most_bytes:
        problem = f"{free >> 20} MiB free, the store may take {most_bytes >> 20} MiB"
        advice = f"{first}{problem}; free some space, or lower store.max_bytes"
        return Finding("data", where, WARNING, advice)
    return Finding("data", where, OK, f"{first}{free >> 20} MiB free")


def _check_ports(pattern: str, baud: int) -> Iterator[Finding]:
    ports = find_ports([pattern])
    if not ports and is_pattern(pattern):
        yield Finding("port", pattern, WARNING, "matches no port now; plug a node in")
    for port in ports:
        yield _check_port(port.name, baud)


def _check_port(name: str, baud: int) -> Finding:
    try:
        probe_serial(name, baud)
    except LinkMissingError as error:
        return Finding("port", name, FAILED, f"missing: {error.problem}")
    except LinkBusyError as error:
        return Finding("port", name, FAILED, f"busy: {error.problem}")
    except LinkError as error:
        return Finding("port", name, FAILED, error.problem)
    return Finding("port", name, OK, "")


def _check_adapter(name: str, scanning: Literal["active", "passive"]) -> Finding:
    """Listen for a while; imports what only a gateway with a radio needs."""
    from lilong_gateway.links.ble import listen_for  # noqa: PLC0415

    try:
        heard = asyncio.run(listen_for(name, scanning, _LISTEN_S))
    except LinkError as error:
        return Finding("adapter", name, FAILED, f"{error.problem}; {_ADAPTER_ADVICE}")
    if not heard:
        advice = f"no node heard in {_LISTEN_S:g} s; are there any near, and switched on?"
        return Finding("adapter", name, WARNING, advice)
    return Finding("adapter", name, OK, f"{heard} nodes heard in {_LISTEN_S:g} s")
