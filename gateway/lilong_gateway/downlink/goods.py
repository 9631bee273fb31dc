"""Files of the operator -> what can be pushed; a file that cannot be is an UnusableFileError."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.downlink.bundle import GOOD, SUFFIX, read_bundle, states
from lilong_gateway.downlink.parcel import Parcel, configuration_parcel, update_parcel
from lilong_gateway.errors import UnusableFileError
from lilong_gateway.key_file import parse_eui
from lilong_protocol import cose
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.manifest import verify_by_any

CONFIGURATION_LIMIT = 16384
CONFIGURATION_SUFFIX = ".json"
_VERSION_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Update:
    """A bundle that is whole, for the nodes of a class that have reached a sequence of oldest on.

    signed tells that its signature was checked, and not only that there is one.
    """

    name: str
    device_class: str
    version: str
    oldest: int
    signed: bool
    parcel: Parcel

    @property
    def sequence(self) -> int:
        """Of the manifest; the highest one is the newest."""
        return self.parcel.sequence


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one node; what they say is between the operator and the node."""

    name: str
    eui: bytes
    parcel: Parcel


Goods = Update | Configuration


def read_goods(path: Path, keys: Sequence[bytes] | None) -> Goods:
    """Read a bundle or a configuration, whichever the name says it is; UnusableFileError."""
    return read_update(path, keys) if path.suffix == SUFFIX else read_configuration(path)


def read_update(path: Path, keys: Sequence[bytes] | None) -> Update:
    """Read a bundle: whole, signed, and by one of the keys unless they are None."""
    bundle = read_bundle(path)
    if not bundle.signed:
        raise UnusableFileError(f"{path} is not signed", "sign it with lilong update sign")
    if bad := sorted(name for name, state in states(bundle).items() if state != GOOD):
        problem = f"{path} is not whole ({bad[0]} is not what the manifest says)"
        raise UnusableFileError(problem, "get it again")
    if keys is not None:
        try:
            verify_by_any(cose.parse_sign1(bundle.manifest), keys)
        except AuthenticationError as error:
            problem = f"{path} is not from here ({error})"
            raise UnusableFileError(problem, "sign it with a key of update_keys") from error
    manifest = bundle.contents()
    files = [bundle.files[segment.name] for segment in manifest.segments]
    parcel = update_parcel(manifest.sequence, bundle.manifest, files)
    signed = keys is not None
    name = path.name
    return Update(name, manifest.device_class, manifest.version, manifest.oldest, signed, parcel)


def read_configuration(path: Path) -> Configuration:
    """Read the settings of the node that the file is named by. Nothing of them is ever shown."""
    eui = parse_eui(path.stem)
    if eui is None:
        problem = f"{path} is not named by a node"
        raise UnusableFileError(problem, "name it <eui, 16 hex digits>.json")
    data = _read(path)
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):  # its text would quote the settings
        raise UnusableFileError(f"{path} is not JSON", "correct it") from None
    if not isinstance(document, dict):
        raise UnusableFileError(f"{path} is no JSON object", "write { ... } around it")
    version = document.get("version")
    if type(version) is not int or not 0 < version < _VERSION_LIMIT:
        problem = f'{path} has no "version"'
        raise UnusableFileError(problem, "give a whole number from 1, higher at every change")
    return Configuration(path.name, eui, configuration_parcel(version, data))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIGURATION_LIMIT + 1)
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise UnusableFileError(problem, "let this user read it") from error
    if len(data) > CONFIGURATION_LIMIT:
        problem = f"{path} has more than {CONFIGURATION_LIMIT} bytes"
        raise UnusableFileError(problem, "no node has room for it")
    return data
