"""Changing the key file: comments and order stay, and a kill leaves the old file or the new one.

The only importer of tomlkit.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import KeyType, SingleKey, Table

from lilong_gateway.errors import ConfigError
from lilong_gateway.key_file import check_private, load_keys, parse_eui
from lilong_gateway.keys import KeyRing
from lilong_gateway.store.folder import sync_folder


class KeyDraft:
    """A key file that is being changed; keys is what stands in it before."""

    def __init__(self, text: str, keys: KeyRing) -> None:
        self.keys = keys
        self._document = tomlkit.parse(text)

    @property
    def text(self) -> str:
        """The file as it is to be."""
        return tomlkit.dumps(self._document)

    def set_keys(self, eui: bytes, keys: tuple[bytes, ...]) -> None:
        """Give a node that stands in the file these keys, one or two, the oldest first."""
        table = self._table("keys")
        texts = [key.hex() for key in keys]
        table[_written(table, eui)] = texts[0] if len(texts) == 1 else texts

    def revoke(self, eui: bytes, reason: str) -> None:
        """Name a node under [revoked]."""
        self._table("revoked").add(SingleKey(eui.hex(), KeyType.Basic), reason)

    def restore(self, eui: bytes) -> None:
        """Take a node out of [revoked]."""
        table = self._table("revoked")
        del table[_written(table, eui)]

    def _table(self, name: str) -> Table:
        if name not in self._document:
            self._document[name] = tomlkit.table()
        table: Table = self._document[name]
        return table


@contextmanager
def changing(file: Path) -> Iterator[KeyDraft]:
    """Yield the file as a draft and put the draft in its place at the end; ConfigError.

    Nothing is written if the block raises or changes nothing. Mode and owner stay.
    """
    check_private(file)
    file = file.resolve()
    with _alone(file):
        keys = load_keys(file)
        text = file.read_bytes().decode()
        draft = KeyDraft(text, keys)
        yield draft
        if draft.text != text:
            _replace(file, draft.text.encode())


def _written(table: MutableMapping[str, Any], eui: bytes) -> str:
    return next(written for written in table if parse_eui(written) == eui)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other commands from changing the file; what they wrote in between would be lost."""
    try:
        handle = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritten(file, error) from None
    try:
        _lock(handle, file)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, file: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        problem = "another program is changing it; try again when that is done"
        raise ConfigError(str(file), 0, "", problem) from None


def _replace(file: Path, data: bytes) -> None:
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        _write(fresh, data, file.stat())
        load_keys(fresh)
        fresh.rename(file)
        sync_folder(file.parent)
    except OSError as error:
        raise _unwritten(file, error) from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _write(fresh: Path, data: bytes, like: os.stat_result) -> None:
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        made = os.fstat(handle)
        if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(handle, like.st_uid, like.st_gid)
        os.fchmod(handle, stat.S_IMODE(like.st_mode))
        file.write(data)
        file.flush()
        os.fsync(handle)


def _unwritten(file: Path, error: OSError) -> ConfigError:
    reason = error.strerror or "no reason given"
    problem = f"cannot be changed ({reason}); run this as the owner of the file and its folder"
    return ConfigError(str(file), 0, "", problem)
