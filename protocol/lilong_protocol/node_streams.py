"""What the gateway holds of one node while it is on a link: its keys and its four streams."""

from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.receiver import Receiver

if TYPE_CHECKING:
    from lilong_protocol.cipher import FrameCipher
    from lilong_protocol.handshake import Hello


class NodeStreams:
    """Keys and streams of one node on this link."""

    def __init__(self, hello: "Hello", cipher: "FrameCipher", durable: "list[int]") -> None:
        self.hello = hello
        self.cipher = cipher
        self.receivers = [Receiver(stream, durable[stream]) for stream in range(STREAMS)]
        self.open = False
        self.answer: bytes | None = None
        self.clock_ms: int | None = None
        self.forgeries = 0

    def time_ms(self, now_ms: int) -> "int | None":
        """Return milliseconds since 2000 at now_ms, None while the gateway's clock is not set."""
        return None if self.clock_ms is None else self.clock_ms + now_ms
