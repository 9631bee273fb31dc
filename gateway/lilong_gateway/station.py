"""One port, for ever: open it, converse over it, back off, begin again."""

import asyncio
import logging

from lilong_gateway.backoff import Backoff
from lilong_gateway.conversation import OPEN, SESSION_OPEN, Conversation
from lilong_gateway.errors import LinkError, LinkLostError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.links import Link, OpenLink
from lilong_gateway.logs import pairs
from lilong_gateway.surroundings import Surroundings
from lilong_protocol.serial import FRAME_LIMIT, FrameReader, wrap

_WRAPPED_BYTES = FRAME_LIMIT + 16
_SILENCE_MS = 100
_LOOK_S = 1.0
"""How often to see whether the store or the clock have changed."""

_VAIN_BYTES = 8192
_REST_S = 0.1
"""A line that said so much and nothing of use is read at this pace, to leave time for others."""

_LOG = logging.getLogger(__name__)


class Station:
    """Serves whichever node speaks on one port."""

    def __init__(
        self,
        port: str,
        around: Surroundings,
        open_link: OpenLink,
        backoff: Backoff,
        pulse: Pulse | None = None,
    ) -> None:
        self.port = port
        self.state = "new"
        """What is so at present, in words for a person."""
        self._around = around
        self._open_link = open_link
        self._backoff = backoff
        self._pulse = pulse or Pulse()
        self._noted: set[str] = set()
        self._wake = asyncio.Event()
        self._reader = FrameReader()
        self._vain_bytes = 0
        self._conversation = Conversation(port, around, self._wake.set, self._take_note)

    @property
    def eui(self) -> bytes | None:
        """The node whose session is in force."""
        return self._conversation.eui

    @property
    def counters(self) -> dict[str, int]:
        """What was wrong on this line since the start of the station."""
        reader = self._reader
        line = {"damaged": reader.damaged, "oversized": reader.oversized, "text": reader.text}
        return line | self._conversation.counters

    async def run(self) -> None:
        """Serve the port for ever."""
        while True:
            self._pulse.work()
            try:
                link = await self._open_link(self.port, self._wake.set)
            except LinkError as error:
                self._note(error.problem)
            else:
                await self._use(link)
            self._pulse.rest()
            await asyncio.sleep(self._backoff.next_s())

    async def _use(self, link: Link) -> None:
        self._note(OPEN, logging.INFO)
        try:
            await self._serve(link)
        except LinkLostError as error:
            self._note(f"lost: {error.problem}")
        finally:
            await link.close()

    async def _serve(self, link: Link) -> None:
        self._conversation.begin_anew()
        self._reader.flush()
        spoke_ms = 0
        while True:
            self._pulse.work()
            self._wake.clear()
            self._conversation.doubt()
            await self._hear(link.read())
            self._log_text()
            self._conversation.turn()
            spoke_ms = self._send(link, spoke_ms)
            self._pulse.rest()
            await self._wait()

    async def _hear(self, data: bytes) -> None:
        self._vain_bytes += len(data)
        for frame in self._reader.feed(data):
            if await self._conversation.hear(frame):
                self._vain_bytes = 0

    def _send(self, link: Link, spoke_ms: int) -> int:
        while link.room >= _WRAPPED_BYTES:
            frame = self._conversation.next_frame()
            if frame is None:
                break
            now_ms = self._around.clock.steady_ms()
            link.write(wrap(frame, leading=now_ms - spoke_ms > _SILENCE_MS))
            spoke_ms = now_ms
        return spoke_ms

    async def _wait(self) -> None:
        if self._vain_bytes > _VAIN_BYTES:
            await asyncio.sleep(_REST_S)
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._wake.wait()
        except TimeoutError:
            # A line that pauses is no flood: what it says next is heard at once.
            self._vain_bytes = 0

    def _log_text(self) -> None:
        text = self._reader.take_text()
        if text and _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("node says %s", pairs(port=self.port, text=text.decode("ascii", "replace")))

    def _take_note(self, state: str) -> None:
        """Take what the conversation says of itself."""
        if state == SESSION_OPEN:
            self._backoff.reset()
            self._noted = {self.state}
        else:
            self._note(state, logging.INFO if state == OPEN else logging.WARNING)

    def _note(self, state: str, level: int = logging.WARNING) -> None:
        """Log each state once until a session opens; a port that flaps must not flood the log."""
        self.state = state
        if state not in self._noted:
            self._noted.add(state)
            _LOG.log(level, "port %s", pairs(name=self.port, state=state))
