"""A session with whichever node speaks on a link: frames in and out, batches to the store."""

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial

from lilong_gateway.downlink.errands import Errands
from lilong_gateway.errors import StoreError
from lilong_gateway.examine import describe, examine
from lilong_gateway.grounds import OLD_KEY, REVOKED, UNKNOWN, Grounds
from lilong_gateway.logs import pairs
from lilong_gateway.store.records import Advance, Arrival, Entry, Missing, Unreadable
from lilong_gateway.surroundings import Surroundings
from lilong_protocol import events
from lilong_protocol.errors import DecodeError
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.handshake import Hello

OPEN = "open"
SESSION_OPEN = "session open"

_ASK_MS = 5000
_USEFUL = (events.BatchReceived, events.Opened, events.Responded)
"""What only an authentic node brings about, and not by saying the same again."""

_LOG = logging.getLogger(__name__)


class Conversation:
    """Goes on through any number of sessions; place says where it is held, for log and status.

    The driver calls doubt(), hands in each frame that came, calls turn(), sends what next_frame()
    gives, and begins again, at least once a second. wake is called when there may be more to send
    although nothing came; note is told what is so at present, in words for a person.
    """

    def __init__(
        self,
        place: str,
        around: Surroundings,
        wake: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self.undescribed = 0
        """Descriptions that could not be decoded; their nodes keep their batches."""
        self._place = place
        self._around = around
        self._wake = wake
        self._note = note
        self._counted: Counter[str] = Counter()
        self._errands = Errands(around)
        self._session = self._begin()

    @property
    def eui(self) -> bytes | None:
        """The node whose session is in force."""
        return self._session.eui

    @property
    def is_done(self) -> bool:
        """Whether the node has handed over what it had, and nothing is being asked of it."""
        return self._session.drained and not self._errands.busy

    @property
    def counters(self) -> dict[str, int]:
        """What was wrong since the beginning."""
        counted = self._counted + Counter(self._session.counters)
        return {"undescribed": self.undescribed} | self._session.counters | counted

    def begin_anew(self) -> None:
        """Forget all keys, so that the node has to say HELLO."""
        self._counted.update(self._session.counters)
        self._errands.end_visit()
        self._session = self._begin()

    def doubt(self) -> None:
        """End a session that has lost what it stands on."""
        session = self._session
        objection = self._grounds.objection(session.eui, session.key)
        if objection is not None:
            if session.eui is not None:
                self._log_closed(session.eui, objection)
            self.begin_anew()

    async def hear(self, frame: bytes) -> bool:
        """Take a frame; return whether it was of any use: noise and strangers never are."""
        useful = False
        for event in self._session.receive(frame, self._now_ms()):
            useful = useful or isinstance(event, _USEFUL)
            await self._handle(event)
        return useful

    def turn(self) -> None:
        """Do what does not wait for a frame: ask for what is due."""
        self._ask_again()
        if self._around.ingest.trouble is None:
            self._session.resume()
        else:
            self._session.pause()
        self._errands.ask(self._session, self._now_ms())

    def next_frame(self) -> bytes | None:
        """Return the next frame for the node, None when nothing is due."""
        return self._session.poll(self._now_ms())

    def take_leave(self) -> None:
        """Have the node told once more what is on disk, so that it need not send it again."""
        self._session.described()

    def _begin(self) -> GatewaySession:
        self._asked_ms = self._now_ms()
        self._grounds = Grounds(self._around)
        session = GatewaySession(self._around.keys, self._around.random)
        session.hint()
        return session

    def _ask_again(self) -> None:
        """Repeat the request for a HELLO: a node ignores one that comes amid good frames."""
        now_ms = self._now_ms()
        if self._session.eui is None and now_ms - self._asked_ms >= _ASK_MS:
            self._asked_ms = now_ms
            self._session.hint()

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
                self._note(SESSION_OPEN)
                _LOG.info("session open %s", pairs(port=self._place, eui=event.eui))
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
        node.port, node.firmware, node.boot_id = self._place, hello.firmware, hello.boot_id
        node.reset_cause = hello.reset_cause
        node.sessions += 1
        self._note(OPEN)
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
        readings = entry.readings if isinstance(entry, Arrival) else 0
        counted = None if isinstance(entry, Missing) else readings
        self._around.roster.stored(slot.eui, self._place, counted, self._now_ms())
        if session.eui == slot.eui:
            session.stored(slot.epoch, slot.stream, slot.seq)
            self._wake()

    def _take_description(self, event: events.Described) -> None:
        key = self._session.key
        if key is None or self._around.proofs.is_old(event.eui, key):
            return  # A newer key was proven on another line; this session ends at once.
        try:
            entry = describe(event, key)
        except DecodeError as error:
            self.undescribed += 1
            fields = pairs(eui=event.eui, port=self._place, error=error)
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
                self._wake()

        if not self._around.ingest.offer(entry, stored):
            self.begin_anew()

    def _refuse(self, eui: bytes | None, reason: str) -> None:
        self._around.roster.refuse(eui, self._place, reason, self._now_ms())

    def _log_closed(self, eui: bytes, reason: str) -> None:
        _LOG.info("session closed %s", pairs(port=self._place, eui=eui, reason=reason))

    def _now_ms(self) -> int:
        return self._around.clock.steady_ms()
