"""The node's end of a link: frames and uptime in, frames and events out.

    state       leaves it on                               next state
    CLOSED      the HELLO is due and was polled            GREETING
    GREETING    an authentic WELCOME                       DESCRIBING
                the next HELLO is due                      GREETING (a new HELLO)
    DESCRIBING  an authentic ACK                           OPEN
                DESCRIBE was tried too often               CLOSED
    OPEN        a batch or the time was tried too often,
                the keys are used up or a day old,
                a new key was kept, and that was answered,
                the outbox overflowed,
                too many frames that do not authenticate   CLOSED

A RESET proves nothing: it brings a HELLO or a question for the time forward, and ends no session
but one that is still not OPEN after seconds. All that changes this end's state is in this file.
"""

from lilong_protocol import cbor, frame
from lilong_protocol.acknowledgement import parse_acknowledgements
from lilong_protocol.answers import Answers
from lilong_protocol.cipher import FORGERY_LIMIT, FRAME_LIMIT
from lilong_protocol.description import Description, descriptor_hash
from lilong_protocol.dispatch import Dispatch
from lilong_protocol.errors import DecodeError, ProtocolError
from lilong_protocol.greeting import Greeter
from lilong_protocol.node_events import Acknowledged, Lost, Opened, Requested, Synchronised
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.request import parse_request
from lilong_protocol.sender import MAX_TRIES
from lilong_protocol.time_exchange import TimeExchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_protocol.cipher import FrameCipher
    from lilong_protocol.dispatch import Outbox
    from lilong_protocol.greeting import Greeting
    from lilong_protocol.node_events import Event
    from lilong_protocol.node_keys import NodeKeys

CLOSED = 0
GREETING = 1
DESCRIBING = 2
OPEN = 3

_SILENT_MS = const(1000)
_UNDESCRIBED_MS = const(3000)
_DAY_MS = const(86400000)
_SEALED = (frame.ACK, frame.TIME, frame.REQUEST)


