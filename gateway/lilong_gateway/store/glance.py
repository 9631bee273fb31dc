"""A look at a store from beside the gateway that uses it: nothing is written."""

import sqlite3
from contextlib import closing
from pathlib import Path

from lilong_gateway.store.database import translated
from lilong_gateway.store.reader import attempts
from lilong_gateway.store.records import Attempt, Heard, Told

_KEYED_SCHEMA = 2
_TOLD_SCHEMA = 3
_STREAMS_SCHEMA = 6


def heard_nodes(file: Path) -> dict[bytes, Heard]:
    """Return what the store knows of each node's key, {} while there is none that could.

    StoreError when the file cannot be read.
    """
    if not file.exists():
        return {}
    with translated(file), closing(_open(file)) as connection:
        if _schema(connection) < _KEYED_SCHEMA:
            return {}
        heard = _heard(connection)
        found = connection.execute(f"SELECT eui, proven, {heard} FROM node n").fetchall()  # noqa: S608
    return {
        eui: Heard(proven, heard_ms if isinstance(heard_ms, int) else None)
        for eui, proven, heard_ms in found
    }


def told_nodes(file: Path) -> dict[bytes, Told]:
    """Return what each node has said of itself, {} while there is no store that could know.

    StoreError when the file cannot be read.
    """
    if not file.exists():
        return {}
    with translated(file), closing(_open(file)) as connection:
        if _schema(connection) < _TOLD_SCHEMA:
            return {}
        heard = _heard(connection)
        query = f"SELECT eui, firmware, status, told_ms, {heard} FROM node n ORDER BY eui"  # noqa: S608
        found = connection.execute(query).fetchall()
        of_node: dict[bytes, list[Attempt]] = {}
        for attempt in attempts(connection):
            of_node.setdefault(attempt.eui, []).append(attempt)
    return {
        eui: Told(firmware, status, told_ms, heard_ms, tuple(of_node.get(eui, ())))
        for eui, firmware, status, told_ms, heard_ms in found
    }


def _schema(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return 0 if row is None else int(row[0])


def _heard(connection: sqlite3.Connection) -> str:
    """Return the expression for when a batch of a node was stored last."""
    if _schema(connection) < _STREAMS_SCHEMA:
        return "n.heard_ms"
    of_streams = "(SELECT MAX(s.heard_ms) FROM stream s WHERE s.node = n.id)"
    return f"CASE WHEN {of_streams} IS NULL THEN n.heard_ms ELSE {of_streams} END"


def _open(file: Path) -> sqlite3.Connection:
    address = f"{file.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)
