"""Carrying batches over connections, as the outbox says."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.errors import StoreFullError
from lilong_gateway.outbox import Outbox
from lilong_gateway.outbox_parts import Limits, Part
from lilong_gateway.store.records import SinkState
from lilong_gateway.uplink.broker import Broker
from lilong_gateway.uplink.courier import Courier
from lilong_gateway.uplink.dispatch import Dispatch, Shipment
from lilong_gateway.uplink.means import Means
from lilong_gateway.uplink.receipts import parse_receipt

_SAVE_S = 0.5
"""How often the cursors are put on disk; what a crash forgets is sent again."""
_HEALTH_S = 60.0


class Delivery:
    """The outbox of one store, filled from it and emptied into whichever connection there is."""

    def __init__(self, means: Means, state: SinkState, limits: Limits, *, city: bool) -> None:
        self.store_id = state.store_id
        self.outbox: Outbox[Shipment] = Outbox(state, limits, city=city)
        self.last = state.last
        """The highest position known to be in the store."""
        self.confirmed_ms: int | None = None
        """When something was confirmed last, in ms since 1970."""
        self.dispatch: Dispatch | None = None
        """That of the present connection."""
        self._means = means
        self._couriers: list[Courier] = []
        self._refusals: list[tuple[int, str]] = []
        self._saved = state.cursors
        self._confirmed = 0

    async def run(self, broker: Broker, last: int, progress: Callable[[], None]) -> None:
        """Deliver until the connection is lost; UplinkError, StoreError.

        last is the highest position in the store; progress is called at each confirmation.
        """
        self.outbox.lost()
        self.last = max(self.last, last)
        self.outbox.fall_behind(self.last)
        means = self._means
        dispatch = Dispatch(
            broker, self.outbox, means, self._refusals, lambda: self._moved(progress)
        )
        self.dispatch = dispatch
        self._couriers = [
            Courier(part, means, self.store_id, self.outbox, dispatch, lambda: self.last)
            for part in Part
        ]
        dispatch.say(means.form.begin())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(broker.watch())
                group.create_task(self._listen(broker, dispatch, progress))
                group.create_task(self._save_often())
                group.create_task(self._tell_health(dispatch))
                for courier in self._couriers:
                    group.create_task(courier.run())
        finally:
            self.dispatch = None
            self._couriers = []

    def wake(self) -> None:
        """There may be more to deliver."""
        for courier in self._couriers:
            courier.wake.set()

    async def save(self) -> None:
        """Put what was refused, and then the cursors, on disk; StoreError."""
        means = self._means
        while self._refusals:
            why = self._refusals[0][1]
            told = [entry for entry in self._refusals if entry[1] == why]
            positions = [pos for pos, _ in told]
            await means.store.refuse(self.store_id, positions, f"{means.name}: {why}")
            for entry in told:  # more may have come meanwhile
                self._refusals.remove(entry)
        cursors = self.outbox.cursors
        if cursors != self._saved:
            await means.store.save_cursors(self.store_id, means.name, cursors)
            self._saved = cursors

    async def _save_often(self) -> None:
        pulse = self._means.pulse
        try:
            while True:
                pulse.rest()
                await asyncio.sleep(_SAVE_S)
                pulse.work()
                with suppress(StoreFullError):  # delivering is what makes room again
                    await self.save()
        finally:
            pulse.rest()

    async def _tell_health(self, dispatch: Dispatch) -> None:
        means = self._means
        while True:
            wall_ms = means.clock.wall_ms()
            if wall_ms is not None:
                await dispatch.gate.enter(Part.LIVE, 0)
                dispatch.say(means.form.health(means.figures(), wall_ms + UNIX_2000_MS))
            await asyncio.sleep(_HEALTH_S)

    async def _listen(
        self, broker: Broker, dispatch: Dispatch, progress: Callable[[], None]
    ) -> None:
        async for message in broker.messages():
            if message.topic == self._means.receipts:
                self._receive(message.payload)
                self._moved(progress)
            else:
                dispatch.say(self._means.form.heard(message.topic, message.payload))

    def _receive(self, payload: bytes) -> None:
        counters = self._means.counters
        receipt = parse_receipt(payload, self.store_id)
        if receipt is None:
            counters.wrong_receipts += 1
            return
        counters.receipts += 1
        unreadable = self.outbox.receipt(receipt.held, receipt.refused)
        counters.refused += len(unreadable)
        self._refusals += [(pos, "the city cannot read it") for pos in unreadable]

    def _moved(self, progress: Callable[[], None]) -> None:
        if self.outbox.confirmed != self._confirmed:
            self._confirmed = self.outbox.confirmed
            wall_ms = self._means.clock.wall_ms()
            self.confirmed_ms = None if wall_ms is None else wall_ms + UNIX_2000_MS
            progress()
        self.wake()
