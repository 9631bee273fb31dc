"""Room in a store that is nearly full: made step by step, and told of."""

import asyncio
import logging

from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store.relief import Relief
from lilong_gateway.store.store import Store

_CAUSES = {"cap": "max_bytes is reached", "disk": "the disk is full"}
_LOG = logging.getLogger(__name__)


class Pressure:
    """Used by one task. pruned and thinned: batches since the start."""

    def __init__(self, store: Store, pulse: Pulse) -> None:
        self.pruned = 0
        self.thinned = 0
        self._store = store
        self._pulse = pulse
        self._exhausted = False
        self._thinned_before = 0

    async def relieve(self, wall_ms: int | None, *, full: bool) -> None:
        """Make room until there is enough, or nothing may go; StoreError."""
        more = True
        while more:
            self._pulse.work()
            step = await self._store.relieve(wall_ms, full=full)
            self.pruned += step.pruned
            self.thinned += step.thinned
            self._tell(step)
            more = step.more
            await asyncio.sleep(0)

    def _tell(self, step: Relief) -> None:
        """Log when it begins, when it ends, and once when nothing is left that may go."""
        why = _CAUSES.get(step.cause, step.cause)
        if step.began:
            _LOG.warning("store makes room, telemetry may be thinned %s", pairs(why=why))
        if step.exhausted and not self._exhausted:
            advice = "nothing is left to thin; nodes are asked to keep theirs"
            _LOG.error("store full %s", pairs(why=why, so=advice))
        self._exhausted = step.exhausted
        if step.ended:
            thinned = self.thinned - self._thinned_before
            self._thinned_before = self.thinned
            _LOG.warning("store has room again %s", pairs(thinned=thinned))
