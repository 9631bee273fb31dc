"""The settings of the sinks: who receives what, where, and when it counts as delivered."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lilong_gateway.config_files import read_authorities, read_identity, read_password
from lilong_gateway.config_table import Table
from lilong_gateway.key_file import parse_eui

FORMATS = ("senml+cbor", "senml+json", "event+json", "thingsboard", "iotda", "homeassistant")
CANONICAL = FORMATS[:3]
"""The formats whose receiver can send receipts."""
STREAMS = ("alarm", "control", "data", "bulk")
MAIN = "city"
"""The name of the only sink, unless it is given another."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,3}\Z")
_PORT_LIMIT = 65_535
_SINKS = 16


@dataclass(frozen=True)
class Uplink:
    """One sink: its broker, its format, what goes there, and when that counts as delivered.

    streams are numbers, nodes EUIs and channels patterns of names; none of the latter two: all.
    replay_per_s: batches of a backlog in a second, 0: as fast as it goes. device: this gateway's
    id at the platform.
    """

    host: str
    port: int = 1883
    version: str = "auto"
    format: str = "senml+cbor"
    prefix: str = "lilong"
    confirm: str = "broker"
    window: int = 64
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 30
    timeout_s: float = 10.0
    name: str = MAIN
    start: str = "oldest"
    streams: frozenset[int] = frozenset(range(len(STREAMS)))
    nodes: frozenset[bytes] = frozenset()
    channels: tuple[str, ...] = ()
    replay_per_s: int = 0
    device: str = ""
    discovery_prefix: str = "homeassistant"


def read_uplinks(root: Table, folder: Path) -> tuple[Uplink, ...]:
    """Return the table [uplink], or the tables [[uplink]], each of its own name."""
    if not root.is_list("uplink"):
        return (_read(root.table("uplink", _keys()), folder, MAIN),)
    tables = root.tables("uplink", _keys())
    if not 0 < len(tables) <= _SINKS:
        raise root.error("uplink", f"write 1 to {_SINKS} tables [[uplink]]")
    found: list[Uplink] = []
    for table in tables:
        sink = _read(table, folder, None if len(tables) > 1 else MAIN)
        if sink.name in {other.name for other in found}:
            raise table.error("name", f'"{sink.name}" names two sinks; give each its own name')
        found.append(sink)
    return tuple(found)


def _keys() -> list[str]:
    return [*Uplink.__dataclass_fields__, "password_file"]


def _read(table: Table, folder: Path, name: str | None) -> Uplink:
    if "password" in table.keys:
        raise table.error("password", "no secrets here; put it in a file named by password_file")
    tls = table.flag("tls", default=False)
    certificate, key = read_identity(table, folder)
    if certificate is not None and not tls:
        raise table.error("cert_file", "needs tls = true beside it")
    form = table.text("format", "senml+cbor", FORMATS)
    return Uplink(
        name=_matching(table, "name", name, _NAME, '1 to 40 letters, digits, "_" or "-"'),
        host=table.text("host"),
        port=table.whole("port", 8883 if tls else 1883, 1, _PORT_LIMIT),
        version=table.text("version", "auto", ["auto", "5", "3.1.1"]),
        format=form,
        prefix=_matching(
            *(table, "prefix", "lilong", _PREFIX),
            'letters, digits, "_" or "-", up to four levels by "/"',
        ),
        confirm=_confirm(table, form),
        window=table.whole("window", 64, 1, 1000),
        username=table.optional_text("username"),
        password=read_password(table, folder, alone=form == "iotda"),
        tls=tls,
        ca_file=read_authorities(table, folder),
        cert_file=certificate,
        key_file=key,
        keepalive_s=table.whole("keepalive_s", 30, 5, 3600),
        timeout_s=table.seconds("timeout_s", 10.0, 0.1, 300),
        start=table.text("start", "oldest", ["oldest", "now"]),
        streams=_streams(table),
        nodes=_nodes(table),
        channels=table.texts("channels", []),
        replay_per_s=table.whole("replay_per_s", 0, 0, 1_000_000),
        device=_device(table, form),
        discovery_prefix=_matching(
            *(table, "discovery_prefix", "homeassistant", _PREFIX),
            'letters, digits, "_" or "-", up to four levels by "/"',
        ),
    )


def _matching(
    table: Table, key: str, default: str | None, pattern: re.Pattern[str], told: str
) -> str:
    value = table.text(key, default)
    if not pattern.match(value):
        raise table.error(key, f'"{value}" must be {told}')
    return value


def _confirm(table: Table, form: str) -> str:
    confirm = table.text("confirm", "broker", ["broker", "city"])
    if confirm == "city" and form not in CANONICAL:
        raise table.error(
            "confirm", f'"city" waits for receipts, which {form} has not; write "broker"'
        )
    return confirm


def _streams(table: Table) -> frozenset[int]:
    names = table.texts("streams", list(STREAMS))
    for name in names:
        if name not in STREAMS:
            known = ", ".join(STREAMS)
            raise table.error("streams", f'"{name}" is no stream; the streams are {known}')
    if not names:
        raise table.error("streams", "nothing would go there; name a stream, or remove the key")
    return frozenset(STREAMS.index(name) for name in names)


def _nodes(table: Table) -> frozenset[bytes]:
    found = set()
    for text in table.texts("nodes", []):
        eui = parse_eui(text)
        if eui is None:
            raise table.error("nodes", f'"{text}" is not an EUI-64; write 16 hex digits')
        found.add(eui)
    return frozenset(found)


def _device(table: Table, form: str) -> str:
    device = table.optional_text("device")
    if form == "iotda" and device is None:
        raise table.error("device", "iotda needs the id that the platform gave to this gateway")
    if device is not None and _unfit(device):
        raise table.error("device", 'must not hold "/", "+", "#" or control characters')
    return device or ""


def _unfit(device: Sequence[str]) -> bool:
    return any(letter in "/+#" or not letter.isprintable() for letter in device)
