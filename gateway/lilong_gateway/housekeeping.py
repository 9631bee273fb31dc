"""What the store needs from time to time: room, order, and dates for what came without a clock."""

import asyncio
from contextlib import suppress

from lilong_gateway.clock import Clock
from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreError, StoreFullError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.ingest import Ingest
from lilong_gateway.pressure import Pressure
from lilong_gateway.retention import Retention
from lilong_gateway.store.store import Store

_LOOK_S = 1.0
_PRUNE_MS = 60_000
_TIDY_MS = 600_000
_FIRST_RATE_MS = 60_000
_RATE_MS = 600_000
_STEP = 200
"""Rows of one transaction, so that commits of new batches wait little."""

_PATROL_MS = 3_600_000
_PATROL_ROWS = 500

_GIVE_UP_MS = 60_000
"""How long after the clock is set a node may still tell when its boot was."""


class Housekeeping:
    """Runs for ever, in one task; what fails is tried again. pulse: at work in each step."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        committed: asyncio.Event,
        clock: Clock,
        storage: Storage,
        pulse: Pulse | None = None,
    ) -> None:
        self.dated = 0
        self._pulse = pulse or Pulse()
        self._pressure = Pressure(store, self._pulse)
        self._retention = Retention(store, clock, storage.keep_s, self._pulse)
        self._pruned = 0
        self._store = store
        self._ingest = ingest
        self._committed = committed
        self._clock = clock
        self._keep_ms = storage.keep_confirmed_s * 1000
        now_ms = clock.steady_ms()
        self._pruned_ms = now_ms
        self._tidied_ms = now_ms - _TIDY_MS
        self._patrolled_ms = now_ms - _PATROL_MS
        self._patrolling = False
        self._rated = store.stored_bytes, now_ms
        self._rate_ms = _FIRST_RATE_MS
        self._set_since_ms: int | None = None
        self._undated = True

    @property
    def pruned(self) -> int:
        """Delivered batches that went since the start."""
        return self._pruned + self._pressure.pruned

    @property
    def searches(self) -> int:
        """How often the files were searched for what had been deleted."""
        return self._retention.searches

    async def run(self) -> None:
        """Look after the store for ever."""
        while True:
            await self._look()
            self._pulse.rest()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        """Do all that is due; what fails does not keep the rest from being done."""
        wall_ms = self._clock.wall_ms()
        if wall_ms is None:
            self._set_since_ms = None
            self._undated = True
        for duty in (self._relieve, self._date, self._prune, self._expire, self._tidy, self._rate):
            self._pulse.work()
            with suppress(StoreError):  # ingest and uplink meet the same trouble and report it
                await duty(wall_ms)

    async def _relieve(self, wall_ms: int | None) -> None:
        full = isinstance(self._ingest.trouble, StoreFullError)
        await self._pressure.relieve(wall_ms, full=full)

    async def _date(self, wall_ms: int | None) -> None:
        if not self._undated or wall_ms is None:
            return
        now_ms = self._clock.steady_ms()
        if self._set_since_ms is None:
            self._set_since_ms = now_ms
        give_up = now_ms - self._set_since_ms >= _GIVE_UP_MS
        dated = await self._store.settle(wall_ms, _STEP, give_up=give_up)
        self.dated += dated
        if dated:
            self._committed.set()
        self._undated = not give_up or dated == _STEP

    async def _prune(self, wall_ms: int | None) -> None:
        now_ms = self._clock.steady_ms()
        if wall_ms is None or now_ms - self._pruned_ms < _PRUNE_MS:
            return
        self._pruned_ms = now_ms
        pruned = _STEP
        while pruned == _STEP:
            self._pulse.work()
            pruned = await self._store.prune(wall_ms - self._keep_ms, _STEP)
            self._pruned += pruned
            await asyncio.sleep(0)

    async def _expire(self, wall_ms: int | None) -> None:
        if wall_ms is not None:
            await self._retention.expire(wall_ms)

    async def _tidy(self, wall_ms: int | None) -> None:
        now_ms = self._clock.steady_ms()
        if now_ms - self._tidied_ms >= _TIDY_MS:
            self._tidied_ms = now_ms
            await self._store.tidy(wall_ms)
        if not self._patrolling and now_ms - self._patrolled_ms >= _PATROL_MS:
            self._patrolled_ms = now_ms
            self._patrolling = True
        if self._patrolling:
            self._patrolling = await self._store.patrol(_PATROL_ROWS)

    async def _rate(self, _: int | None) -> None:
        stored, since_ms = self._rated
        now_ms = self._clock.steady_ms()
        if now_ms - since_ms >= self._rate_ms:
            self._rate_ms = _RATE_MS
            total = self._store.stored_bytes
            self._rated = total, now_ms
            await self._store.note_rate(total - stored, now_ms - since_ms)
