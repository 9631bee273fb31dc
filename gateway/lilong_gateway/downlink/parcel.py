"""What one node gets in one go: objects that are sent in order, and then put to use."""

import hashlib
from dataclasses import dataclass

from lilong_gateway.downlink.method import CONFIGURATION, MANIFEST, SEGMENT

DIGEST_BYTES = 8
UPDATE = "update"
SETTINGS = "configuration"


@dataclass(frozen=True, slots=True)
class Part:
    """One object, with its SHA-256."""

    kind: int
    index: int
    data: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """An update or a configuration, by its words of this module.

    digest, the first 8 bytes of SHA-256 of its first part, tells it from others of its kind;
    sequence is the update's sequence or the configuration's version. apply is the kind that APPLY
    names.
    """

    what: str
    sequence: int
    digest: bytes
    parts: tuple[Part, ...]
    apply: int

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(len(part.data) for part in self.parts)


def update_parcel(sequence: int, manifest: bytes, files: list[bytes]) -> Parcel:
    """Return the parcel of a signed manifest and its segments, in the manifest's order."""
    segments = [_part(SEGMENT, index, data) for index, data in enumerate(files)]
    return _parcel(UPDATE, sequence, (_part(MANIFEST, 0, manifest), *segments), SEGMENT)


def configuration_parcel(version: int, data: bytes) -> Parcel:
    """Return the parcel of a configuration."""
    return _parcel(SETTINGS, version, (_part(CONFIGURATION, 0, data),), CONFIGURATION)


def _parcel(what: str, sequence: int, parts: tuple[Part, ...], apply: int) -> Parcel:
    return Parcel(what, sequence, parts[0].sha256[:DIGEST_BYTES], parts, apply)


def _part(kind: int, index: int, data: bytes) -> Part:
    return Part(kind, index, data, hashlib.sha256(data).digest())
