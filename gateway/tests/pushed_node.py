"""A node's side of STATUS, OFFER, WRITE and APPLY, and bundles to push to it."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lilong_gateway.downlink.goods import Update, read_update
from lilong_gateway.downlink.method import CONFIGURATION, MANIFEST, SEGMENT
from lilong_protocol import cbor, cose
from lilong_protocol.errors import ProtocolError
from lilong_protocol.manifest import (
    APPLICATION,
    Manifest,
    Segment,
    encode_manifest,
    open_manifest,
)
from lilong_protocol.request import APPLY, DONE, OFFER, REFUSED, STATUS, UNKNOWN, WRITE

TRYING, CONFIRMED, ROLLED_BACK = 1, 2, 3
KEPT, REVERTED = 2, 3
CLASS = "lilong"


class Maker:
    """Signs updates."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def bundle(
        self,
        path: Path,
        sequence: int,
        files: dict[str, bytes],
        *,
        oldest: int = 0,
        device_class: str = CLASS,
    ) -> Path:
        """Write a bundle; the files' names are in the order of paths."""
        segments = [
            Segment(name, len(data), hashlib.sha256(data).digest())
            for name, data in sorted(files.items())
        ]
        manifest = Manifest(device_class, sequence, oldest, "1.0", APPLICATION, segments)
        payload = encode_manifest(manifest)
        signature = self._key.sign(cose.to_be_signed(payload))
        message = cose.pack_sign1(payload, signature, cose.key_id(self.public))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("manifest.cose", message)
            for name, data in files.items():
                archive.writestr(f"files/{name}", data)
        return path

    def update(self, folder: Path, sequence: int, files: dict[str, bytes], **more) -> Update:
        """Return a bundle as the gateway reads it."""
        path = folder / f"{sequence}.lilong"
        return read_update(self.bundle(path, sequence, files, **more), [self.public])


class NoneSuchError(Exception):
    """What the node refuses, in words."""


class PushedNode:
    """Flash that outlives restarts; what is applied is tried by start(), after a restart."""

    def __init__(self, public: bytes, restart: Callable[[], None] = lambda: None) -> None:
        self.restart = restart
        self.keeps = True
        """Whether the next update, or configuration, proves good."""
        self.sequence = 0
        self.result = (0, 0)
        self.configuration = b"{}"
        self.configuration_state = 0
        self.slot: dict[str, bytes] = {}
        self.asked: list[int] = []
        self._public = public
        self._inbox: dict[tuple[int, int, bytes], bytearray] = {}
        self._offered: tuple[int, int, int, bytes] | None = None
        self._manifest: Manifest | None = None

    def answer(self, method: int, body: bytes) -> tuple[int, bytes]:
        """Do what is asked; return code and payload."""
        self.asked.append(method)
        ways = {STATUS: self._status, OFFER: self._offer, WRITE: self._write, APPLY: self._apply}
        if method not in ways:
            return UNKNOWN, b""
        try:
            return DONE, cbor.encode_sequence(ways[method](*cbor.decode_sequence(body)))
        except (NoneSuchError, ProtocolError, TypeError) as error:
            return REFUSED, str(error).encode()

    def lose_power(self) -> None:
        """Forget what is not in flash."""
        self._offered = self._manifest = None

    def _status(self):
        digest = hashlib.sha256(self.configuration).digest()[:8]
        running = (CLASS, 1, self.sequence, False, *self.result, False)
        return (1, digest, *running, self.configuration_state)

    def _offer(self, kind, index, size, sha256):
        if kind == SEGMENT:
            self._check_segment(index, size, sha256)
        self._offered = (kind, index, size, sha256)
        held = self._held()
        if len(held) == size and kind == MANIFEST:
            self._take_manifest(bytes(held))
        return (len(held),)

    def _write(self, offset, data):
        if self._offered is None:
            raise NoneSuchError("nothing is under way")
        kind, _, size, sha256 = self._offered
        held = self._held()
        if offset != len(held):
            return (len(held),)
        if offset + len(data) > size:
            raise NoneSuchError("too long")
        held += data
        if len(held) == size and hashlib.sha256(held).digest() != sha256:
            held.clear()
        elif len(held) == size and kind == MANIFEST:
            self._take_manifest(bytes(held))
        return (len(held),)

    def _apply(self, kind):
        if kind == CONFIGURATION:
            self._apply_configuration()
        else:
            self._apply_update()
        self.lose_power()
        self.restart()
        return ()

    def _held(self) -> bytearray:
        kind, index, _, sha256 = self._offered
        return self._inbox.setdefault((kind, index, sha256), bytearray())

    def _take_manifest(self, data: bytes) -> None:
        kind, index, _, sha256 = self._offered
        try:
            manifest = open_manifest(data, [self._public])
            self._check_manifest(manifest)
        except (ProtocolError, NoneSuchError) as error:
            del self._inbox[kind, index, sha256]
            self._offered = None
            raise NoneSuchError(str(error)) from None
        self._manifest = manifest

    def _check_manifest(self, manifest: Manifest) -> None:
        fits = manifest.oldest <= self.sequence < manifest.sequence
        if manifest.device_class != CLASS or not fits:
            raise NoneSuchError("not for this node")

    def _check_segment(self, index, size, sha256) -> None:
        if self._manifest is None:
            raise NoneSuchError("no manifest")
        segment = self._manifest.segments[index]
        if (segment.size, segment.sha256) != (size, sha256):
            raise NoneSuchError("another one in the manifest")

    def _apply_configuration(self) -> None:
        found = [data for (kind, _, _), data in self._inbox.items() if kind == CONFIGURATION]
        if not found:
            raise NoneSuchError("nothing to apply")
        if b"bad" in found[-1]:
            raise NoneSuchError("bad: means nothing here")
        self.configuration_state = KEPT if self.keeps else REVERTED
        self.configuration = bytes(found[-1]) if self.keeps else self.configuration

    def _apply_update(self) -> None:
        if self._manifest is None:
            raise NoneSuchError("no manifest")
        files = {}
        for index, segment in enumerate(self._manifest.segments):
            data = bytes(self._inbox.get((SEGMENT, index, segment.sha256), b""))
            if hashlib.sha256(data).digest() != segment.sha256:
                raise NoneSuchError(f"segment {index} is missing")
            files[segment.name] = data
        self.result = (CONFIRMED if self.keeps else ROLLED_BACK, self._manifest.sequence)
        if self.keeps:
            self.slot, self.sequence = files, self._manifest.sequence
