"""The gateway's settings: TOML -> frozen dataclasses, or a ConfigError with the way out."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from lilong_gateway.config_files import read_file
from lilong_gateway.config_http import Http, read_http
from lilong_gateway.config_links import Ble, read_ble, read_ports
from lilong_gateway.config_store import Storage, read_storage
from lilong_gateway.config_table import Document, Table
from lilong_gateway.config_uplink import Uplink, read_uplinks
from lilong_gateway.key_file import parse_eui
from lilong_protocol.errors import DecodeError
from lilong_protocol.manifest import split_public_keys

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_LINKS = ["serial", "ble", "uplink"]
_TABLES = ["gateway", "nodes", *_LINKS, "store", "privacy", "log", "status", "http"]
_UPDATES = ["update_keys", "updates_at_once", "updates_failures"]
_NODES = ["keys", "updates", "configurations", *_UPDATES]
_CLASSES = ["P0", "P1", "P2", "P3"]


@dataclass(frozen=True)
class Grant:
    """Leave for one node's channels of some classes to go north."""

    eui: bytes
    classes: frozenset[int]
    reason: str


@dataclass(frozen=True)
class Downlink:
    """What is pushed to nodes: folders, None for none, and how carefully updates spread.

    keys are those that sign updates, None: a signature is left to the nodes. at_once is how many
    nodes take updates at a time; failures is on how many nodes one may fail before it is stopped.
    """

    updates: Path | None = None
    configurations: Path | None = None
    keys: tuple[bytes, ...] | None = None
    at_once: int = 4
    failures: int = 3


@dataclass(frozen=True)
class Config:
    """Everything the gateway is told; all paths are resolved."""

    id: str
    site: str
    data: Path
    keys: Path
    ports: tuple[str, ...]
    uplinks: tuple[Uplink, ...]
    baud: int = 115_200
    scan_s: float = 1.0
    storage: Storage = field(default_factory=Storage)
    release: frozenset[int] = frozenset({0, 1})
    grants: tuple[Grant, ...] = ()
    log_level: str = "info"
    log_format: str = "text"
    status_file: Path | None = None
    downlink: Downlink = Downlink()
    ble: Ble = field(default_factory=Ble)
    http: Http | None = None

    def topic_of(self, sink: Uplink) -> str:
        """Return the beginning of all of this gateway's topics at one sink."""
        return f"{sink.prefix}/{self.site}/{self.id}"


def load_config(file: Path) -> Config:
    """Read and check one file; ConfigError for the first thing wrong with it."""
    document = Document(file)
    root = document.root(_TABLES)
    folder = file.resolve().parent
    gateway = root.table("gateway", ["id", "site", "data"])
    serial = root.table("serial", ["ports", "baud", "scan_s"])
    nodes = root.table("nodes", _NODES)
    privacy = root.table("privacy", ["release", "grant"])
    log = root.table("log", ["level", "format"])
    status = root.table("status", ["file"]).optional_text("file")
    return Config(
        id=_name(gateway, "id"),
        site=_name(gateway, "site"),
        data=folder / gateway.text("data"),
        keys=folder / nodes.text("keys"),
        ports=read_ports(serial, needed="ble" not in root.keys),
        uplinks=read_uplinks(root, folder),
        baud=serial.whole("baud", 115_200, 300, 4_000_000),
        scan_s=serial.seconds("scan_s", 1.0, 0.05, 3600),
        storage=read_storage(root),
        release=_release(privacy),
        grants=_grants(privacy),
        log_level=log.text("level", "info", ["debug", "info", "warning", "error"]),
        log_format=log.text("format", "text", ["text", "json"]),
        status_file=None if status is None else folder / status,
        downlink=_downlink(nodes, folder),
        ble=read_ble(root),
        http=read_http(root),
    )


def _name(table: Table, key: str) -> str:
    value = table.text(key)
    if not _NAME.match(value):
        raise table.error(key, f'"{value}" must be 1 to 40 letters, digits, "_" or "-"')
    return value


def _downlink(nodes: Table, folder: Path) -> Downlink:
    updates = nodes.optional_text("updates")
    configurations = nodes.optional_text("configurations")
    for key in _UPDATES:
        if updates is None and key in nodes.keys:
            raise nodes.error(key, "needs updates beside it; name the folder of bundles")
    return Downlink(
        updates=None if updates is None else folder / updates,
        configurations=None if configurations is None else folder / configurations,
        keys=_update_keys(nodes, folder),
        at_once=nodes.whole("updates_at_once", Downlink.at_once, 1, 1000),
        failures=nodes.whole("updates_failures", Downlink.failures, 1, 1000),
    )


def _update_keys(nodes: Table, folder: Path) -> tuple[bytes, ...] | None:
    name = nodes.optional_text("update_keys")
    if name is None:
        return None
    file = folder / name
    data = read_file(nodes, "update_keys", file)
    try:
        return tuple(split_public_keys(data))
    except DecodeError:
        problem = f"{file}: no file of public keys; name the .pub file that signs updates"
        raise nodes.error("update_keys", problem) from None


def _release(privacy: Table) -> frozenset[int]:
    classes = _classes(privacy, "release", ["P0", "P1"])
    if classes & {2, 3}:
        raise privacy.error(
            "release", "P2 and P3 are never released for all; write a [[privacy.grant]] per node"
        )
    return classes


def _classes(table: Table, key: str, default: list[str] | None = None) -> frozenset[int]:
    names = table.texts(key, default)
    for name in names:
        if name not in _CLASSES:
            raise table.error(key, f'"{name}" is no class; the classes are P0, P1, P2, P3')
    return frozenset(_CLASSES.index(name) for name in names)


def _grants(privacy: Table) -> tuple[Grant, ...]:
    grants = []
    for table in privacy.tables("grant", ["node", "classes", "reason"]):
        eui = parse_eui(table.text("node"))
        if eui is None:
            raise table.error("node", "not an EUI-64; write 16 hex digits in quotes")
        grants.append(Grant(eui, _classes(table, "classes"), table.text("reason")))
    return tuple(grants)
