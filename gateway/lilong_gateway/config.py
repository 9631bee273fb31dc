"""The gateway's settings: TOML -> frozen dataclasses, or a ConfigError with the way out."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from lilong_gateway.config_links import Ble, read_ble, read_ports
from lilong_gateway.config_table import Document, Table
from lilong_gateway.errors import ConfigError
from lilong_gateway.key_file import check_private, parse_eui
from lilong_protocol.errors import DecodeError
from lilong_protocol.manifest import split_public_keys

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_-]{1,40}){0,3}\Z")
_TABLES = ["gateway", "nodes", "serial", "ble", "uplink", "store", "privacy", "log", "status"]
_UPDATES = ["update_keys", "updates_at_once", "updates_failures"]
_NODES = ["keys", "updates", "configurations", *_UPDATES]
_CLASSES = ["P0", "P1", "P2", "P3"]
_DAY_S = 86_400
_PORT_LIMIT = 65_535


@dataclass(frozen=True)
class Uplink:
    """How to reach the city's broker, and when a batch counts as delivered."""

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
    keepalive_s: int = 30
    timeout_s: float = 10.0


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
    uplink: Uplink
    baud: int = 115_200
    scan_s: float = 1.0
    keep_confirmed_s: int = _DAY_S
    release: frozenset[int] = frozenset({0, 1})
    grants: tuple[Grant, ...] = ()
    log_level: str = "info"
    status_file: Path | None = None
    downlink: Downlink = Downlink()
    ble: Ble = field(default_factory=Ble)

    @property
    def topic(self) -> str:
        """The beginning of all this gateway's topics."""
        return f"{self.uplink.prefix}/{self.site}/{self.id}"


def load_config(file: Path) -> Config:
    """Read and check one file; ConfigError for the first thing wrong with it."""
    document = Document(file)
    root = document.root(_TABLES)
    folder = file.resolve().parent
    gateway = root.table("gateway", ["id", "site", "data"])
    serial = root.table("serial", ["ports", "baud", "scan_s"])
    nodes = root.table("nodes", _NODES)
    privacy = root.table("privacy", ["release", "grant"])
    status = root.table("status", ["file"]).optional_text("file")
    return Config(
        id=_name(gateway, "id"),
        site=_name(gateway, "site"),
        data=folder / gateway.text("data"),
        keys=folder / nodes.text("keys"),
        ports=read_ports(serial, needed="ble" not in root.keys),
        uplink=_uplink(root, folder),
        baud=serial.whole("baud", 115_200, 300, 4_000_000),
        scan_s=serial.seconds("scan_s", 1.0, 0.05, 3600),
        keep_confirmed_s=root.table("store", ["keep_confirmed_s"]).whole(
            "keep_confirmed_s", _DAY_S, 0, 3650 * _DAY_S
        ),
        release=_release(privacy),
        grants=_grants(privacy),
        log_level=root.table("log", ["level"]).text(
            "level", "info", ["debug", "info", "warning", "error"]
        ),
        status_file=None if status is None else folder / status,
        downlink=_downlink(nodes, folder),
        ble=read_ble(root),
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
    file = _readable(nodes, "update_keys", folder / name)
    try:
        return tuple(split_public_keys(file.read_bytes()))
    except DecodeError:
        problem = f"{file}: no file of public keys; name the .pub file that signs updates"
        raise nodes.error("update_keys", problem) from None


def _uplink(root: Table, folder: Path) -> Uplink:
    table = root.table("uplink", [*Uplink.__dataclass_fields__, "password_file"])
    if "password" in table.keys:
        raise table.error("password", "no secrets here; put it in a file named by password_file")
    username = table.optional_text("username")
    ca_file = table.optional_text("ca_file")
    tls = table.flag("tls", default=False)
    prefix = table.text("prefix", "lilong")
    if not _PREFIX.match(prefix):
        raise table.error(
            "prefix", 'must be letters, digits, "_" or "-", up to four levels by "/"'
        )
    return Uplink(
        host=table.text("host"),
        port=table.whole("port", 8883 if tls else 1883, 1, _PORT_LIMIT),
        version=table.text("version", "auto", ["auto", "5", "3.1.1"]),
        format=table.text("format", "senml+cbor", ["senml+cbor", "senml+json"]),
        prefix=prefix,
        confirm=table.text("confirm", "broker", ["broker", "city"]),
        window=table.whole("window", 64, 1, 1000),
        username=username,
        password=_password(table, folder),
        tls=tls,
        ca_file=None if ca_file is None else _certificates(table, folder / ca_file),
        keepalive_s=table.whole("keepalive_s", 30, 5, 3600),
        timeout_s=table.seconds("timeout_s", 10.0, 0.1, 300),
    )


def _password(table: Table, folder: Path) -> str | None:
    name = table.optional_text("password_file")
    if name is None:
        return None
    if "username" not in table.keys:
        raise table.error("password_file", "needs a username beside it")
    file = _readable(table, "password_file", folder / name)
    try:
        check_private(file)
    except ConfigError as error:
        raise table.error("password_file", f"{file}: {error.problem}") from None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise table.error("password_file", f"{file}: not UTF-8 text; save it as UTF-8") from None


def _certificates(table: Table, file: Path) -> Path:
    _readable(table, "ca_file", file)
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise table.error("ca_file", f"{file}: holds no certificates in PEM form") from None
    return file


def _readable(table: Table, key: str, file: Path) -> Path:
    try:
        file.read_bytes()
    except OSError as error:
        raise table.error(key, f"{file}: {error.strerror}; check path and owner") from None
    return file


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
