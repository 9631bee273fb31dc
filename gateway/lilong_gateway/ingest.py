"""Sessions -> store: what waits is committed together, and only then acknowledged."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lilong_gateway.backoff import Backoff
from lilong_gateway.errors import StoreError
from lilong_gateway.logs import pairs
from lilong_gateway.store.records import Committed, Entry, Noticed
from lilong_gateway.store.store import Store

_GROUP = 1000
"""Entries of one transaction, so that no node waits long for its acknowledgement."""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """Since the start of the process. turned_away: entries that found no place in the queue."""

    batches: int = 0
    readings: int = 0
    duplicates: int = 0
    quarantined: int = 0
    turned_away: int = 0
    commits: int = 0
    failures: int = 0

    def add(self, committed: Committed) -> None:
        """Add what one transaction did."""
        self.commits += 1
        self.batches += committed.stored
        self.readings += committed.readings
        self.duplicates += committed.duplicates
        self.quarantined += committed.quarantined


class Ingest:
    """Commits entries in the order offered; run() for ever, in one task.

    committed is set after each transaction, for the uplink.
    """

    def __init__(
        self, store: Store, committed: asyncio.Event, backoff: Backoff, limit: int = 4096
    ) -> None:
        self.counters = Counters()
        self.trouble: StoreError | None = None
        """Why nothing can be stored at present; sessions ask their nodes to wait."""
        self._store = store
        self._committed = committed
        self._backoff = backoff
        self._limit = limit
        self._followers: list[Callable[[Noticed], None]] = []
        self._waiting: deque[tuple[Entry, Callable[[], None]]] = deque()
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Entries in the queue."""
        return len(self._waiting)

    def offer(self, entry: Entry, stored: Callable[[], None]) -> bool:
        """Queue an entry; stored is called once it is on disk. False: no place, not taken."""
        if len(self._waiting) >= self._limit:
            self.counters.turned_away += 1
            return False
        self._waiting.append((entry, stored))
        self._arrived.set()
        return True

    def follow(self, changed: Callable[[Noticed], None]) -> None:
        """Tell of every notice that is made or settled, once that is on disk."""
        self._followers.append(changed)

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            await self._arrived.wait()
            await self._commit_waiting()
            if not self._waiting:
                self._arrived.clear()

    async def _commit_waiting(self) -> None:
        group = [self._waiting[index] for index in range(min(_GROUP, len(self._waiting)))]
        try:
            committed = await self._store.commit([entry for entry, _ in group])
        except StoreError as error:
            self._note_trouble(error)
            await asyncio.sleep(self._backoff.next_s())
            return
        self._note_success(committed)
        for _ in group:
            self._waiting.popleft()
        for _, stored in group:
            stored()
        for changed in self._followers:
            for notice in committed.notices:
                changed(notice)
        self._committed.set()

    def _note_trouble(self, error: StoreError) -> None:
        self.counters.failures += 1
        if type(error) is not type(self.trouble):
            _LOG.error("store takes nothing %s", pairs(error=error))
        self.trouble = error

    def _note_success(self, committed: Committed) -> None:
        self.counters.add(committed)
        if self.trouble is not None:
            _LOG.warning("store takes batches again %s", pairs(after=self.trouble))
            self.trouble = None
        self._backoff.reset()
