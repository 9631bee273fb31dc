"""How long batches may stay, by privacy class: deleted in time, and looked for afterwards."""

import asyncio
import logging
from collections.abc import Sequence

from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store.damage import parts
from lilong_gateway.store.store import Store
from lilong_gateway.store.traces import find_traces

_EXPIRE_MS = 10_000
_SEARCH_MS = 60_000
_MS_PER_MIB = 1000
"""A large store is searched less often: about a mebibyte for each second that passes."""

_SOUGHT = 64
_LOG = logging.getLogger(__name__)


class Retention:
    """Used by one task. searches: how often what was deleted was looked for."""

    def __init__(
        self, store: Store, clock: Clock, limits_s: Sequence[int | None], pulse: Pulse
    ) -> None:
        self.searches = 0
        self._store = store
        self._clock = clock
        self._pulse = pulse
        known = [limit for limit in limits_s if limit is not None]
        self._every_ms = min(_EXPIRE_MS, 100 * min(known)) if known else None
        self._expired_ms = clock.steady_ms() - _EXPIRE_MS
        self._searched_ms = clock.steady_ms() - _SEARCH_MS
        self._sought: list[bytes] = []

    async def expire(self, wall_ms: int) -> None:
        """Delete what is too old, if it is time to look; StoreError."""
        now_ms = self._clock.steady_ms()
        if self._every_ms is None or now_ms - self._expired_ms < self._every_ms:
            return
        self._expired_ms = now_ms
        more = True
        while more:
            self._pulse.work()
            done = await self._store.expire(wall_ms)
            self._note(done.batches, done.sample)
            more = done.more
            await asyncio.sleep(0)
        await self._search(now_ms)

    def _note(self, batches: tuple[int, ...], sample: tuple[bytes, ...]) -> None:
        if any(batches):
            names = {f"P{number}": count for number, count in enumerate(batches) if count}
            _LOG.info("batches are too old to be kept %s", pairs(**names))
        self._sought = [*self._sought, *sample][-_SOUGHT:]

    async def _search(self, now_ms: int) -> None:
        """Look into the files for a sample of what was deleted: it must not be there."""
        if not self._sought:
            return
        files = parts(self._store.file)
        mib = sum(file.stat().st_size for file in files) >> 20
        if now_ms - self._searched_ms < max(_SEARCH_MS, mib * _MS_PER_MIB):
            return
        if not await self._store.flush():
            return  # a reader still needs what the log holds
        self._searched_ms = now_ms
        sought, self._sought = self._sought, []
        self._pulse.rest()
        try:
            found = await asyncio.to_thread(find_traces, files, sought)
        except OSError as error:
            raise StoreUnavailableError(
                f"{self._store.file}: {error}; let this user read it"
            ) from error
        self.searches += 1
        if found:
            found = await self._not_held(found)
        if found:
            await self._store.note_traces(len(found))
            advice = "run lilong-gateway store compact"
            _LOG.error("deleted batches found again %s", pairs(count=len(found), do=advice))

    async def _not_held(self, found: dict[bytes, int]) -> dict[bytes, int]:
        """Leave out what another batch, which may stay, holds as well."""
        pos, at_end = 0, False
        while not at_end:
            self._pulse.work()
            look = await self._store.look_among(found, pos)
            pos, at_end = look.through, look.at_end
            found = {item: count for item, count in found.items() if item not in look.held}
            await asyncio.sleep(0)
        return found
