"""One part of an outbox on one connection: read, put into messages, sent in its turn."""

import asyncio
from collections.abc import Callable, Sequence

from lilong_gateway.outbox import Outbox
from lilong_gateway.outbox_parts import Part
from lilong_gateway.senml import Telemetry
from lilong_gateway.store.records import Row
from lilong_gateway.uplink.dispatch import Dispatch, Shipment
from lilong_gateway.uplink.means import Means

_READ = 256
"""Batches of one read; commits wait while the store reads."""
_STEP_S = 0.001
"""Work at a time, so that sessions are not kept waiting."""
_SPLIT_MS = 10_000
"""How often what LIVE could not keep up with may become a backlog."""
_IDLE_S = 60.0


class Courier:
    """Serves a part for ever. last tells the highest position known to be in the store."""

    def __init__(
        self,
        part: Part,
        means: Means,
        store_id: str,
        outbox: Outbox[Shipment],
        dispatch: Dispatch,
        last: Callable[[], int],
    ) -> None:
        self.wake = asyncio.Event()
        self._part = part
        self._means = means
        self._store_id = store_id
        self._outbox = outbox
        self._dispatch = dispatch
        self._last = last
        self._pulse = means.pulses[part]
        self._split_ms = means.clock.steady_ms()
        self._yielded_s = 0.0

    async def run(self) -> None:
        """Send whatever there is; UplinkError, StoreError."""
        try:
            while True:
                self.wake.clear()
                self._pulse.work()
                self._dispatch.mend()
                await self._repeat()
                if not await self._advance():
                    await self._wait()
        finally:
            self._pulse.rest()

    async def _repeat(self) -> None:
        for group in self._outbox.overdue(self._part, self._means.clock.steady_ms()):
            await self._enter(group.size_bytes)
            self._dispatch.repeat(group)

    async def _advance(self) -> bool:
        """Read and send what there is room for; whether there may be more at once."""
        self._keep_up()
        ask = self._outbox.ask(self._part)
        if ask is None:
            return False
        if ask.part.lane not in self._means.lanes:
            self._outbox.through(ask.part, self._last() if ask.upto is None else ask.upto)
            return False
        limit = min(ask.limit, _READ)
        found = await self._means.store.lane_rows(
            self._store_id, ask.part.lane, ask.pos, limit, ask.upto
        )
        await self._take(found.rows)
        self._outbox.through(ask.part, found.through)
        return len(found.rows) == limit or (ask.upto is not None and found.through > ask.pos)

    def _keep_up(self) -> None:
        now_ms = self._means.clock.steady_ms()
        if self._part is Part.LIVE and now_ms - self._split_ms >= _SPLIT_MS:
            self._split_ms = now_ms
            self._outbox.fall_behind(self._last())

    async def _take(self, rows: Sequence[Row]) -> None:
        load: list[Telemetry] = []
        for row in rows:
            await self._breathe()
            if not self._outbox.needs(self._part, row.pos):
                await self._ship(load)
                self._outbox.pass_by(self._part, row.pos)
                continue
            late = self._part is Part.BACKLOG
            telemetry = self._means.renderer.telemetry(row, self._store_id, late=late)
            if telemetry is not None:
                load.append(telemetry)
            if len(load) >= self._together():
                await self._ship(load)
        await self._ship(load)

    def _together(self) -> int:
        """Return how many batches go in one message now."""
        if self._part is not Part.BACKLOG:
            return 1
        count = self._dispatch.size.count(self._dispatch.gate.pace.budget_bytes)
        most = self._dispatch.gate.allowance.most()
        return count if most is None else min(count, most)

    async def _ship(self, load: list[Telemetry]) -> None:
        if load:
            await self._breathe()
            await self._enter(round(len(load) * self._dispatch.size.batch_bytes))
            self._dispatch.send(self._part, load.copy())
            load.clear()

    async def _enter(self, size_bytes: int) -> None:
        """Wait for leave to send; the answers that give it have a time limit of their own."""
        self._pulse.rest()
        await self._dispatch.gate.enter(self._part, size_bytes)
        self._pulse.work()

    async def _breathe(self) -> None:
        loop = asyncio.get_running_loop()
        if self._part is not Part.ALARM and loop.time() - self._yielded_s >= _STEP_S:
            await asyncio.sleep(0)
            self._pulse.work()
            self._yielded_s = loop.time()

    async def _wait(self) -> None:
        self._pulse.rest()
        again_ms = self._outbox.wait_ms(self._part, self._means.clock.steady_ms())
        wait_s = _IDLE_S if again_ms is None else min(_IDLE_S, max(1, again_ms) / 1000)
        try:
            async with asyncio.timeout(wait_s):
                await self.wake.wait()
        except TimeoutError:
            return
