"""What the gateway holds of one node while it is on a link: its keys and its four streams."""

from lilong_protocol import frame
from lilong_protocol.cipher import FORGERY_LIMIT
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.question import Question
from lilong_protocol.receiver import Receiver, pack_acknowledgements

if TYPE_CHECKING:
    from lilong_protocol.cipher import FrameCipher
    from lilong_protocol.handshake import Hello

_CANDIDATES = const(8)


class NodeStreams:
    """Keys and streams of one node on this link."""

    def __init__(
        self, hello: "Hello", cipher: "FrameCipher", durable: "list[int]", *, described: bool
    ) -> None:
        self.hello = hello
        self.cipher = cipher
        self.receivers = [Receiver(stream, durable[stream]) for stream in range(frame.STREAMS)]
        self.described = described
        """Whether the gateway holds the node's descriptor."""
        self.welcome: bytes | None = None
        self.told = False
        self.open = False
        self.answer: bytes | None = None
        self.question = Question()
        self.clock_ms: int | None = None

    @property
    def drained(self) -> bool:
        """Whether all that the node held at its HELLO, and all that came since, is stored."""
        if not self.open:
            return False
        positions = zip(self.receivers, self.hello.next)
        return all(receiver.next >= after and receiver.idle for receiver, after in positions)

    def begin(self) -> None:
        """Take batches from now on; the node is told of all streams."""
        self.open = True
        for receiver in self.receivers:
            receiver.due = True

    def set_window(self, window: int) -> None:
        """Take this many batches of each stream from now on; the node is told of a change.

        Alarms never wait: with 0 they keep the window that they have.
        """
        waiting = self.receivers if window else self.receivers[frame.ALARM_STREAM + 1 :]
        for receiver in waiting:
            receiver.due = receiver.due or receiver.window != window
            receiver.window = window

    def poll(self, now_ms: int) -> "bytes | None":
        """Return the next frame for the node, or None when nothing is due."""
        if self.answer is not None:
            answer = self.answer
            self.answer = None
            return self._seal(frame.TIME, answer)
        due = [receiver for receiver in self.receivers if receiver.due]
        if due:
            entries = [receiver.acknowledgement() for receiver in due]
            return self._seal(frame.ACK, pack_acknowledgements(entries))
        asked = self.question.poll(now_ms)
        return None if asked is None else self._seal(frame.REQUEST, asked)

    def time_ms(self, now_ms: int) -> "int | None":
        """Return milliseconds since 2000 at now_ms, None while the gateway's clock is not set."""
        return None if self.clock_ms is None else self.clock_ms + now_ms

    def _seal(self, kind: int, plaintext: bytes) -> bytes:
        return self.cipher.seal(kind, plaintext, frame.CONTROL_STREAM)


class Candidates:
    """Sessions whose nodes have yet to show that they are there, at most 8; the oldest goes first.

    One for each boot of a node, of its latest HELLO: replays of a HELLO, which anyone can send,
    never take the place of the node's own.
    """

    def __init__(self) -> None:
        self._waiting: list[NodeStreams] = []

    def outdate(self, hello: "Hello") -> bool:
        """Whether one of them answers this HELLO already, or a later one of its boot."""
        return any(hello.is_outdated_by(kept.hello) for kept in self._waiting)

    def add(self, candidate: NodeStreams) -> None:
        """Keep a session in place of an earlier one of the same boot."""
        hello = candidate.hello
        boot = (hello.eui, hello.boot_id)
        kept = [one for one in self._waiting if (one.hello.eui, one.hello.boot_id) != boot]
        self._waiting = kept[1 - _CANDIDATES :] + [candidate]

    def take_welcome(self) -> "bytes | None":
        """Return a WELCOME that has not left yet."""
        for candidate in self._waiting:
            if candidate.welcome is not None:
                welcome = candidate.welcome
                candidate.welcome = None
                return welcome
        return None

    def open(self, header: "frame.Header", data: bytes) -> "tuple[NodeStreams, bytes] | None":
        """Return the session that this DESCRIBE proves to be fresh, and its plaintext.

        That one and those before it wait no longer.
        """
        for index in range(len(self._waiting) - 1, -1, -1):
            candidate = self._waiting[index]
            try:
                plaintext = candidate.cipher.open(header, data)
            except AuthenticationError:
                continue
            self._waiting = self._waiting[index + 1 :]
            return candidate, plaintext
        self._waiting = [one for one in self._waiting if one.cipher.forged < FORGERY_LIMIT]
        return None
