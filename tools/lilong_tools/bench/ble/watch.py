"""What a gateway has on disk and since when, seen from outside while it works."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from lilong_gateway.clock import UNIX_2000_MS

LOOK_MS = 20
ALARMS, DATA = 0, 2
"""Streams."""

_BATCHES = """SELECT b.pos, n.eui, b.epoch, b.stream, b.seq, b.item FROM batch b
    JOIN node n ON n.id = b.node WHERE b.pos > ? ORDER BY b.pos"""
_NOTICES = """SELECT o.id, n.eui, o.heard_ms FROM notice o JOIN node n ON n.id = o.node
    WHERE o.id > ? ORDER BY o.id"""


def now_ms() -> int:
    """Return the UNIX time."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch, and the UNIX time at which it was first seen on disk: at most LOOK_MS late."""

    eui: str
    epoch: int
    stream: int
    seq: int
    item: bytes
    seen_ms: int

    @property
    def key(self) -> tuple[int, int, int]:
        """Its name on its node."""
        return self.epoch, self.stream, self.seq


@dataclass(frozen=True, slots=True)
class Noticed:
    """A notice of an alarm: the UNIX time at which the advertisement was heard."""

    eui: str
    heard_ms: int


class Watch:
    """Looks into the store every 20 ms; run() for ever, in one task."""

    def __init__(self, path: Path) -> None:
        self.batches: list[Stored] = []
        self.notices: list[Noticed] = []
        self._path = path
        self._store: sqlite3.Connection | None = None
        self._last = 0
        self._last_notice = 0

    async def run(self) -> None:
        """Look for ever."""
        try:
            while True:
                self.look()
                await asyncio.sleep(LOOK_MS / 1000)
        finally:
            if self._store is not None:
                self._store.close()

    def look(self) -> None:
        """Take what is new; nothing while there is no store yet."""
        try:
            if self._store is None:
                self._store = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
            batches = self._store.execute(_BATCHES, (self._last,)).fetchall()
            notices = self._store.execute(_NOTICES, (self._last_notice,)).fetchall()
        except sqlite3.OperationalError:
            return
        seen_ms = now_ms()
        for pos, eui, epoch, stream, seq, item in batches:
            self._last = pos
            self.batches.append(Stored(eui.hex(), epoch, stream, seq, item, seen_ms))
        for number, eui, heard_ms in notices:
            self._last_notice = number
            self.notices.append(Noticed(eui.hex(), heard_ms + UNIX_2000_MS))


@contextlib.asynccontextmanager
async def watching(store: Path) -> AsyncIterator[Watch]:
    """Watch a store as long as the context lasts."""
    watch = Watch(store)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool], limit_s: float) -> bool:
    """Wait until it is so; False when it was not in time."""
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(LOOK_MS / 1000)
    return True
