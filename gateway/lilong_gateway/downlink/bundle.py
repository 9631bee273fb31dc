"""A bundle, `*.lilong`: a zip without compression, of the manifest and the segments' bytes.

`manifest.cose` is the signed manifest; `manifest.cbor`, in its place, one that awaits its
signature. The segments are below `files/`.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.errors import UnusableFileError
from lilong_protocol import cose
from lilong_protocol.errors import DecodeError
from lilong_protocol.manifest import (
    MANIFEST_LIMIT,
    SEGMENT_LIMIT,
    SIZE_LIMIT,
    Manifest,
    decode_manifest,
)

SUFFIX = ".lilong"
SIGNED = "manifest.cose"
UNSIGNED = "manifest.cbor"
FILES = "files/"
TOTAL_LIMIT = 4 * SIZE_LIMIT
"""Bytes of all files of a bundle."""

GOOD = "good"
DAMAGED = "damaged"
MISSING = "missing"
STRANGE = "not in the manifest"

_ARCHIVE_LIMIT = TOTAL_LIMIT + (1 << 20)


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


def read_bundle(path: Path) -> Bundle:
    """Read a bundle of any maker; UnusableFileError when it is none, or larger than any can be."""
    content = _content(path)
    manifests = [name for name in (SIGNED, UNSIGNED) if name in content]
    if len(manifests) != 1:
        problem = f"{path} holds no manifest, or two"
        raise UnusableFileError(problem, "name a bundle that lilong update wrote")
    manifest = content.pop(manifests[0])
    files = {name.removeprefix(FILES): data for name, data in content.items()}
    bundle = Bundle(manifest, manifests[0] == SIGNED, files)
    try:
        bundle.contents()
    except DecodeError as error:
        problem = f"{path} holds a manifest that no node takes ({error})"
        raise UnusableFileError(problem, "get it again, or build it anew") from error
    return bundle


def states(bundle: Bundle) -> dict[str, str]:
    """Give the state of each file of the manifest or the bundle by its name; DecodeError."""
    found = dict.fromkeys(bundle.files, STRANGE)
    for segment in bundle.contents().segments:
        data = bundle.files.get(segment.name)
        if data is None:
            found[segment.name] = MISSING
        elif len(data) == segment.size and hashlib.sha256(data).digest() == segment.sha256:
            found[segment.name] = GOOD
        else:
            found[segment.name] = DAMAGED
    return found


def _content(path: Path) -> dict[str, bytes]:
    try:
        if path.stat().st_size > _ARCHIVE_LIMIT:
            raise _too_large(path)
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: archive.read(entry) for entry in _entries(path, archive)}
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise UnusableFileError(problem, f"name a bundle (*{SUFFIX})") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        problem = f"{path} is damaged or no bundle ({error})"
        raise UnusableFileError(problem, "get it again") from error


def _entries(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the entries of an archive after checking names and sizes, before any is read."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > SEGMENT_LIMIT + 1 or len(names) != len(entries):
        problem = f"{path} holds too many files"
        raise UnusableFileError(problem, "name a bundle that lilong update wrote")
    for entry in entries:
        is_manifest = entry.filename in {SIGNED, UNSIGNED}
        limit = MANIFEST_LIMIT if is_manifest else SIZE_LIMIT
        if not is_manifest and not entry.filename.startswith(FILES):
            problem = f"{path} holds {entry.filename!r}, which no bundle does"
        elif entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            problem = f"{entry.filename!r} in {path} is compressed"
        elif entry.file_size > limit:
            problem = f"{entry.filename!r} in {path} has more than {limit} bytes"
        else:
            continue
        raise UnusableFileError(problem, "name a bundle that lilong update wrote")
    if sum(entry.file_size for entry in entries) > TOTAL_LIMIT:
        raise _too_large(path)
    return entries


def _too_large(path: Path) -> UnusableFileError:
    return UnusableFileError(f"{path} has more than {TOTAL_LIMIT} bytes", "look where it is from")
