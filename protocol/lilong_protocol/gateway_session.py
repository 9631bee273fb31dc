"""The gateway's end of a link: frames in, events and frames out.

    state      leaves it on                                     next state
    SILENT     an authentic HELLO                               GREETED
    GREETED    accept() by the driver                           WELCOMED
    WELCOMED   an authentic DESCRIBE (the node is fresh)        DESCRIBED
    DESCRIBED  described() by the driver                        OPEN
    OPEN       too many frames that do not authenticate,
               the keys are used up                             SILENT

A HELLO may come at any time. It prepares a candidate beside the session in force, and only its
DESCRIBE, which nobody can replay, replaces that session.
"""

from lilong_protocol import cbor, events, frame, handshake
from lilong_protocol.acknowledgement import MAX_WINDOW
from lilong_protocol.cipher import FORGERY_LIMIT, FRAME_LIMIT
from lilong_protocol.description_reader import follows, parse_description
from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.fields import ranged
from lilong_protocol.node_streams import Candidates, NodeStreams
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.question import parse_response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lilong_protocol.events import Event
    from lilong_protocol.receiver import Receiver

_HINT_MS = const(1000)
_MAX_TIME_MS = (1 << 48) - 1
_SEALED = (frame.DATA, frame.TIME, frame.DESCRIBE, frame.RESPONSE)


