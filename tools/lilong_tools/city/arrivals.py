"""What a city holds, read from its SQLite file while it works."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lilong_tools.city.pack import Pack, read_pack, split_batch


@dataclass(frozen=True, slots=True)
class Arrived:
    """One batch that came; key: epoch, stream, sequence number."""

    eui: str
    key: tuple[int, int, int]
    received_ms: int
    readings: int


class Arrivals:
    """The city's store, read only; an absent file is an empty one."""

    def __init__(self, path: Path) -> None:
        """Read `path` from now on."""
        self._path = path
        self._last = 0

    def fresh(self) -> list[Arrived]:
        """Give the batches that came since the last call."""
        rows = self._read(
            "SELECT id, eui, batch, received_ms, readings FROM batch WHERE id > ? ORDER BY id",
            self._last,
        )
        if rows:
            self._last = rows[-1][0]
        return [Arrived(row[1], split_batch(row[2]), row[3], row[4]) for row in rows]

    def packs(self, eui: str) -> Iterator[tuple[int, Pack]]:
        """Give every batch of one node, and when it came (UNIX ms)."""
        rows = self._read("SELECT received_ms, payload FROM batch WHERE eui = ? ORDER BY id", eui)
        for received_ms, payload in rows:
            yield received_ms, read_pack(payload)

    def repeats(self) -> int:
        """Count the repeats that the city dropped."""
        rows = self._read("SELECT coalesce(sum(repeats), 0) FROM batch WHERE id > ?", 0)
        return int(rows[0][0]) if rows else 0

    def aside(self) -> int:
        """Count the messages that the city could not read."""
        rows = self._read("SELECT coalesce(max(id), 0) FROM aside WHERE id > ?", 0)
        return int(rows[0][0]) if rows else 0

    def _read(self, query: str, value: object) -> list[tuple]:  # type: ignore[type-arg]
        """Read; nothing while the file or its tables are not there yet, or are being written."""
        try:
            uri = f"{self._path.resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                return database.execute(query, (value,)).fetchall()
        except sqlite3.OperationalError:
            return []
