"""From files to a bundle: the manifest is made of them, and signed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.downlink.bundle import GOOD, Bundle, states
from lilong_protocol.errors import ProtocolError, RangeError
from lilong_protocol.manifest import (
    APPLICATION,
    BASE_IMAGE,
    SEGMENT_LIMIT,
    SIZE_LIMIT,
    Manifest,
    Segment,
    encode_manifest,
)
from lilong_tools.errors import UpdateError
from lilong_tools.update.keys import SigningKey


@dataclass(frozen=True)
class Terms:
    """For which nodes an update is, and when they may take it."""

    device_class: str
    sequence: int
    oldest: int
    version: str


def unsigned(terms: Terms, kind: int, files: Mapping[str, bytes]) -> Bundle:
    """Give a bundle of these files that awaits its signature; UpdateError when none can be."""
    segments = [
        Segment(name, len(data), hashlib.sha256(data).digest())
        for name, data in sorted(files.items(), key=lambda item: item[0].split("/"))
    ]
    manifest = Manifest(
        terms.device_class, terms.sequence, terms.oldest, terms.version, kind, segments
    )
    try:
        return Bundle(encode_manifest(manifest), signed=False, files=files)
    except RangeError as error:
        problem = f"no manifest can say this ({error})"
        raise UpdateError(problem, "correct the options, or give fewer or other files") from error


def signed(bundle: Bundle, key: SigningKey) -> Bundle:
    """Give the bundle with its manifest signed; UpdateError when its files are not the manifest's.

    A signature that it has is replaced.
    """
    if bad := sorted(name for name, state in states(bundle).items() if state != GOOD):
        problem = f"{bad[0]} in the bundle is not what the manifest says"
        raise UpdateError(problem, "sign nothing that was changed on its way: build it again")
    try:
        return Bundle(key.signed(bundle.payload()), signed=True, files=bundle.files)
    except ProtocolError as error:
        raise UpdateError(f"the manifest cannot be signed ({error})", "build it again") from error


def ready_made(path: Path) -> tuple[int, dict[str, bytes]]:
    """Give kind and files of what was built elsewhere: a folder of modules, or one image.

    UpdateError when it cannot be read or is too large.
    """
    try:
        if path.is_dir():
            return APPLICATION, _folder(path)
        return BASE_IMAGE, {path.name: _file(path)}
    except OSError as error:
        problem = f"{error.filename or path} cannot be read ({error.strerror})"
        raise UpdateError(problem, "name a bundle, a folder or an image") from error


def _folder(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    if len(paths) > SEGMENT_LIMIT:
        problem = f"{folder} holds {len(paths)} files, more than {SEGMENT_LIMIT}"
        raise UpdateError(problem, "name the folder with the compiled modules alone")
    return {path.relative_to(folder).as_posix(): _file(path) for path in paths}


def _file(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise UpdateError(f"{path} is not a file", "name a bundle, a folder or an image")
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise UpdateError(f"{path} has more than {SIZE_LIMIT} bytes", "no node has room for it")
    return data
