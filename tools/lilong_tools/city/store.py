"""The city's store: one SQLite file; a batch is in it once, however often it came."""

import fcntl
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lilong_tools.city.outline import Outline
from lilong_tools.city.pack import PackError
from lilong_tools.city.parts import Cutter, Part
from lilong_tools.city.receipts import Held
from lilong_tools.errors import ToolError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS city (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL, gateway TEXT NOT NULL, eui TEXT NOT NULL, batch TEXT NOT NULL,
    store TEXT NOT NULL, pos INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    newest_ms INTEGER, readings INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL, one_in INTEGER NOT NULL DEFAULT 1, late INTEGER NOT NULL DEFAULT 0,
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
(site, gateway, eui, batch, store, pos, received_ms, newest_ms, readings, payload, one_in, late)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (eui, batch) DO UPDATE SET repeats = repeats + 1
"""
_ADDED = ("one_in INTEGER NOT NULL DEFAULT 1", "late INTEGER NOT NULL DEFAULT 0")
"""Columns that the first stores had not."""
_MANY = "many"
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
        self._cutter = Cutter()

    def commit(self, arrivals: Iterable[Arrival]) -> list[Held]:
        """Make the arrivals durable in one transaction, then name their batches; raise StoreError.

        A batch that came before is named too: its gateway has not yet heard so.
        """
        held: list[Held] = []
        try:
            with self._database:
                for arrival in arrivals:
                    held += self._take(arrival)
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

    def _take(self, arrival: Arrival) -> list[Held]:
        try:
            site, gateway, about = _address(arrival.topic)
            parts = self._cutter.parts(arrival.payload)
        except PackError as error:
            self._set_aside(arrival, str(error), arrival.payload)
            return []
        found = (self._keep(arrival, site, gateway, about, part) for part in parts)
        return [one for one in found if one is not None]

    def _keep(
        self, arrival: Arrival, site: str, gateway: str, about: str, part: Part
    ) -> Held | None:
        outline = part.outline
        problem = part.problem
        place = part.place
        if outline is not None:
            which = outline.identity
            place = which.store, which.position
            if about not in {_MANY, which.eui}:
                problem = f"the topic names {about}, the pack {which.eui}"
            else:
                self._insert(arrival, site, gateway, outline, part.payload)
        if problem:
            self._set_aside(arrival, problem, part.payload)
        return Held(site, gateway, *place, refused=bool(problem)) if place else None

    def _insert(
        self, arrival: Arrival, site: str, gateway: str, outline: Outline, payload: bytes
    ) -> None:
        which = outline.identity
        row = (
            *(site, gateway, which.eui, which.batch, which.store, which.position),
            *(arrival.received_ms, outline.newest_ms, outline.readings, payload),
            *(which.one_in, which.late),
        )
        self._database.execute(_INSERT, row)

    def _set_aside(self, arrival: Arrival, problem: str, payload: bytes) -> None:
        row = (arrival.received_ms, arrival.topic, problem, payload[:_ASIDE_BYTES])
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


def _address(topic: str) -> tuple[str, str, str]:
    """Split <prefix>/<site>/<gateway>/telemetry/<eui or "many">; the prefix may hold slashes."""
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
        _migrate(database)
    except sqlite3.Error as error:
        database.close()
        raise ToolError(
            f"{path} cannot be used ({error})",
            "name another file with --db, or move this one away",
        ) from error
    return database


def _migrate(database: sqlite3.Connection) -> None:
    """Give a store of an earlier version the columns that it has not; raise sqlite3.Error."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(batch)")}
    with database:
        for column in _ADDED:
            if column.split()[0] not in columns:
                database.execute(f"ALTER TABLE batch ADD COLUMN {column}")
