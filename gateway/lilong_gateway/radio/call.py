"""One visit to a node: connect, converse until it has nothing more, take leave."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from lilong_gateway.conversation import SESSION_OPEN, Conversation
from lilong_gateway.errors import LinkBusyError, LinkError, LinkLostError, LinkRefusedError
from lilong_gateway.links.ble import BleLink, Central
from lilong_gateway.logs import pairs
from lilong_gateway.radio.itinerary import Outcome
from lilong_gateway.surroundings import Surroundings

_LOOK_S = 0.25
_QUIET_MS = 150
"""So long nothing may come from a node that has handed over what it had."""

_GREETING_MS = 6_000
_SILENT_MS = 8_000
_PAUSED_MS = 1_000
_VAIN_BYTES = 16_384
_FAREWELL_S = 2.0
_LOG = logging.getLogger(__name__)


class Call:
    """Bounded in every way; why_leave says why it has to end now, "" while it may go on."""

    def __init__(
        self,
        place: str,
        around: Surroundings,
        on_connected: Callable[[], None],
        why_leave: Callable[[], str],
    ) -> None:
        self.outcome = Outcome.FAILED
        self.drained = False
        self.gave_way = False
        """Whether it ended before it was connected, for others."""
        self.reached = False
        """Whether a connection came about."""
        self.trouble = ""
        """Why it was not good, in words for a person."""
        self._place = place
        self._around = around
        self._on_connected = on_connected
        self._why_leave = why_leave
        self._wake = asyncio.Event()
        self._conversation = Conversation(place, around, self._wake.set, self._note)
        self._useful_ms = self._heard_ms = self._open_ms = self._now_ms()
        self._vain_bytes = 0

    async def run(self, central: Central, address: str) -> None:
        """Make the visit; never raises LinkError."""
        try:
            link = await self._connect(central, address)
            if link is not None:
                await self._use(link)
        except LinkBusyError as error:
            self.outcome, self.trouble = Outcome.NO_SLOT, error.problem
        except LinkError as error:
            self.reached = self.reached or isinstance(error, LinkRefusedError)
            self.trouble = error.problem

    async def _connect(self, central: Central, address: str) -> BleLink | None:
        """Return the link, None when it has to end before that has come about."""
        connecting = asyncio.create_task(central.connect(address, self._wake.set))
        try:
            while not connecting.done() and not (why := self._why_leave()):
                await asyncio.wait([connecting], timeout=_LOOK_S)
        except asyncio.CancelledError:
            await _abandon(connecting)
            raise
        if not connecting.done():
            self.gave_way, self.trouble = True, why
            await _abandon(connecting)
            return None
        return connecting.result()

    async def _use(self, link: BleLink) -> None:
        self.reached = True
        try:
            self._on_connected()
            self._useful_ms = self._heard_ms = self._open_ms = self._now_ms()
            self._conversation.begin_anew()
            await self._converse(link)
            await self._farewell(link)
        except LinkLostError as error:
            self.trouble = error.problem
        finally:
            await link.close()

    async def _converse(self, link: BleLink) -> None:
        while True:
            self._wake.clear()
            self._conversation.doubt()
            await self._hear(link)
            self._conversation.turn()
            self._send(link)
            if self._is_over():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S if not self._conversation.is_done else 0.05):
                    await self._wake.wait()

    async def _hear(self, link: BleLink) -> None:
        for frame in link.line.read():
            self._heard_ms = self._now_ms()
            self._vain_bytes += len(frame)
            if await self._conversation.hear(frame):
                self._useful_ms = self._heard_ms
                self._vain_bytes = 0

    def _send(self, link: BleLink) -> None:
        while link.line.ready:
            frame = self._conversation.next_frame()
            if frame is None:
                return
            link.line.write(frame)

    def _is_over(self) -> bool:
        """Whether nothing is to be expected any more, or too much was."""
        now_ms = self._now_ms()
        if self._conversation.is_done and now_ms - self._useful_ms >= _QUIET_MS:
            self.drained = True
            return True
        if self._conversation.eui is not None:
            self._open_ms = now_ms
        if now_ms - self._open_ms >= _GREETING_MS:
            self.trouble = "no session came about"
        elif now_ms - self._heard_ms >= _SILENT_MS:
            self.trouble = "the node fell silent"
        elif self._vain_bytes > _VAIN_BYTES:
            self.trouble = "the node says nothing of use"
        elif self._around.ingest.trouble is not None and self._is_quiet(now_ms):
            self.trouble = "nothing can be stored"
        else:
            self.trouble = self._why_leave()
        return bool(self.trouble)

    def _is_quiet(self, now_ms: int) -> bool:
        """Whether nothing more comes of what the node was allowed to send."""
        return now_ms - self._heard_ms >= _PAUSED_MS

    async def _farewell(self, link: BleLink) -> None:
        """See to it that the last acknowledgement has reached the node."""
        self._conversation.take_leave()
        self._send(link)
        link.line.settle()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                while not link.line.settled:
                    self._wake.clear()
                    await self._hear(link)
                    await self._wake.wait()

    def _note(self, state: str) -> None:
        if state == SESSION_OPEN:
            self.outcome = Outcome.SESSION
        else:
            _LOG.debug("visit %s", pairs(link=self._place, state=state))

    def _now_ms(self) -> int:
        return self._around.clock.steady_ms()


async def _abandon(connecting: asyncio.Task[BleLink]) -> None:
    """Give up a connect, which takes bounded time; one that came about nevertheless is ended."""
    connecting.cancel()
    await asyncio.wait([connecting])
    if not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().close()
