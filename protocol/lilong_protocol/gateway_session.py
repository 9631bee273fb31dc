"""The gateway's end of a link: frames in, events and frames out.

    state      leaves it on                                     next state
    SILENT     an authentic HELLO                               GREETED
    GREETED    accept() by the driver                           WELCOMED
    WELCOMED   an authentic DESCRIBE (the node is fresh)        DESCRIBED
    DESCRIBED  described() by the driver                        OPEN
    OPEN       too many frames that do not authenticate         SILENT

A HELLO may come at any time. It prepares a successor beside the session in force, and only its
DESCRIBE, which nobody can replay, replaces that session. Everything that changes the state of
this end is in this file.
"""

from lilong_protocol import cbor, events, frame, handshake
from lilong_protocol.acknowledgement import MAX_WINDOW, pack_acknowledgements
from lilong_protocol.description import parse_description
from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.node_streams import NodeStreams
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_protocol.events import Event
    from lilong_protocol.receiver import Receiver

# An 8-byte tag is safe only while forgeries are few (RFC 9147 section 4.5.3 on CCM_8).
_FORGERY_LIMIT = const(1024)
_HINT_MS = const(1000)


class GatewaySession:
    """Receives the batches of whichever node speaks on the link.

    keys gives a node's 16-byte key by its EUI-64, or None for a stranger. now_ms is monotonic.
    """

    def __init__(
        self,
        keys: "Callable[[bytes], bytes | None]",
        random: "Callable[[int], bytes]",
        window: int = MAX_WINDOW,
    ) -> None:
        self._keys = keys
        self._random = random
        self._window = window
        self.counters = {"undecodable": 0, "unauthentic": 0, "refused": 0, "repeated": 0}
        self._greeted: tuple[handshake.Hello, bytes] | None = None
        self._successor: NodeStreams | None = None
        self._session: NodeStreams | None = None
        self._welcome: bytes | None = None
        self._hint = False
        self._hint_ms: int | None = None
        self._events: list[Event] = []

    @property
    def eui(self) -> "bytes | None":
        """The node whose session is in force."""
        return self._session.hello.eui if self._session is not None else None

    def receive(self, data: bytes, now_ms: int) -> "list[Event]":
        """Take one frame; whatever a stranger sends is counted and dropped."""
        try:
            header = frame.parse_header(data)
            if header.kind == frame.HELLO:
                self._take_hello(data)
            elif header.kind != frame.RESET:
                self._take_sealed(header, data, now_ms)
        except DecodeError:
            self.counters["undecodable"] += 1
        except AuthenticationError:
            self._count_forgery()
        happened = self._events
        self._events = []
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

        Ignored when a newer HELLO has arrived meanwhile.
        """
        if self._greeted is None or self._greeted[0] is not hello:
            return
        data = self._greeted[1]
        self._greeted = None
        key = self._keys(hello.eui)
        if key is None:
            return
        clear = handshake.welcome_clear(self._random(handshake.RANDOM_BYTES))
        head = handshake.welcome_header() + clear
        cipher = handshake.session_cipher(key, data, head, node=False)
        welcome = handshake.Welcome(time_ms, next, descriptor_known=descriptor_known)
        self._welcome = cipher.seal(frame.WELCOME, welcome.pack(), clear=clear)
        self._successor = NodeStreams(hello, cipher, next)
        if time_ms is not None:
            self._successor.clock_ms = time_ms - now_ms

    def described(self) -> None:
        """Note that the node's description is stored: batches may come."""
        if self._session is not None:
            self._session.open = True
            for receiver in self._session.receivers:
                receiver.due = True

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
        self._set_window(0)

    def resume(self) -> None:
        """Ask the node to go on."""
        self._set_window(self._window)

    def hint(self) -> None:
        """Ask whoever listens for a HELLO, by a frame that proves nothing."""
        self._hint = True

    def poll(self, now_ms: int) -> "bytes | None":
        """Return the next frame for the line, or None when nothing is due."""
        if self._welcome is not None:
            data = self._welcome
            self._welcome = None
            return data
        if self._session is not None and self._session.open:
            return self._poll_session(self._session)
        if self._hint:
            self._hint = False
            self._hint_ms = now_ms
            return frame.Header(frame.RESET).pack()
        return None

    # What arrives

    def _take_hello(self, data: bytes) -> None:
        eui = handshake.hello_eui(data)
        key = self._keys(eui)
        if key is None:
            self._refuse("unknown node", eui)
            return
        try:
            hello = handshake.open_hello(data, key)
        except AuthenticationError:
            self._refuse("wrong key", eui)
        except DecodeError as error:
            self._refuse(str(error), eui)
        else:
            self._greeted = (hello, data)
            self._events.append(events.HelloReceived(hello))

    def _refuse(self, reason: str, eui: bytes) -> None:
        self.counters["refused"] += 1
        self._events.append(events.Refused(reason, eui))

    def _take_sealed(self, header: frame.Header, data: bytes, now_ms: int) -> None:
        if header.kind == frame.DESCRIBE and self._opens_successor(header, data):
            return
        if self._session is None:
            self._hint_if_idle(now_ms)
        else:
            plaintext = self._session.cipher.open(header, data)
            self._take_opened(self._session, header, plaintext, now_ms)

    def _opens_successor(self, header: frame.Header, data: bytes) -> bool:
        """Whether this is the DESCRIBE that puts the prepared session in force."""
        successor = self._successor
        if successor is None:
            return False
        try:
            plaintext = successor.cipher.open(header, data)
        except AuthenticationError:
            if self._session is None:
                raise
            return False
        if self._session is not None:
            self._events.append(events.Closed(self._session.hello.eui, "a new session"))
        self._session = successor
        self._successor = None
        self._hint = False
        self._events.append(events.Opened(successor.hello.eui))
        self._take_describe(successor, plaintext)
        return True

    def _take_opened(
        self, session: NodeStreams, header: frame.Header, plaintext: bytes, now_ms: int
    ) -> None:
        if header.kind == frame.DATA and session.open:
            self._take_data(session, header.stream, plaintext)
        elif header.kind == frame.DESCRIBE:
            self._take_describe(session, plaintext)
        elif header.kind == frame.TIME:
            asked = cbor.decode(plaintext)
            session.answer = cbor.encode_sequence([asked, session.time_ms(now_ms)])

    def _take_data(self, session: NodeStreams, stream: int, plaintext: bytes) -> None:
        seq, item = cbor.decode_first(plaintext)
        if type(seq) is not int or not 0 <= seq < 1 << 32:
            raise DecodeError("a wrong sequence number")
        if session.receivers[stream].accept(seq):
            hello = session.hello
            self._events.append(events.BatchReceived(hello.eui, hello.epoch, stream, seq, item))
        else:
            self.counters["repeated"] += 1

    def _take_describe(self, session: NodeStreams, plaintext: bytes) -> None:
        description = parse_description(plaintext)
        if not session.open:
            self._tell_advanced(session)
        self._events.append(events.Described(session.hello.eui, description))

    def _tell_advanced(self, session: NodeStreams) -> None:
        hello = session.hello
        for receiver in session.receivers:
            first = hello.first[receiver.stream]
            missing = first - receiver.next
            if missing > 0:
                stream = receiver.stream
                self._events.append(
                    events.Advanced(hello.eui, hello.epoch, stream, first, missing)
                )

    def _hint_if_idle(self, now_ms: int) -> None:
        """Somebody speaks under keys we do not have, as after our own restart."""
        if self._hint_ms is None or now_ms - self._hint_ms >= _HINT_MS:
            self._hint = True
            self._hint_ms = now_ms

    def _count_forgery(self) -> None:
        self.counters["unauthentic"] += 1
        session = self._session
        if session is None:
            return
        session.forgeries += 1
        if session.forgeries >= _FORGERY_LIMIT:
            self._session = None
            self._hint = True
            self._events.append(events.Closed(session.hello.eui, "too many forged frames"))

    # What leaves

    def _poll_session(self, session: NodeStreams) -> "bytes | None":
        if session.answer is not None:
            answer = session.answer
            session.answer = None
            return session.cipher.seal(frame.TIME, answer, frame.CONTROL_STREAM)
        due = [receiver for receiver in session.receivers if receiver.due]
        if not due:
            return None
        entries = [receiver.acknowledgement() for receiver in due]
        return session.cipher.seal(frame.ACK, pack_acknowledgements(entries), frame.CONTROL_STREAM)

    def _receiver(self, epoch: int, stream: int) -> "Receiver | None":
        session = self._session
        if session is None or session.hello.epoch != epoch:
            return None
        return session.receivers[stream]

    def _set_window(self, window: int) -> None:
        if self._session is not None:
            for receiver in self._session.receivers:
                receiver.due = receiver.due or receiver.window != window
                receiver.window = window
