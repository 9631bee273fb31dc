"""Bundles as files: written here, read as the gateway reads them.

The same content gives the same bytes.
"""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lilong_gateway.downlink import bundle as gateway
from lilong_gateway.downlink.bundle import FILES, SIGNED, SUFFIX, UNSIGNED, Bundle
from lilong_gateway.errors import UnusableFileError
from lilong_tools.errors import UpdateError

__all__ = ["SUFFIX", "Bundle", "read_bundle", "write_bundle"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644 << 16


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
        return gateway.read_bundle(path)
    except UnusableFileError as error:
        raise UpdateError(error.problem, error.advice) from error


def _members(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    yield (SIGNED if bundle.signed else UNSIGNED), bundle.manifest
    for name, data in sorted(bundle.files.items()):
        yield FILES + name, data


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _MODE
    return entry
