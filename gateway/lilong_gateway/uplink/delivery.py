"""Carrying batches over one connection, as the outbox says."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreFullError
from lilong_gateway.outbox import Outbox
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.broker import Broker
from lilong_gateway.uplink.receipts import parse_receipt
from lilong_gateway.uplink.render import Publication, Renderer

_CURSOR_MS = 500
"""How often the cursor is put on disk; what a crash forgets is published again."""


@dataclass(slots=True)
class Counters:
    """Since the start of the process; confirmed batches are counted by the outbox."""

    published: int = 0
    receipts: int = 0
    wrong_receipts: int = 0


class Delivery:
    """The outbox of one store, filled from it and emptied into whichever connection there is."""

    def __init__(
        self,
        store: Store,
        store_id: str,
        outbox: Outbox[Publication],
        renderer: Renderer,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self.store_id = store_id
        self.outbox = outbox
        self._store = store
        self._renderer = renderer
        self._clock = clock
        self._counters = counters
        self._saved = outbox.cursor
        self._saved_ms = clock.steady_ms()
        self._in_flight = 0

    async def run(self, broker: Broker, wake: asyncio.Event, progress: Callable[[], None]) -> None:
        """Deliver until the connection is lost; UplinkError, StoreError.

        wake tells that batches were committed or receipts came; progress is called at each
        confirmation.
        """
        self.outbox.lost()
        self._in_flight = 0
        before = self.outbox.confirmed
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(broker, wake), name="receipts")
            while True:
                wake.clear()
                more = await self._refill()
                self._publish(broker, wake, group)
                await self._save_cursor()
                if self.outbox.confirmed != before:
                    before = self.outbox.confirmed
                    progress()
                if not more:
                    await self._wait(wake)

    async def save(self) -> None:
        """Put the cursor on disk now; StoreError."""
        if self.outbox.cursor != self._saved:
            cursor = self.outbox.cursor
            await self._store.set_cursor(self.store_id, cursor)
            self._saved = cursor

    async def _refill(self) -> bool:
        """Read what there is room for; whether there may be more at once."""
        room = self.outbox.room
        if room == 0:
            return False
        rows = await self._store.rows_after(self.store_id, self.outbox.head, room)
        for row in rows:
            await asyncio.sleep(0)  # a window of large batches must not keep sessions waiting
            publication = self._renderer.publication(row, self.store_id)
            if publication is None:
                self.outbox.skip(row.pos)
            else:
                self.outbox.add(row.pos, publication)
        return len(rows) == room and self.outbox.room > 0

    def _publish(self, broker: Broker, wake: asyncio.Event, group: asyncio.TaskGroup) -> None:
        free = broker.receive_maximum - self._in_flight
        for pos, publication in self.outbox.due(self._clock.steady_ms(), free):
            self._in_flight += 1
            group.create_task(self._carry(broker, wake, pos, publication))

    async def _carry(
        self, broker: Broker, wake: asyncio.Event, pos: int, publication: Publication
    ) -> None:
        await broker.publish(publication.topic, publication.payload)
        self._in_flight -= 1
        self._counters.published += 1
        self.outbox.sent(pos, self._clock.steady_ms())
        wake.set()

    async def _listen(self, broker: Broker, wake: asyncio.Event) -> None:
        async for payload in broker.messages():
            ranges = parse_receipt(payload, self.store_id)
            if ranges is None:
                self._counters.wrong_receipts += 1
                continue
            self._counters.receipts += 1
            self.outbox.receipt(ranges)
            wake.set()

    async def _save_cursor(self) -> None:
        now_ms = self._clock.steady_ms()
        if now_ms - self._saved_ms >= _CURSOR_MS:
            self._saved_ms = now_ms
            with suppress(StoreFullError):  # delivering is what makes room again
                await self.save()

    async def _wait(self, wake: asyncio.Event) -> None:
        again_ms = self.outbox.wait_ms(self._clock.steady_ms())
        unsaved = self.outbox.cursor != self._saved
        waits_ms = [60_000 if again_ms is None else again_ms, _CURSOR_MS if unsaved else 60_000]
        try:
            async with asyncio.timeout(max(1, min(waits_ms)) / 1000):
                await wake.wait()
        except TimeoutError:
            return
