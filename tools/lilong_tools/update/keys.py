"""The Ed25519 keys that updates are signed with; the only place of the tools that sees one."""

import contextlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lilong_protocol import cose
from lilong_protocol.errors import DecodeError
from lilong_protocol.manifest import open_manifest, split_public_keys
from lilong_tools.errors import UpdateError
from lilong_tools.update.passphrase import Passphrase

_FILE_LIMIT = 16384


class SigningKey:
    """A private key; it is never shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def signed(self, payload: bytes) -> bytes:
        """Give the signed manifest with this payload, after opening it as a node does."""
        signature = self._key.sign(cose.to_be_signed(payload))
        message = cose.pack_sign1(payload, signature, cose.key_id(self.public))
        open_manifest(message, [self.public])
        return message


def generate(path: Path, passphrase: bytes | None) -> bytes:
    """Write a new private key (PKCS#8 PEM, mode 0600) and beside it `.pub`, 32 bytes, returned.

    UpdateError when one of the files is there already or cannot be written.
    """
    public_path = public_path_of(path)
    for taken in (path, public_path):
        if taken.exists():
            raise UpdateError(
                f"{taken} is there already", "name another file, keys are not lost so"
            )
    key = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    public = key.public_key().public_bytes_raw()
    _create(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
    try:
        _create(public_path, public, 0o644)
    except UpdateError:
        path.unlink(missing_ok=True)
        raise
    return public


def public_path_of(path: Path) -> Path:
    """Give the path of the public key beside a private one."""
    return path.with_name(path.name + ".pub")


def read_signing_key(path: Path, passphrase: Passphrase) -> SigningKey:
    """Read a private key; UpdateError when it is none, or lies open to others unencrypted."""
    data, mode = _read(path)
    encrypted = b"ENCRYPTED" in data
    if not encrypted and mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = f"{path} is a key that others may read (mode {stat.S_IMODE(mode):04o})"
        raise UpdateError(problem, f"chmod 600 {path}, or protect it with a passphrase")
    password = passphrase.known(path) if encrypted else None
    try:
        key = load_pem_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "does not open with this passphrase" if encrypted else "is no private key (PEM)"
        advice = "give the right one" if encrypted else "name the file that keygen wrote"
        raise UpdateError(f"{path} {what}", advice) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UpdateError(f"{path} is a key of another kind", "name an Ed25519 key")
    return SigningKey(key)


def read_public_keys(path: Path) -> list[bytes]:
    """Read a file as the node has it: the active key, and perhaps one for recovery."""
    data, _ = _read(path)
    try:
        return split_public_keys(data)
    except DecodeError as error:
        problem = f"{path} is no file of public keys ({error})"
        raise UpdateError(
            problem, "name the .pub file that keygen wrote, or update.pub"
        ) from error


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UpdateError(f"{path} is not a file", "name the file of a key")
            return file.read(_FILE_LIMIT), mode
    except OSError as error:
        raise UpdateError(
            f"{path} cannot be read ({error.strerror})", "name a key file"
        ) from error


def _create(path: Path, data: bytes, mode: int) -> None:
    """Write a file that was not there, and nothing of it when that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        advice = "name a file in a folder that is there and writable"
        raise UpdateError(f"{path} cannot be written ({error.strerror})", advice) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise UpdateError(f"{path} cannot be written ({error.strerror})", "make room") from error
