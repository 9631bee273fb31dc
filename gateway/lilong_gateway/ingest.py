"""Sessions -> store: what waits is committed together, and only then acknowledged."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from lilong_gateway.backoff import Backoff
from lilong_gateway.errors import StoreError, StoreFullError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store.records import Committed, Entry, Noticed, is_urgent
from lilong_gateway.store.store import Store

_GROUP = 1000
"""Entries of one transaction, so that no node waits long for its acknowledgement."""

_LINGER_S = 0.005
"""How long a commit waits for company when the one before it had some: each costs the same, and
wears the disk the same, for one batch as for ten."""

_Waiting = tuple[Entry, Callable[[], None]]
"""An entry, and what is called once it is on disk."""

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
        self,
        store: Store,
        committed: asyncio.Event,
        backoff: Backoff,
        limit: int = 4096,
        pulse: Pulse | None = None,
    ) -> None:
        self.counters = Counters()
        self.trouble: StoreError | None = None
        """Why nothing can be stored at present; sessions ask their nodes to wait."""
        self._store = store
        self._committed = committed
        self._backoff = backoff
        self._limit = limit
        self._pulse = pulse or Pulse()
        self._followers: list[Callable[[Noticed], None]] = []
        self._waiting: deque[_Waiting] = deque()
        self._told: StoreError | None = None
        self._busy = False
        self._urgent = asyncio.Event()
        self._arrived = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Entries in the queue."""
        return len(self._waiting)

    def offer(self, entry: Entry, stored: Callable[[], None]) -> bool:
        """Queue an entry; stored is called once it is on disk. False: no place, not taken.

        While the store is full only what is urgent has a place.
        """
        urgent = is_urgent(entry)
        kept_free = isinstance(self.trouble, StoreFullError) and not urgent
        if kept_free or len(self._waiting) >= self._limit:
            self.counters.turned_away += 1
            return False
        self._waiting.append((entry, stored))
        self._settled.clear()
        self._arrived.set()
        if urgent:
            self._urgent.set()
        return True

    def follow(self, changed: Callable[[Noticed], None]) -> None:
        """Tell of every notice that is made or settled, once that is on disk."""
        self._followers.append(changed)

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            self._pulse.rest()
            await self._arrived.wait()
            await self._linger()
            self._pulse.work()
            self._settled.clear()
            self._urgent.clear()
            try:
                await self._commit(list(islice(self._waiting, _GROUP)))
            except StoreError as error:
                self._note_trouble(error)
                await self._pause(self._backoff.next_s())
            else:
                self._note_success()
            if not self._waiting:
                self._arrived.clear()
                self._settled.set()
                # Nothing is left to try it with: the next entry shows whether there is room.
                self.trouble = None

    async def drain(self) -> None:
        """Wait until all that was taken is on disk, or nothing can be stored at present."""
        while self._waiting and self.trouble is None:
            await self._settled.wait()

    async def _linger(self) -> None:
        """Wait for more to commit, unless entries are rare or one is urgent."""
        if self._busy and len(self._waiting) < _GROUP:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_S):
                    await self._urgent.wait()

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        committed = await self._store.commit([entry for entry, _ in group])
        self.counters.add(committed)
        self._busy = len(group) > 1
        self._forget(group)
        for _, stored in group:
            stored()
        for changed in self._followers:
            for notice in committed.notices:
                changed(notice)
        self._committed.set()

    def _forget(self, group: Sequence[_Waiting]) -> None:
        done = {id(item) for item in group}
        while self._waiting and id(self._waiting[0]) in done:
            done.remove(id(self._waiting.popleft()))
        if done:  # only urgent ones, from amid the others
            self._waiting = deque(item for item in self._waiting if id(item) not in done)

    async def _pause(self, pause_s: float) -> None:
        """Let the store be; meanwhile what is urgent is tried whenever some comes."""
        until_s = asyncio.get_running_loop().time() + pause_s
        with suppress(TimeoutError):
            while True:
                await self._commit_urgent()
                self._pulse.rest()
                async with asyncio.timeout_at(until_s):
                    await self._urgent.wait()

    async def _commit_urgent(self) -> None:
        self._urgent.clear()
        if not isinstance(self.trouble, StoreFullError) or not self.trouble.alarms_only:
            return
        urgent = [item for item in self._waiting if is_urgent(item[0])]
        for first in range(0, len(urgent), _GROUP):
            self._pulse.work()
            try:
                await self._commit(urgent[first : first + _GROUP])
            except StoreError as error:
                self._note_trouble(error)
                return

    def _note_trouble(self, error: StoreError) -> None:
        self.counters.failures += 1
        if type(error) is not type(self._told):
            _LOG.error("store takes nothing %s", pairs(error=error))
        self.trouble = self._told = error
        self._settled.set()

    def _note_success(self) -> None:
        if self._told is not None:
            _LOG.warning("store takes batches again %s", pairs(after=self._told))
        self.trouble = self._told = None
        self._backoff.reset()
