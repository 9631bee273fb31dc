"""The nodes' keys: a TOML file that nobody but its owner may read."""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from lilong_gateway.config_table import Document, Table
from lilong_gateway.errors import ConfigError

_EUI = re.compile(r"[0-9a-fA-F]{16}\Z")
_KEY = re.compile(r"[0-9a-fA-F]{32}\Z")


class KeyRing:
    """The 16-byte key of each node by its EUI-64; never shown."""

    def __init__(self, keys: Mapping[bytes, bytes]) -> None:
        self._keys = dict(keys)

    def __call__(self, eui: bytes) -> bytes | None:
        """Return the key of a node, None for a stranger."""
        return self._keys.get(eui)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({len(self)} nodes)"


def parse_eui(text: str) -> bytes | None:
    """Return the 8 bytes of 16 hex digits, None for anything else."""
    return bytes.fromhex(text) if _EUI.match(text) else None


def check_private(file: Path) -> None:
    """Refuse a file with secrets that group or others can read; ConfigError with the remedy."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(file), 0, "", f"{reason}; check the path and its owner") from None
    if mode & 0o077:
        problem = f"mode {mode:04o} lets others read secrets; give it mode 0600 (chmod 600)"
        raise ConfigError(str(file), 0, "", problem)


def load_keys(file: Path) -> KeyRing:
    """Read the key file: `"<eui, 16 hex>" = "<key, 32 hex>"` under [keys]; ConfigError."""
    check_private(file)
    table = Document(file).root(["keys"]).table("keys", [])
    keys: dict[bytes, bytes] = {}
    for written in table.keys:
        eui = parse_eui(written)
        if eui is None:
            raise _no_eui(table, written)
        if eui in keys:
            raise table.error(written, "stands here twice; remove one")
        keys[eui] = _key(table, written)
    return KeyRing(keys)


def _no_eui(table: Table, written: str) -> ConfigError:
    """Name what was written, but not all of it: it may be a key that stands on the wrong side."""
    error = table.error(written, "not an EUI-64; write 16 hex digits in quotes")
    return ConfigError(error.file, error.line, f'keys."{written[:4]}..."', error.problem)


def _key(table: Table, written: str) -> bytes:
    try:
        text = table.text(written)
    except ConfigError:
        text = ""
    if not _KEY.match(text):
        raise table.error(
            written, f"not a key; write 32 hex digits in quotes (found {len(text)} characters)"
        )
    return bytes.fromhex(text)
