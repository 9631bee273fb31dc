"""The city's store: one SQLite file; a batch is in it once, however often it came."""

import fcntl
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from lilong_tools.city.pack import Pack, PackError, read_pack
from lilong_tools.city.receipts import Held
from lilong_tools.errors import ToolError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS city (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL, gateway TEXT NOT NULL, eui TEXT NOT NULL, batch TEXT NOT NULL,
    store TEXT NOT NULL, pos INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    newest_ms INTEGER, readings INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL,
    UNIQUE (eui, batch)
);
CREATE TABLE IF NOT EXISTS aside (
    id INTEGER PRIMARY KEY,
    received_ms INTEGER NOT NULL, topic TEXT NOT NULL, problem TEXT NOT NULL,
    payload BLOB NOT NULL
);
"""
_INSERT = """
INSERT INTO batch
(site, gateway, eui, batch, store, pos, received_ms, newest_ms, readings, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (eui, batch) DO UPDATE SET repeats = repeats + 1
"""
_ASIDE_ROWS = 1000
_ASIDE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came: topic, payload, and when (UNIX ms)."""

    topic: str
    payload: bytes
    received_ms: int


class StoreError(Exception):
    """The commit failed (disk full, input or output error): nothing of it is held."""


class CityStore:
    """Batches by (eui, batch), with the unreadable kept aside. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create; raise ToolError when the file cannot be used or another city has it."""
        self._lock = _lock(path)
        try:
            self._database = _open(path)
        except ToolError:
            self._lock.close()
            raise
        self.identity = self._identity()

    def commit(self, arrivals: Iterable[Arrival]) -> list[Held]:
        """Make the arrivals durable in one transaction, then name what is held; raise StoreError.

        A batch that came before is held too: its gateway has not yet heard so.
        """
        held = []
        try:
            with self._database:
                for arrival in arrivals:
                    one = self._take(arrival)
                    if one is not None:
                        held.append(one)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
        return held

    def gateways(self) -> list[tuple[str, str]]:
        """Name (site, gateway) of all that anything was received from."""
        return self._database.execute("SELECT DISTINCT site, gateway FROM batch").fetchall()

    def close(self) -> None:
        """Close the file and let another city have it."""
        self._database.close()
        self._lock.close()

    def _take(self, arrival: Arrival) -> Held | None:
        try:
            site, gateway, eui = _address(arrival.topic)
            pack = read_pack(arrival.payload)
        except PackError as error:
            self._set_aside(arrival, str(error))
            return None
        if pack.eui != eui:
            self._set_aside(arrival, f"the topic names {eui}, the pack {pack.eui}")
            return None
        row = (
            site,
            gateway,
            eui,
            pack.batch,
            pack.store,
            pack.position,
            arrival.received_ms,
            newest_ms(pack),
            len(pack.records),
            arrival.payload,
        )
        self._database.execute(_INSERT, row)
        return Held(site, gateway, pack.store, pack.position)

    def _set_aside(self, arrival: Arrival, problem: str) -> None:
        row = (arrival.received_ms, arrival.topic, problem, arrival.payload[:_ASIDE_BYTES])
        self._database.execute(
            "INSERT INTO aside (received_ms, topic, problem, payload) VALUES (?, ?, ?, ?)", row
        )
        self._database.execute(
            "DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?", (_ASIDE_ROWS,)
        )

    def _identity(self) -> str:
        with self._database:
            row = self._database.execute("SELECT identity FROM city").fetchone()
            if row is None:
                row = (secrets.token_hex(4),)
                self._database.execute("INSERT INTO city VALUES (?)", row)
        return str(row[0])


def newest_ms(pack: Pack) -> int | None:
    """Give the UNIX ms of the newest reading of a pack, None when it holds no number."""
    times = [record.time for record in pack.records]
    return int(max(times) * Decimal(1000)) if times else None


def _address(topic: str) -> tuple[str, str, str]:
    """Split <prefix>/<site>/<gateway>/telemetry/<eui>; the prefix may hold slashes."""
    levels = topic.split("/")
    if len(levels) < 5 or levels[-2] != "telemetry":  # noqa: PLR2004 - levels of the topic
        raise PackError(f"topic {topic!r} is not one of telemetry")
    return levels[-4], levels[-3], levels[-1]


def _lock(path: Path) -> TextIO:
    name = path.with_name(path.name + ".lock")
    try:
        handle = name.open("w")
    except OSError as error:
        raise ToolError(
            f"{path} cannot be used ({error.strerror})",
            "name a file in a folder that may be written with --db",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise ToolError(
            f"{path} is in use by another city", "stop that one, or name another file with --db"
        ) from error
    return handle


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
    except sqlite3.Error as error:
        database.close()
        raise ToolError(
            f"{path} cannot be used ({error})",
            "name another file with --db, or move this one away",
        ) from error
    return database
