"""One port, for ever: open it, run a session over it, back off, begin again."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

from lilong_gateway.backoff import Backoff
from lilong_gateway.downlink.errands import Errands
from lilong_gateway.errors import LinkError, LinkLostError, StoreError
from lilong_gateway.examine import describe, examine
from lilong_gateway.grounds import OLD_KEY, REVOKED, UNKNOWN, Grounds
from lilong_gateway.links import Link
from lilong_gateway.logs import pairs
from lilong_gateway.store.records import Advance, Arrival, Entry, Missing, Unreadable
from lilong_gateway.surroundings import Surroundings
from lilong_protocol import events
from lilong_protocol.errors import DecodeError
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.handshake import Hello
from lilong_protocol.serial import FRAME_LIMIT, FrameReader, wrap

_WRAPPED_BYTES = FRAME_LIMIT + 16
_SILENCE_MS = 100
_LOOK_S = 1.0
"""How often to see whether the store or the clock have changed."""

_VAIN_BYTES = 8192
_REST_S = 0.1
"""A line that said so much and nothing of use is read at this pace, to leave time for others."""

_ASK_MS = 5000
_LOG = logging.getLogger(__name__)


class Station:
    """Serves whichever node speaks on one port."""

    def __init__(self, port: str, around: Surroundings, backoff: Backoff) -> None:
        self.port = port
        self.state = "new"
        """What is so at present, in words for a person."""
        self.undescribed = 0
        """Descriptions that could not be decoded; their nodes keep their batches."""
        self._around = around
        self._backoff = backoff
        self._noted: set[str] = set()
        self._wake = asyncio.Event()
        self._reader = FrameReader()
        self._vain_bytes = 0
        self._counted: Counter[str] = Counter()
        self._errands = Errands(around)
        self._session = self._begin()

    @property
    def eui(self) -> bytes | None:
        """The node whose session is in force."""
        return self._session.eui

    @property
    def counters(self) -> dict[str, int]:
        """What was wrong on this line since the start of the station."""
        reader = self._reader
        line = {"damaged": reader.damaged, "oversized": reader.oversized, "text": reader.text}
        counted = self._counted + Counter(self._session.counters)
        return line | {"undescribed": self.undescribed} | self._session.counters | counted

    async def run(self) -> None:
        """Serve the port for ever."""
        while True:
            try:
                link = await self._around.open_link(self.port, self._wake.set)
            except LinkError as error:
                self._note(error.problem)
            else:
                await self._use(link)
            await asyncio.sleep(self._backoff.next_s())

    async def _use(self, link: Link) -> None:
        self._note("open", logging.INFO)
        try:
            await self._serve(link)
        except LinkLostError as error:
            self._note(f"lost: {error.problem}")
        finally:
            await link.close()

    async def _serve(self, link: Link) -> None:
        self._begin_anew()
        self._reader.flush()
        spoke_ms = 0
        while True:
            self._wake.clear()
            self._doubt()
            await self._hear(link.read())
            self._log_text()
            self._ask_again()
            spoke_ms = self._send(link, spoke_ms)
            await self._wait()

    async def _hear(self, data: bytes) -> None:
        self._vain_bytes += len(data)
        for frame in self._reader.feed(data):
            for event in self._session.receive(frame, self._now_ms()):
                if isinstance(event, events.BatchReceived | events.Opened):
                    self._vain_bytes = 0
                await self._handle(event)

    def _begin_anew(self) -> None:
        self._counted.update(self._session.counters)
        self._errands.end_visit()
        self._session = self._begin()

    def _begin(self) -> GatewaySession:
        """Forget all keys, so that the node has to say HELLO."""
        self._asked_ms = self._now_ms()
        self._grounds = Grounds(self._around)
        session = GatewaySession(self._around.keys, self._around.random)
        session.hint()
        return session

    def _doubt(self) -> None:
        """End a session that has lost what it stands on."""
        session = self._session
        objection = self._grounds.objection(session.eui, session.key)
        if objection is not None:
            if session.eui is not None:
                self._log_closed(session.eui, objection)
            self._begin_anew()

    def _ask_again(self) -> None:
        """Repeat the request for a HELLO: a node ignores one that comes amid good frames."""
        now_ms = self._now_ms()
        if self._session.eui is None and now_ms - self._asked_ms >= _ASK_MS:
            self._asked_ms = now_ms
            self._session.hint()

    def _send(self, link: Link, spoke_ms: int) -> int:
        if self._around.ingest.trouble is None:
            self._session.resume()
        else:
            self._session.pause()
        self._errands.ask(self._session, self._now_ms())
        while link.room >= _WRAPPED_BYTES:
            now_ms = self._now_ms()
            frame = self._session.poll(now_ms)
            if frame is None:
                break
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

    async def _handle(self, event: events.Event) -> None:
        match event:
            case events.BatchReceived():
                self._take_batch(event)
            case events.HelloReceived():
                await self._greet(event.hello)
            case events.Described():
                self._take_description(event)
            case events.Advanced():
                self._take_advance(event)
            case events.Refused():
                revoked = event.reason == UNKNOWN and event.eui in self._around.keys.revoked
                self._refuse(event.eui, REVOKED if revoked else event.reason)
            case _:
                self._follow(event)
                self._errands.take(event, self._now_ms())

    def _follow(self, event: events.Event) -> None:
        match event:
            case events.Opened():
                self._backoff.reset()
                self._noted = {self.state}
                _LOG.info("session open %s", pairs(port=self.port, eui=event.eui))
            case events.Closed():
                self._log_closed(event.eui, event.reason)

    async def _greet(self, hello: Hello) -> None:
        around = self._around
        try:
            known = await around.store.known(hello.eui, hello.epoch, hello.descriptor_hash)
        except StoreError as error:
            # Unanswered, the node says HELLO again.
            self._note(f"cannot answer a node: {error}")
            return
        around.proofs.recall(hello.eui, known.proven)
        if around.proofs.is_old(hello.eui, hello.key):
            self._counted["refused"] += 1
            self._refuse(hello.eui, OLD_KEY)
            return
        node = around.roster.node(hello.eui)
        node.port, node.firmware, node.boot_id = self.port, hello.firmware, hello.boot_id
        node.reset_cause = hello.reset_cause
        node.sessions += 1
        self._note("open", logging.INFO)
        self._session.accept(
            hello,
            list(known.next),
            around.clock.wall_ms(),
            self._now_ms(),
            descriptor_known=known.described,
        )

    def _take_batch(self, event: events.BatchReceived) -> None:
        entry = examine(event, self._around.clock.wall_ms())
        stored = partial(self._stored, self._session, entry)
        if not self._around.ingest.offer(entry, stored):
            self._session.dropped(event.epoch, event.stream, event.seq)

    def _stored(self, session: GatewaySession, entry: Arrival | Unreadable | Missing) -> None:
        slot = entry.slot
        node = self._around.roster.node(slot.eui)
        if isinstance(entry, Missing):
            node.missing += 1
        else:
            node.batches += 1
            node.readings += entry.readings if isinstance(entry, Arrival) else 0
        node.heard_ms = self._now_ms()
        if session.eui == slot.eui:
            session.stored(slot.epoch, slot.stream, slot.seq)
            self._wake.set()

    def _take_description(self, event: events.Described) -> None:
        key = self._session.key
        if key is None or self._around.proofs.is_old(event.eui, key):
            return  # A newer key was proven on another line; this session ends at once.
        try:
            entry = describe(event, key)
        except DecodeError as error:
            self.undescribed += 1
            fields = pairs(eui=event.eui, port=self.port, error=error)
            _LOG.error("node not served: its channels cannot be read %s", fields)
            return
        self._around.proofs.note(event.eui, key)
        self._offer(entry, event.eui, GatewaySession.described)

    def _take_advance(self, event: events.Advanced) -> None:
        entry = Advance(event.eui, event.epoch, event.stream, event.first)
        self._around.roster.node(event.eui).missing += event.missing
        fields = pairs(eui=event.eui, stream=event.stream, batches=event.missing)
        _LOG.warning("node gave up batches %s", fields)

        def done(session: GatewaySession) -> None:
            session.advanced(event.epoch, event.stream, event.first)

        self._offer(entry, event.eui, done)

    def _offer(self, entry: Entry, eui: bytes, done: Callable[[GatewaySession], None]) -> None:
        """Queue what must not be missed: without a place for it the session begins anew."""
        session = self._session

        def stored() -> None:
            if session.eui == eui:
                done(session)
                self._wake.set()

        if not self._around.ingest.offer(entry, stored):
            self._begin_anew()

    def _refuse(self, eui: bytes | None, reason: str) -> None:
        self._around.roster.refuse(eui, self.port, reason, self._now_ms())

    def _log_closed(self, eui: bytes, reason: str) -> None:
        _LOG.info("session closed %s", pairs(port=self.port, eui=eui, reason=reason))

    def _log_text(self) -> None:
        text = self._reader.take_text()
        if text and _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("node says %s", pairs(port=self.port, text=text.decode("ascii", "replace")))

    def _note(self, state: str, level: int = logging.WARNING) -> None:
        """Log each state once until a session opens; a port that flaps must not flood the log."""
        self.state = state
        if state not in self._noted:
            self._noted.add(state)
            _LOG.log(level, "port %s", pairs(name=self.port, state=state))

    def _now_ms(self) -> int:
        return self._around.clock.steady_ms()
