"""A look at a store from beside the gateway that uses it: nothing is written."""

import sqlite3
from contextlib import closing
from pathlib import Path

from lilong_gateway.store.database import translated
from lilong_gateway.store.records import Heard

_KEYED_SCHEMA = 2


def heard_nodes(file: Path) -> dict[bytes, Heard]:
    """Return what the store knows of each node's key, {} while there is none that could.

    StoreError when the file cannot be read.
    """
    if not file.exists():
        return {}
    with translated(file), closing(_open(file)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if row is None or int(row[0]) < _KEYED_SCHEMA:
            return {}
        found = connection.execute("SELECT eui, proven, heard_ms FROM node").fetchall()
    return {
        eui: Heard(proven, heard_ms if isinstance(heard_ms, int) else None)
        for eui, proven, heard_ms in found
    }


def _open(file: Path) -> sqlite3.Connection:
    address = f"{file.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)