class GatewaySession:
    """Receives the batches of whichever node speaks on the link.

    keys gives a node's 16-byte keys by its EUI-64, the oldest first; none for a stranger. There
    are two while a node moves from one to the next. now_ms is monotonic.
    """

    def __init__(
        self,
        keys: "Callable[[bytes], Sequence[bytes] | None]",
        random: "Callable[[int], bytes]",
        window: int = MAX_WINDOW,
    ) -> None:
        self._keys = keys
        self._random = random
        self._window = window
        self.counters = {"undecodable": 0, "unauthentic": 0, "refused": 0, "repeated": 0}
        self._candidates = Candidates()
        self._session: NodeStreams | None = None
        self._hint = False
        self._hint_ms: int | None = None
        self._events: list[Event] = []

    @property
    def eui(self) -> "bytes | None":
        """The node whose session is in force."""
        return self._session.hello.eui if self._session is not None else None

    @property
    def key(self) -> "bytes | None":
        """The node's key that the session in force was begun with."""
        return self._session.hello.key if self._session is not None else None

    @property
    def drained(self) -> bool:
        """Whether the node has handed over what it had."""
        return self._session is not None and self._session.drained

    def receive(self, data: bytes, now_ms: int) -> "list[Event]":
        """Take one frame; whatever a stranger sends is counted and dropped."""
        try:
            header = frame.parse_header(data)
            if header.kind == frame.HELLO:
                self._take_hello(data)
            elif header.kind in _SEALED:
                self._take_sealed(header, data, now_ms)
        except DecodeError:
            self.counters["undecodable"] += 1
        except AuthenticationError:
            self._count_forgery()
        happened, self._events = self._events, []
        return happened

    def accept(
        self,
        hello: handshake.Hello,
        next: "list[int]",  # noqa: A002 - the protocol's own word
        time_ms: "int | None",
        now_ms: int,
        *,
        descriptor_known: bool,
    ) -> None:
        """Answer a HELLO: next is what the store holds of each stream, time_ms the time at now_ms.

        Ignored when a newer HELLO of the same boot was answered meanwhile, or its key withdrawn.
        """
        if not self._holds_key_of(hello) or self._candidates.outdate(hello):
            return
        clear = handshake.welcome_clear(self._random(handshake.RANDOM_BYTES))
        head = handshake.welcome_header() + clear
        cipher = handshake.session_cipher(hello.key, hello.frame, head, node=False)
        welcome = handshake.Welcome(time_ms, next, descriptor_known=descriptor_known)
        candidate = NodeStreams(hello, cipher, next, described=descriptor_known)
        candidate.welcome = cipher.seal(frame.WELCOME, welcome.pack(), clear=clear)
        if time_ms is not None:
            candidate.clock_ms = time_ms - now_ms
        self._candidates.add(candidate)

    def described(self) -> None:
        """Note that the node's description is stored: batches may come."""
        if self._session is not None:
            self._session.begin()

    def stored(self, epoch: int, stream: int, seq: int) -> None:
        """Note that a batch is on disk: it may be acknowledged."""
        receiver = self._receiver(epoch, stream)
        if receiver is not None:
            receiver.stored(seq)

    def dropped(self, epoch: int, stream: int, seq: int) -> None:
        """Note that a batch could not be stored: the node will send it again."""
        receiver = self._receiver(epoch, stream)
        if receiver is not None:
            receiver.dropped(seq)

    def advanced(self, epoch: int, stream: int, first: int) -> None:
        """Note that the store has given up on what is below first."""
        receiver = self._receiver(epoch, stream)
        if receiver is not None:
            receiver.advanced(first)

    def pause(self) -> None:
        """Ask the node to keep its batches for now: the store takes none."""
        if self._session is not None:
            self._session.set_window(0)

    def resume(self) -> None:
        """Ask the node to go on."""
        if self._session is not None:
            self._session.set_window(self._window)

    def request(self, method: int, body: bytes) -> bool:
        """Ask the node for something; Responded or Unanswered follows, or Closed.

        False while no session is open or something else is being asked. Errors as Question.ask.
        """
        session = self._session
        return session is not None and session.open and session.question.ask(method, body)

    def hint(self) -> None:
        """Ask whoever listens for a HELLO, by a frame that proves nothing."""
        self._hint = True

    def poll(self, now_ms: int) -> "bytes | None":
        """Return the next frame for the line, or None when nothing is due."""
        welcome = self._candidates.take_welcome()
        if welcome is not None:
            return welcome
        session = self._session
        if session is not None and session.cipher.sent >= FRAME_LIMIT:
            # The RESET below makes the node say HELLO; the event waits for the next receive.
            self._end(session, "the keys are used up")
        elif session is not None and session.open:
            self._give_up(session, now_ms)
            return session.poll(now_ms)
        if self._hint:
            self._hint = False
            self._hint_ms = now_ms
            return frame.Header(frame.RESET).pack()
        return None

    # What arrives

    def _take_hello(self, data: bytes) -> None:
        eui = handshake.hello_eui(data)
        keys = self._keys(eui)
        if not keys:
            self._refuse("unknown node", eui)
            return
        try:
            hello = handshake.open_hello_of(data, keys)
        except AuthenticationError:
            self._refuse("wrong key", eui)
        except DecodeError as error:
            self._refuse(str(error), eui)
        else:
            if self._candidates.outdate(hello):
                self.counters["repeated"] += 1
            else:
                self._events.append(events.HelloReceived(hello))

    def _refuse(self, reason: str, eui: bytes) -> None:
        self.counters["refused"] += 1
        self._events.append(events.Refused(reason, eui))

    def _take_sealed(self, header: frame.Header, data: bytes, now_ms: int) -> None:
        if header.kind == frame.DESCRIBE and self._opens_candidate(header, data):
            return
        if self._session is None:
            self._hint_if_idle(now_ms)
        else:
            plaintext = self._session.cipher.open(header, data)
            self._take_opened(self._session, header, plaintext, now_ms)

    def _opens_candidate(self, header: frame.Header, data: bytes) -> bool:
        """Whether this is the DESCRIBE that puts a prepared session in force."""
        opened = self._candidates.open(header, data)
        if opened is None or not self._holds_key_of(opened[0].hello):
            return False
        if self._session is not None:
            self._events.append(events.Closed(self._session.hello.eui, "a new session"))
        self._session, plaintext = opened
        self._hint = False
        self._events.append(events.Opened(self._session.hello.eui))
        self._take_describe(self._session, plaintext)
        return True

    def _take_opened(
        self, session: NodeStreams, header: frame.Header, plaintext: bytes, now_ms: int
    ) -> None:
        if header.kind == frame.DATA and session.open:
            self._take_data(session, header.stream, plaintext)
        elif header.kind == frame.DESCRIBE:
            self._take_describe(session, plaintext)
        elif header.kind == frame.TIME:
            asked, _ = cbor.decode_first(plaintext)
            asked = ranged(asked, 0, _MAX_TIME_MS, "the uptime of a TIME")
            session.answer = cbor.encode_sequence([asked, session.time_ms(now_ms)])
        elif header.kind == frame.RESPONSE:
            self._take_response(session, plaintext)

    def _take_data(self, session: NodeStreams, stream: int, plaintext: bytes) -> None:
        seq, item = cbor.decode_first(plaintext)
        seq = ranged(seq, 0, (1 << 32) - 1, "a sequence number")
        if session.receivers[stream].accept(seq):
            hello = session.hello
            self._events.append(events.BatchReceived(hello.eui, hello.epoch, stream, seq, item))
        else:
            self.counters["repeated"] += 1

    def _take_response(self, session: NodeStreams, plaintext: bytes) -> None:
        response = parse_response(plaintext)
        method = session.question.answered(response)
        if method is not None:
            eui = session.hello.eui
            self._events.append(events.Responded(eui, method, response.code, response.payload))

    def _take_describe(self, session: NodeStreams, plaintext: bytes) -> None:
        description = parse_description(plaintext)
        if not follows(description, session.hello, known=session.described):
            raise DecodeError("a DESCRIBE that contradicts its HELLO")
        if not session.told:
            session.told = True
            self._tell_advanced(session)
        self._events.append(events.Described(session.hello.eui, description))

    def _tell_advanced(self, session: NodeStreams) -> None:
        hello = session.hello
        for receiver, first in zip(session.receivers, hello.first):
            missing = first - receiver.next
            if missing > 0:
                told = events.Advanced(hello.eui, hello.epoch, receiver.stream, first, missing)
                self._events.append(told)

    def _hint_if_idle(self, now_ms: int) -> None:
        """Somebody speaks under keys we do not have, as after our own restart."""
        if self._hint_ms is None or now_ms - self._hint_ms >= _HINT_MS:
            self._hint, self._hint_ms = True, now_ms

    def _count_forgery(self) -> None:
        self.counters["unauthentic"] += 1
        session = self._session
        if session is not None and session.cipher.forged >= FORGERY_LIMIT:
            self._end(session, "too many forged frames")

    def _end(self, session: NodeStreams, reason: str) -> None:
        self._session = None
        self._hint = True
        self._events.append(events.Closed(session.hello.eui, reason))

    def _give_up(self, session: NodeStreams, now_ms: int) -> None:
        """Note a request without a response; the event waits for the next receive."""
        method = session.question.gave_up(now_ms)
        if method is not None:
            self._events.append(events.Unanswered(session.hello.eui, method))

    def _holds_key_of(self, hello: handshake.Hello) -> bool:
        """Whether the key that this HELLO was opened with has not been withdrawn."""
        return hello.key in (self._keys(hello.eui) or ())

    def _receiver(self, epoch: int, stream: int) -> "Receiver | None":
        session = self._session
        if session is None or session.hello.epoch != epoch:
            return None
        return session.receivers[stream]
