"""What the store needs from time to time: pruning, and dates for what came without a clock."""

import asyncio

from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreError, StoreFullError
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.store import Store

_LOOK_S = 1.0
_PRUNE_MS = 60_000
_STEP = 200
"""Rows of one transaction, so that commits of new batches wait little."""

_GIVE_UP_MS = 60_000
"""How long after the clock is set a node may still tell when its boot was."""


class Housekeeping:
    """Runs for ever, in one task; what fails is tried again."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        committed: asyncio.Event,
        clock: Clock,
        keep_confirmed_s: int,
    ) -> None:
        self.pruned = 0
        self.dated = 0
        self._store = store
        self._ingest = ingest
        self._committed = committed
        self._clock = clock
        self._keep_ms = keep_confirmed_s * 1000
        self._pruned_ms = clock.steady_ms()
        self._set_since_ms: int | None = None
        self._undated = True

    async def run(self) -> None:
        """Look after the store for ever."""
        while True:
            wall_ms = self._clock.wall_ms()
            try:
                if wall_ms is None:
                    self._set_since_ms = None
                    self._undated = True
                else:
                    await self._date(wall_ms)
                    await self._prune(wall_ms)
            except StoreError:
                pass  # ingest and uplink meet the same trouble and report it
            await asyncio.sleep(_LOOK_S)

    async def _date(self, wall_ms: int) -> None:
        if not self._undated:
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

    async def _prune(self, wall_ms: int) -> None:
        now_ms = self._clock.steady_ms()
        full = isinstance(self._ingest.trouble, StoreFullError)
        if not full and now_ms - self._pruned_ms < _PRUNE_MS:
            return
        self._pruned_ms = now_ms
        before_ms = wall_ms if full else wall_ms - self._keep_ms
        pruned = _STEP
        while pruned == _STEP:
            pruned = await self._store.prune(before_ms, _STEP)
            self.pruned += pruned
            await asyncio.sleep(0)
