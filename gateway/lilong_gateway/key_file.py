"""The nodes' keys as they are written: a TOML file that nobody but its owner may read."""

import re
import stat
from pathlib import Path

from lilong_gateway.config_table import Document, Table
from lilong_gateway.errors import ConfigError
from lilong_gateway.keys import KeyRing

_EUI = re.compile(r"[0-9a-fA-F]{16}\Z")
_KEY = re.compile(r"[0-9a-fA-F]{32}\Z")
_MOST_KEYS = 2


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
    """Read the key file; ConfigError.

    Under [keys] `"<eui, 16 hex>" = "<key, 32 hex>"`, or `= ["<old key>", "<new key>"]`; under
    [revoked] `"<eui>" = "<reason>"`.
    """
    check_private(file)
    root = Document(file).root(["keys", "revoked"])
    keys, revoked = root.table("keys", []), root.table("revoked", [])
    return KeyRing(
        {eui: _keys(keys, written) for eui, written in _euis(keys, "keys").items()},
        {eui: _reason(revoked, written) for eui, written in _euis(revoked, "revoked").items()},
    )


def _euis(table: Table, name: str) -> dict[bytes, str]:
    """Map each EUI-64 to the way it is written."""
    found: dict[bytes, str] = {}
    for written in table.keys:
        eui = parse_eui(written)
        if eui is None:
            raise _no_eui(table, name, written)
        if eui in found:
            raise table.error(written, "stands here twice; remove one")
        found[eui] = written
    return found


def _no_eui(table: Table, name: str, written: str) -> ConfigError:
    """Name what was written, but not all of it: it may be a key that stands on the wrong side."""
    error = table.error(written, "not an EUI-64; write 16 hex digits in quotes")
    return ConfigError(error.file, error.line, f'{name}."{written[:4]}..."', error.problem)


def _keys(table: Table, written: str) -> list[bytes]:
    texts = _texts(table, written)
    if not 0 < len(texts) <= _MOST_KEYS:
        problem = f'holds {len(texts)} keys; write one, or ["<old key>", "<new key>"]'
        raise table.error(written, problem)
    for text in texts:
        if not _KEY.match(text):
            problem = f"not a key; write 32 hex digits in quotes (found {len(text)} characters)"
            raise table.error(written, problem)
    keys = [bytes.fromhex(text) for text in texts]
    if len(set(keys)) != len(keys):
        raise table.error(written, "the same key twice; write the old key and the new key")
    return keys


def _texts(table: Table, written: str) -> tuple[str, ...]:
    """Return what stands for keys; text of no length in the place of anything else."""
    if table.is_list(written):
        try:
            return table.texts(written)
        except ConfigError:
            return ("",)
    try:
        return (table.text(written),)
    except ConfigError:
        return ("",)


def _reason(table: Table, written: str) -> str:
    try:
        reason = table.text(written)
    except ConfigError:
        raise table.error(written, "write the reason in quotes") from None
    if _KEY.match(reason):
        raise table.error(written, "a key in the place of the reason; write why it is revoked")
    return reason
