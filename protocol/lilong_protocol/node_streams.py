"""What the gateway holds of one node while it is on a link: its keys and its four streams."""

from lilong_protocol.cipher import FORGERY_LIMIT
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.receiver import Receiver

if TYPE_CHECKING:
    from lilong_protocol.cipher import FrameCipher
    from lilong_protocol.frame import Header
    from lilong_protocol.handshake import Hello

_CANDIDATES = const(8)


class NodeStreams:
    """Keys and streams of one node on this link."""

    def __init__(self, hello: "Hello", cipher: "FrameCipher", durable: "list[int]") -> None:
        self.hello = hello
        self.cipher = cipher
        self.receivers = [Receiver(stream, durable[stream]) for stream in range(STREAMS)]
        self.welcome: bytes | None = None
        self.told = False
        self.open = False
        self.answer: bytes | None = None
        self.clock_ms: int | None = None

    def time_ms(self, now_ms: int) -> "int | None":
        """Return milliseconds since 2000 at now_ms, None while the gateway's clock is not set."""
        return None if self.clock_ms is None else self.clock_ms + now_ms


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

    def open(self, header: "Header", data: bytes) -> "tuple[NodeStreams, bytes] | None":
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
