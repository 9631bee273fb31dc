"""Forgetting nodes for good, or all there is: deleted, then looked for in the raw files."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.store.compact import copy_of
from lilong_gateway.store.damage import asides, parts
from lilong_gateway.store.database import Database, translated
from lilong_gateway.store.expiry import SAMPLE_BYTES
from lilong_gateway.store.folder import sync_folder
from lilong_gateway.store.traces import Look, find_traces, look_among

_TABLES = {
    "batches": "batch",
    "quarantine": "quarantine",
    "descriptors": "descriptor",
    "boots": "boot",
    "streams": "stream",
    "attempts": "attempt",
    "notices": "notice",
    "adverts": "advert",
    "thinned": "thinned",
}
_SOUGHT = 1000
_STEP = 200
_CHUNK = bytes(1 << 20)


@dataclass(slots=True)
class Wiped:
    """What went: rows by kind, whole files, and in which files it was looked for afterwards.

    found counts what was still there; unknown: nodes of which nothing was held.
    """

    rows: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    sought: int = 0
    found: int = 0


def wipe_nodes(file: Path, max_bytes: int, euis: Sequence[bytes]) -> Wiped:
    """Delete everything about nodes; whoever calls holds the folder. StoreError.

    Damaged files that were set aside may hold anything of anybody: they are deleted too.
    """
    wiped = Wiped()
    database = Database(file, max_bytes)
    try:
        sought = set(euis)
        for eui in euis:
            sought |= _wipe_node(database, eui, wiped)
        sought -= _held_by_others(database, sought)
        if not database.checkpoint():
            database.refuse_busy()
    finally:
        database.close()
    every = [part for aside in asides(file) for part in parts(aside)]
    _shred([*every, *parts(copy_of(file))], wiped)
    _look_for(sought, file, wiped)
    return wiped


def wipe_all(file: Path) -> Wiped:
    """Overwrite and delete the store with all that lies beside it; StoreError."""
    wiped = Wiped()
    beside = [file.with_name(f"{file.stem}.new{file.suffix}"), copy_of(file), *asides(file)]
    every = [part for one in (file, *beside) for part in parts(one)]
    reserve = file.with_name(f"{file.stem}.reserve")
    _shred([*every, *([reserve] if reserve.exists() else [])], wiped)
    wiped.searched = [str(file.parent)]
    wiped.found = len(list(file.parent.glob(f"{file.stem}.*")))
    return wiped


def _wipe_node(database: Database, eui: bytes, wiped: Wiped) -> set[bytes]:
    """Delete a node's rows; return of them what can be recognised in a file."""
    with database.reading() as connection:
        row = connection.execute("SELECT id FROM node WHERE eui = ?", (eui,)).fetchone()
        if row is None:
            wiped.unknown.append(eui.hex())
            return set()
        sought = _recognisable(connection, row[0])
    for kind, table in _TABLES.items():
        gone = _delete(database, table, row[0])
        wiped.rows[kind] = wiped.rows.get(kind, 0) + gone
    with database.transaction() as connection:
        connection.execute("DELETE FROM node WHERE id = ?", (row[0],))
    return sought


def _held_by_others(database: Database, sought: set[bytes]) -> set[bytes]:
    """Return what other nodes have said as well: no trace of those that went."""
    with database.reading() as connection:
        query = "SELECT body FROM descriptor UNION ALL SELECT item FROM quarantine"
        held = {value for (value,) in connection.execute(query) if value in sought}
        look = Look(frozenset(), 0, at_end=False)
        while not look.at_end:
            look = look_among(connection, sought, look.through)
            held |= look.held
    return held


def _recognisable(connection: sqlite3.Connection, node: int) -> set[bytes]:
    found: set[bytes] = set()
    for query in (
        "SELECT item FROM batch WHERE node = ? LIMIT ?",
        "SELECT item FROM quarantine WHERE node = ? LIMIT ?",
        "SELECT body FROM descriptor WHERE node = ? LIMIT ?",
    ):
        values = [value for (value,) in connection.execute(query, (node, _SOUGHT))]
        found |= {
            value for value in values if isinstance(value, bytes) and len(value) >= SAMPLE_BYTES
        }
    return found


def _delete(database: Database, table: str, node: int) -> int:
    """Delete in small transactions, for the log stays within its limit."""
    key = "(epoch, stream)" if table == "stream" else "rowid"
    key = "stream" if table == "thinned" else key
    inner = key.strip("()")
    total, gone = 0, _STEP
    while gone:
        with database.transaction(2 * _STEP) as connection:
            query = f"""DELETE FROM {table} WHERE node = ?1 AND {key} IN
                (SELECT {inner} FROM {table} WHERE node = ?1 LIMIT {_STEP})"""  # noqa: S608
            gone = connection.execute(query, (node,)).rowcount
        total += gone
    return total


def _shred(files: Iterable[Path], wiped: Wiped) -> None:
    """Overwrite files, then delete them; what a flash keeps beneath is beyond our reach."""
    for file in files:
        with translated(file):
            with file.open("r+b") as stream:
                left = os.fstat(stream.fileno()).st_size
                while left > 0:
                    left -= stream.write(_CHUNK[:left])
                stream.flush()
                os.fsync(stream.fileno())
            file.unlink()
            sync_folder(file.parent)
        wiped.files.append(str(file))


def _look_for(sought: set[bytes], file: Path, wiped: Wiped) -> None:
    files = sorted(one for one in file.parent.glob(f"{file.stem}.*") if one.is_file())
    try:
        found = find_traces(files, sought)
    except OSError as error:
        problem = f"{file.parent}: {error.strerror}; run this as the user of the gateway"
        raise StoreUnavailableError(problem) from error
    wiped.searched = [str(one) for one in files]
    wiped.sought = len(sought)
    wiped.found = sum(found.values())
