"""How a node asks for a session: a HELLO now and then, under one of its keys."""

from lilong_protocol import frame
from lilong_protocol.hello import (
    RANDOM_BYTES,
    Hello,
    Welcome,
    parse_welcome,
    session_cipher,
    welcome_head,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_protocol.cipher import FrameCipher
    from lilong_protocol.dispatch import Outbox
    from lilong_protocol.node_keys import NodeKeys

_HELLO_MIN_MS = const(500)
_HELLO_MAX_MS = const(8000)


class Greeting:
    """What this boot of this firmware says of itself in a HELLO."""

    def __init__(self, boot_id: int, reset_cause: int, firmware: str) -> None:
        self.boot_id = boot_id
        self.reset_cause = reset_cause
        self.firmware = firmware


class Greeter:
    """Says HELLO ever more rarely, and opens the WELCOME to the latest one.

    While there is a next key, every other HELLO is under it, the first one too: a gateway that
    does not know it yet, or any more, is still found under the current one. Both are given the
    same wait before it grows: of a gateway that knows both, the next key has the answer first,
    however slow the link is.
    """

    def __init__(
        self,
        eui: bytes,
        keys: "NodeKeys",
        random: "Callable[[int], bytes]",
        greeting: Greeting,
        descriptor_hash: bytes,
    ) -> None:
        self._eui = eui
        self._keys = keys
        self._random = random
        self._greeting = greeting
        self._descriptor_hash = descriptor_hash
        self._hello = b""
        self._wait_ms: int = _HELLO_MIN_MS
        self._said = 0
        self._key = keys.current
        self.first = [0] * frame.STREAMS
        """What the latest HELLO told of the lowest numbers held."""
        self.said_ms = 0
        self.due_ms = 0

    def begin(self, now_ms: int) -> None:
        """Be due at once."""
        self._said = 0
        self.due_ms = now_ms

    def forgive(self) -> None:
        """Wait shortly again: the next HELLO is for another listener."""
        self._wait_ms = _HELLO_MIN_MS

    def hint(self, now_ms: int) -> None:
        """Be due at once, if the latest HELLO is at least as old as a quarter of the wait."""
        if now_ms - self.said_ms >= max(_HELLO_MIN_MS, self._wait_ms // 4):
            self.due_ms = now_ms

    def hello(self, outbox: "Outbox", now_ms: int) -> bytes:
        """Return a fresh HELLO; the waits for the next ones grow."""
        streams = range(frame.STREAMS)
        self.first = [outbox.first(stream) for stream in streams]
        hello = Hello(
            self._eui,
            self._greeting.boot_id,
            outbox.epoch,
            now_ms,
            self.first,
            [outbox.next(stream) for stream in streams],
            self._descriptor_hash,
            self._greeting.reset_cause,
            self._greeting.firmware,
        )
        self._key = self._choose_key()
        self._hello = hello.pack(self._key, self._random(RANDOM_BYTES))
        self.said_ms = now_ms
        self.due_ms = now_ms + self._wait_ms + self._jitter_ms()
        if self._key == self._keys.current:
            self._wait_ms = min(2 * self._wait_ms, _HELLO_MAX_MS)
        return self._hello

    def open_welcome(self, header: frame.Header, data: bytes) -> "tuple[FrameCipher, Welcome]":
        """Return the keys of the session and the WELCOME.

        DecodeError, AuthenticationError: not the answer to the latest HELLO.
        """
        head = welcome_head(data)
        cipher = session_cipher(self._key, self._hello, head, node=True)
        plaintext = cipher.open(header, data, Welcome.CLEAR_BYTES)
        return cipher, parse_welcome(plaintext)

    def succeeded(self) -> bool:
        """Note that a session has begun; False when its key could not be made the current one."""
        if not self._keys.proven(self._key):
            return False
        self._wait_ms = _HELLO_MIN_MS
        return True

    def _choose_key(self) -> bytes:
        following = self._keys.next
        self._said += 1
        return self._keys.current if following is None or self._said % 2 == 0 else following

    def _jitter_ms(self) -> int:
        """Up to a quarter of the wait, so that the nodes of one gateway do not speak in step."""
        return self._random(1)[0] * self._wait_ms // 1024
