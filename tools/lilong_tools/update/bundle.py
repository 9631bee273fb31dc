"""A bundle, `*.lilong`: a zip without compression, of the manifest and the segments' bytes.

`manifest.cose` is the signed manifest; `manifest.cbor`, in its place, one that awaits its
signature. The segments are below `files/`. The same content gives the same bytes.
"""

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lilong_protocol import cose
from lilong_protocol.errors import DecodeError
from lilong_protocol.manifest import (
    MANIFEST_LIMIT,
    SEGMENT_LIMIT,
    SIZE_LIMIT,
    Manifest,
    decode_manifest,
)
from lilong_tools.errors import UpdateError

SUFFIX = ".lilong"

_SIGNED = "manifest.cose"
_UNSIGNED = "manifest.cbor"
_FILES = "files/"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644 << 16
_TOTAL_LIMIT = 4 * SIZE_LIMIT


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: the manifest's bytes, signed or not, and the files by their names."""

    manifest: bytes
    signed: bool
    files: Mapping[str, bytes]

    def payload(self) -> bytes:
        """Give the manifest's payload, which nobody has verified; DecodeError."""
        return bytes(cose.parse_sign1(self.manifest).payload) if self.signed else self.manifest

    def contents(self) -> Manifest:
        """Give what the manifest says, which nobody has verified; DecodeError."""
        return decode_manifest(self.payload())


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write the file whole, or leave what was there; UpdateError when it cannot be written."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for member, data in _members(bundle):
                        archive.writestr(_entry(member), data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        advice = "name a file in a folder that is there, writable and has room"
        raise UpdateError(f"{path} cannot be written ({error.strerror})", advice) from error


def read_bundle(path: Path) -> Bundle:
    """Read a bundle of any maker; UpdateError when it is none, or larger than any can be."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = {entry.filename: archive.read(entry) for entry in _entries(path, archive)}
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise UpdateError(problem, f"name a bundle (*{SUFFIX})") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UpdateError(f"{path} is damaged or no bundle ({error})", "get it again") from error
    manifests = [name for name in (_SIGNED, _UNSIGNED) if name in content]
    if len(manifests) != 1:
        problem = f"{path} holds no manifest, or two"
        raise UpdateError(problem, "name a bundle that lilong update wrote")
    manifest = content.pop(manifests[0])
    files = {name.removeprefix(_FILES): data for name, data in content.items()}
    bundle = Bundle(manifest, manifests[0] == _SIGNED, files)
    try:
        bundle.contents()
    except DecodeError as error:
        problem = f"{path} holds a manifest that no node takes ({error})"
        raise UpdateError(problem, "get it again, or build it anew") from error
    return bundle


def _members(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    yield (_SIGNED if bundle.signed else _UNSIGNED), bundle.manifest
    for name, data in sorted(bundle.files.items()):
        yield _FILES + name, data


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _MODE
    return entry


def _entries(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the entries of an archive after checking names and sizes, before any is read."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > SEGMENT_LIMIT + 1 or len(names) != len(entries):
        raise UpdateError(f"{path} holds too many files", "name a bundle that lilong update wrote")
    for entry in entries:
        is_manifest = entry.filename in {_SIGNED, _UNSIGNED}
        limit = MANIFEST_LIMIT if is_manifest else SIZE_LIMIT
        if not is_manifest and not entry.filename.startswith(_FILES):
            problem = f"{path} holds {entry.filename!r}, which no bundle does"
        elif entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            problem = f"{entry.filename!r} in {path} is compressed"
        elif entry.file_size > limit:
            problem = f"{entry.filename!r} in {path} has more than {limit} bytes"
        else:
            continue
        raise UpdateError(problem, "name a bundle that lilong update wrote")
    if sum(entry.file_size for entry in entries) > _TOTAL_LIMIT:
        raise UpdateError(f"{path} has more than {_TOTAL_LIMIT} bytes", "look where it is from")
    return entries
