"""What `lilong-gateway check` says of updates and configurations, a finding for each file."""

from collections.abc import Iterator
from pathlib import Path

from lilong_gateway.config import Config
from lilong_gateway.downlink.bundle import SUFFIX
from lilong_gateway.downlink.goods import (
    CONFIGURATION_SUFFIX,
    Update,
    read_configuration,
    read_update,
)
from lilong_gateway.downlink.node_status import parse_status
from lilong_gateway.errors import ConfigError, StoreError, UnusableFileError
from lilong_gateway.finding import FAILED, OK, WARNING, Finding
from lilong_gateway.key_file import load_keys
from lilong_gateway.store.glance import told_nodes
from lilong_protocol.errors import DecodeError

_UPDATES = "updates"
_CONFIGURATIONS = "configurations"


def inspect_goods(config: Config) -> Iterator[Finding]:
    """Look at all that lies in the folders of [nodes]; nothing when none is named."""
    settings = config.downlink
    if settings.updates is not None:
        classes = _classes(config)
        for path, trouble in _files(_UPDATES, settings.updates, SUFFIX):
            yield trouble or _inspect_update(path, settings.keys, classes)
    if settings.configurations is not None:
        euis = _euis(config)
        for path, trouble in _files(
            _CONFIGURATIONS, settings.configurations, CONFIGURATION_SUFFIX
        ):
            yield trouble or _inspect_configuration(path, euis)


def _files(what: str, folder: Path, suffix: str) -> Iterator[tuple[Path, Finding | None]]:
    """Give the files of a folder, or the folder with what is wrong with it."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == suffix)
    except OSError as error:
        advice = f"cannot be read ({error.strerror}); make it, for this user"
        yield folder, Finding(what, str(folder), FAILED, advice)
        return
    paths = [path for path in paths if not path.name.startswith(".")]
    if not paths:
        yield folder, Finding(what, str(folder), OK, f"no *{suffix}")
    for path in paths:
        yield path, None


def _inspect_update(path: Path, keys: tuple[bytes, ...] | None, classes: set[str]) -> Finding:
    try:
        update = read_update(path, keys)
    except UnusableFileError as error:
        return _failed(_UPDATES, path, error)
    words = _described(update)
    if classes and update.device_class not in classes:
        known = ", ".join(sorted(classes))
        return Finding(_UPDATES, str(path), WARNING, f"{words}: no node of this class ({known})")
    return Finding(_UPDATES, str(path), OK, words)


def _described(update: Update) -> str:
    signature = "signature good" if update.signed else "signature not checked"
    what = f"{update.device_class} {update.version}, sequence {update.sequence}"
    return f"{what}, {update.parcel.size} bytes, {signature}"


def _inspect_configuration(path: Path, euis: set[bytes] | None) -> Finding:
    try:
        configuration = read_configuration(path)
    except UnusableFileError as error:
        return _failed(_CONFIGURATIONS, path, error)
    words = f"version {configuration.parcel.sequence}"
    if euis is not None and configuration.eui not in euis:
        return Finding(_CONFIGURATIONS, str(path), WARNING, f"{words}: no key for this node")
    return Finding(_CONFIGURATIONS, str(path), OK, words)


def _failed(what: str, path: Path, error: UnusableFileError) -> Finding:
    problem = error.problem.removeprefix(f"{path} ")
    return Finding(what, str(path), FAILED, f"{problem}; {error.advice}")


def _classes(config: Config) -> set[str]:
    """Return the classes that nodes have told, none while the store cannot say."""
    found = set()
    try:
        told = told_nodes(config.data / "store.db")
    except StoreError:
        return set()
    for node in told.values():
        try:
            found.add(parse_status(node.status or b"").device_class)
        except DecodeError:
            continue
    return found


def _euis(config: Config) -> set[bytes] | None:
    try:
        return set(load_keys(config.keys).euis)
    except ConfigError:
        return None