class NodeSession:
    """Delivers an outbox to whichever gateway answers on the link.

    Call receive for every deframed frame, poll until it returns None whenever the line can take
    more, and again after due_ms. now_ms is the node's uptime: it never goes back nor wraps.
    """

    def __init__(
        self,
        eui: bytes,
        keys: "NodeKeys",
        outbox: "Outbox",
        random: "Callable[[int], bytes]",
        greeting: "Greeting",
        descriptor: bytes,
    ) -> None:
        self._eui = eui
        self._keys = keys
        self._outbox = outbox
        self._boot_id = greeting.boot_id
        self._descriptor = descriptor
        self._hash = descriptor_hash(descriptor)
        self._greeter = Greeter(eui, keys, random, greeting, self._hash)
        names = ("undecodable", "unauthentic", "sessions", "lost", "unsaved")
        self.counters = dict.fromkeys(names, 0)
        self.state = CLOSED
        self.boot_epoch_ms: int | None = None
        self._boot_uncertainty_ms = 0
        self._events: list[Event] = []
        self._cipher: FrameCipher | None = None
        self._opened_ms = 0
        self.heard_ms = 0
        """The uptime of the last authentic frame."""
        self._describe_descriptor = True
        self._describe_tries = 0
        self._describe_due_ms = 0
        self.dispatch = Dispatch(outbox)
        self._clock = TimeExchange(0)
        self._answers = Answers(keys, self.counters)

    @property
    def idle(self) -> bool:
        """Whether everything in the outbox has been acknowledged."""
        return self.state == OPEN and self.dispatch.idle()

    def receive(self, data: bytes, now_ms: int) -> "list[Event]":
        """Take one frame; whatever a stranger sends is counted and dropped."""
        try:
            self._take(data, now_ms)
        except DecodeError:
            self.counters["undecodable"] += 1
        except ProtocolError:
            self.counters["unauthentic"] += 1
            if self._cipher is not None and self._cipher.forged >= FORGERY_LIMIT:
                self._close("too many forged frames", now_ms)
        return self.events()

    def poll(self, now_ms: int) -> "bytes | None":
        """Return the next frame for the line, or None when nothing is due."""
        if self.state == OPEN and self._is_used_up(now_ms):
            self._close("the keys are used up", now_ms)
        if self.state <= GREETING:
            return self._poll_hello(now_ms)
        if self.state == DESCRIBING:
            return self._poll_describe(now_ms)
        leaving = self._poll_time(now_ms)
        if leaving is None and self.state == OPEN:
            leaving = self._poll_response(now_ms)
        return self._poll_data(now_ms) if leaving is None and self.state == OPEN else leaving

    def respond(self, number: int, code: int, payload: bytes = b"") -> None:
        """Answer a Requested event of this session; code is one of lilong_protocol.request."""
        self._answers.answer(number, code, payload)

    def interrupted(self, now_ms: int) -> None:
        """End the session: the link that it ran over is gone, and the next one begins anew."""
        self._greeter.forgive()
        if self._cipher is not None:
            self._close("the link is gone", now_ms)
        self.state = CLOSED
        self._greeter.begin(now_ms)

    def events(self) -> "list[Event]":
        """Return what polling has brought about since the last call."""
        events = self._events
        self._events = []
        return events

    def due_ms(self, now_ms: int) -> int:
        """Return the milliseconds until poll has something to do, although nothing happens."""
        if self.state <= GREETING:
            return max(0, self._greeter.due_ms - now_ms)
        if self.state == DESCRIBING:
            return max(0, self._describe_due_ms - now_ms)
        if self._answers.waiting:
            return 0
        time_ms = max(0, self._clock.due_ms - now_ms)
        data_ms = self.dispatch.due_ms(now_ms)
        return time_ms if data_ms is None else min(time_ms, data_ms)

    # What arrives

    def _take(self, data: bytes, now_ms: int) -> None:
        header = frame.parse_header(data)
        if header.kind == frame.RESET:
            self._take_reset(now_ms)
        elif header.kind == frame.WELCOME:
            self._take_welcome(header, data, now_ms)
        elif self._cipher is not None and header.kind in _SEALED:
            plaintext = self._cipher.open(header, data)
            self.heard_ms = now_ms
            if header.kind == frame.ACK:
                self._take_acknowledgement(plaintext, now_ms)
            elif header.kind == frame.REQUEST:
                self._take_request(plaintext)
            elif self._clock.answered(plaintext, now_ms):
                self._tell_time()

    def _take_reset(self, now_ms: int) -> None:
        """A hint from nobody in particular: whoever sends many of them must not move us much."""
        silent_ms = now_ms - self.heard_ms
        if self.state == GREETING:
            self._greeter.hint(now_ms)
        elif self.state == DESCRIBING and silent_ms >= _UNDESCRIBED_MS:
            self._close("the gateway asks for a new session", now_ms)
        elif self.state == OPEN and silent_ms >= _SILENT_MS:
            self._clock.doubt(now_ms)

    def _take_welcome(self, header: frame.Header, data: bytes, now_ms: int) -> None:
        if self.state != GREETING:
            return
        cipher, welcome = self._greeter.open_welcome(header, data)
        self.dispatch.check(welcome.next)
        if not self._greeter.succeeded():
            self.counters["unsaved"] += 1  # The next HELLO is under the other key.
            return
        self._cipher = cipher
        self.counters["sessions"] += 1
        self._opened_ms = self.heard_ms = now_ms
        self._answers = Answers(self._keys, self.counters)
        self.dispatch.begin(welcome.next, self._greeter.first, now_ms)
        for stream in range(frame.STREAMS):
            self._events.append(Acknowledged(stream, welcome.next[stream]))
        self._begin_time(welcome.time_ms, now_ms)
        self._describe_descriptor = not welcome.descriptor_known
        self._describe_tries = 0
        self._describe_due_ms = now_ms
        self.state = DESCRIBING

    def _begin_time(self, gateway_ms: "int | None", now_ms: int) -> None:
        self._clock = TimeExchange(now_ms)
        if gateway_ms is not None and self._clock.measured(
            self._greeter.said_ms, gateway_ms, now_ms
        ):
            self._tell_time()

    def _take_request(self, plaintext: bytes) -> None:
        request = parse_request(plaintext)
        if self.state == OPEN and self._answers.take(request):
            self._events.append(Requested(request.number, request.method, request.body))

    def _take_acknowledgement(self, plaintext: bytes, now_ms: int) -> None:
        entries = parse_acknowledgements(plaintext)
        if self.state == DESCRIBING:
            self.state = OPEN
            self._events.append(Opened(self._eui))
        for entry in entries:
            after = self.dispatch.acknowledge(entry, now_ms)
            if after is not None:
                self._events.append(Acknowledged(entry.stream, after))

    def _tell_time(self) -> None:
        """Pass a new offset on; the first of a boot stays the one its own readings refer to."""
        clock, first = self._clock, self.boot_epoch_ms is None
        if first:
            self.boot_epoch_ms = clock.offset_ms
            self._boot_uncertainty_ms = clock.uncertainty_ms
        best = (clock.offset_ms, clock.uncertainty_ms, clock.measured_ms)
        self._events.append(Synchronised(*best, first=first))

    # What leaves

    def _poll_hello(self, now_ms: int) -> "bytes | None":
        if now_ms < self._greeter.due_ms:
            return None
        self.state = GREETING
        return self._greeter.hello(self._outbox, now_ms)

    def _poll_describe(self, now_ms: int) -> "bytes | None":
        if now_ms < self._describe_due_ms:
            return None
        if self._describe_tries >= MAX_TRIES:
            self._close("no answer to DESCRIBE", now_ms)
            return None
        self._describe_tries += 1
        wait_ms = self.dispatch.round_trip.timeout_ms * self._describe_tries
        self._describe_due_ms = now_ms + wait_ms
        descriptor = self._descriptor if self._describe_descriptor else None
        since = (self._boot_id, self.boot_epoch_ms, self._boot_uncertainty_ms)
        description = Description(*since, self._hash, descriptor)
        return self._seal(frame.DESCRIBE, description.pack(), frame.CONTROL_STREAM)

    def _poll_time(self, now_ms: int) -> "bytes | None":
        if now_ms < self._clock.due_ms:
            return None
        if self._clock.unanswered:
            self._close("no answer to TIME", now_ms)
            return None
        return self._seal(frame.TIME, self._clock.ask(now_ms), frame.CONTROL_STREAM)

    def _poll_response(self, now_ms: int) -> "bytes | None":
        response = self._answers.take_due()
        if response is not None:
            return self._seal(frame.RESPONSE, response.pack(), frame.CONTROL_STREAM)
        if self._answers.rekeyed:
            self._close("a new key", now_ms)
        return None

    def _poll_data(self, now_ms: int) -> "bytes | None":
        due = self.dispatch.due(now_ms)
        if self.dispatch.overflowed(due, now_ms):
            # Batches gave way to newer ones: only a HELLO tells the gateway so.
            self._close("the outbox overflowed", now_ms)
            return None
        if due is None:
            return None
        stream, seq = due
        if not self.dispatch.sent(stream, seq, now_ms):
            self._close("no acknowledgement", now_ms)
            return None
        # An unreadable batch goes out empty, so that the gateway counts it and moves on.
        item = self._outbox.read(stream, seq) or b""
        return self._seal(frame.DATA, cbor.encode(seq) + item, stream)

    def _seal(self, kind: int, plaintext: bytes, stream: int) -> "bytes | None":
        return self._cipher.seal(kind, plaintext, stream) if self._cipher is not None else None

    def _is_used_up(self, now_ms: int) -> bool:
        sent = 0 if self._cipher is None else self._cipher.sent
        return sent >= FRAME_LIMIT - 1 or now_ms - self._opened_ms >= _DAY_MS

    def _close(self, reason: str, now_ms: int) -> None:
        self.state = CLOSED
        self._cipher = None
        self._greeter.begin(now_ms)
        self.counters["lost"] += 1
        self._events.append(Lost(reason))
