"""The four streams of an outbox in strict priority: what to send next, what was acknowledged."""

from lilong_protocol.errors import DecodeError
from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.round_trip import RoundTrip
from lilong_protocol.sender import Sender

if TYPE_CHECKING:
    from typing import Protocol

    from lilong_protocol.acknowledgement import Acknowledgement

    class Outbox(Protocol):
        """Batches first..next-1 of each stream, kept until they are acknowledged."""

        epoch: int

        def first(self, stream: int) -> int:
            """Return the lowest sequence number that is held."""

        def next(self, stream: int) -> int:
            """Return the sequence number that the next batch will get."""

        def read(self, stream: int, seq: int) -> "bytes | None":
            """Return the item of a held batch, or None when it can no longer be read."""

        def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002
            """Take note that all below next is durable; next may be beyond what is held."""


# A gateway may know of batches whose files the node has lost, but not of very many.
_AHEAD = const(65536)
_OVERFLOW_MS = const(400)


class Dispatch:
    """One sender for each stream over one outbox and one measured round trip."""

    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox
        self._began_ms = 0
        self.round_trip = RoundTrip()
        self._senders = [Sender(self.round_trip) for _ in range(STREAMS)]

    @property
    def repeated(self) -> int:
        """Batches of all streams that had to go out again."""
        return sum([sender.repeated for sender in self._senders])

    def check(self, durable: "list[int]") -> None:
        """DecodeError for positions that would use up the numbers of this epoch, for good."""
        for stream in range(STREAMS):
            if durable[stream] > self._outbox.next(stream) + _AHEAD:
                raise DecodeError("a position far ahead of stream " + str(stream))

    def begin(self, durable: "list[int]", told_first: "list[int]", now_ms: int) -> None:
        """Start a session: the gateway holds all below durable and was told of told_first."""
        self._began_ms = now_ms
        for stream, sender in enumerate(self._senders):
            self._outbox.acknowledged(stream, durable[stream])
            sender.begin(max(durable[stream], told_first[stream]))

    def due(self, now_ms: int) -> "tuple[int, int] | None":
        """Return (stream, sequence number) to send now, the most urgent stream first."""
        for stream, sender in enumerate(self._senders):
            seq = sender.due(self._outbox.next(stream), now_ms, self._outbox.first(stream))
            if seq is not None:
                return stream, seq
        return None

    def due_ms(self, now_ms: int) -> "int | None":
        """Return the milliseconds until something falls due, None when nothing will by itself."""
        outbox = self._outbox
        soonest_ms = None
        if self._gave_way() is not None:
            soonest_ms = max(0, self._began_ms + _OVERFLOW_MS - now_ms)
        for stream, sender in enumerate(self._senders):
            wait_ms = sender.due_ms(outbox.next(stream), now_ms, outbox.first(stream))
            if wait_ms is not None and (soonest_ms is None or wait_ms < soonest_ms):
                soonest_ms = wait_ms
        return soonest_ms

    def sent(self, stream: int, seq: int, now_ms: int) -> bool:
        """Note that a batch went out; False when it was tried too often."""
        return self._senders[stream].sent(seq, now_ms)

    def acknowledge(self, entry: "Acknowledgement", now_ms: int) -> "int | None":
        """Take an acknowledgement; return below what it let go of something, or None."""
        sender = self._senders[entry.stream]
        if not sender.acknowledge(entry, self._outbox.next(entry.stream), now_ms):
            return None
        self._outbox.acknowledged(entry.stream, sender.base)
        return sender.base

    def overflowed(self, due: "tuple[int, int] | None", now_ms: int) -> bool:
        """Whether batches gave way to newer ones before the gateway had them, and it is told now.

        It is told by a new session. What is more urgent than the stream goes first, and sessions
        do not follow each other so closely that nothing else gets through.
        """
        stream = self._gave_way()
        if stream is None or now_ms - self._began_ms < _OVERFLOW_MS:
            return False
        return due is None or due[0] >= stream

    def _gave_way(self) -> "int | None":
        for stream, sender in enumerate(self._senders):
            if sender.window and sender.base < self._outbox.first(stream):
                return stream
        return None

    def idle(self) -> bool:
        """Whether everything in the outbox has been acknowledged."""
        for stream, sender in enumerate(self._senders):
            if sender.base < self._outbox.next(stream):
                return False
        return True
