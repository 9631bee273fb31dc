"""One adapter, for ever: it listens, and is treated when it falls sick."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.errors import LinkError
from lilong_gateway.links.ble import Central
from lilong_gateway.logs import pairs
from lilong_gateway.radio.itinerary import Itinerary
from lilong_gateway.radio.ladder import Step

Recover = Callable[[str], Awaitable[bool]]
"""Brings an adapter back to work; whether it answered afterwards."""

_LOG = logging.getLogger(__name__)


class Ear:
    """Keeps the scan of one adapter going; run() for ever, in one task."""

    def __init__(
        self,
        central: Central,
        itinerary: Itinerary,
        recover: Recover,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self.central = central
        self.state = "new"
        """What is so at present, in words for a person."""
        self.lost = False
        """Whether it cannot be used at present."""
        self.steps = {Step.SCAN: 0, Step.POWER: 0}
        """How often it was treated."""
        self._itinerary = itinerary
        self._recover = recover
        self._backoff = backoff
        self._clock = clock
        self._due: Step | None = None
        self._treated = asyncio.Event()

    def treat(self, step: Step) -> None:
        """Have it scan anew, or switched off and on before."""
        self._due = step
        self._treated.set()

    async def run(self) -> None:
        """Listen for ever."""
        adapter = self.central.adapter
        try:
            while True:
                await self._treat()
                try:
                    await self.central.listen()
                except LinkError as error:
                    self._note(error.problem, logging.WARNING)
                    self._lose()
                    await self._pause(self._backoff.next_s())
                    continue
                self._note("listening", logging.INFO)
                self._backoff.reset()
                self.lost = False
                self._itinerary.adapter_back(adapter, self._clock.steady_ms())
                await self._treated.wait()
        finally:
            await self.central.rest()

    async def _treat(self) -> None:
        step, self._due = self._due, None
        self._treated.clear()
        if step is None:
            return
        self.steps[step] += 1
        if step is Step.POWER:
            adapter = self.central.adapter
            self._note("being switched off and on", logging.WARNING)
            self._lose()
            await self.central.rest()
            answered = await self._recover(adapter)
            _LOG.warning("adapter switched off and on %s", pairs(adapter=adapter, well=answered))

    def _lose(self) -> None:
        self.lost = True
        self._itinerary.adapter_lost(self.central.adapter, self._clock.steady_ms())

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._treated.wait()
        except TimeoutError:
            return

    def _note(self, state: str, level: int) -> None:
        if state != self.state:
            self.state = state
            _LOG.log(level, "adapter %s", pairs(name=self.central.adapter, state=state))
