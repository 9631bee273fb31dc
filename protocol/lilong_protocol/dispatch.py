"""The four streams of an outbox in strict priority: what to send next, what was acknowledged."""

from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING
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


class Dispatch:
    """One sender for each stream over one outbox and one measured round trip."""

    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox
        self.round_trip = RoundTrip()
        self._senders = [Sender(self.round_trip) for _ in range(STREAMS)]

    def begin(self, stream: int, durable: int, told_first: int) -> None:
        """Start a session: the gateway holds all below durable and was told of told_first."""
        self._outbox.acknowledged(stream, durable)
        self._senders[stream].begin(max(durable, told_first))

    def due(self, now_ms: int) -> "tuple[int, int] | None":
        """Return (stream, sequence number) to send now, the most urgent stream first."""
        for stream, sender in enumerate(self._senders):
            seq = sender.due(self._outbox.next(stream), now_ms)
            if seq is not None:
                return stream, seq
        return None

    def due_ms(self, now_ms: int) -> "int | None":
        """Return the milliseconds until something falls due, None when nothing will by itself."""
        soonest_ms = None
        for stream, sender in enumerate(self._senders):
            wait_ms = sender.due_ms(self._outbox.next(stream), now_ms)
            if wait_ms is not None and (soonest_ms is None or wait_ms < soonest_ms):
                soonest_ms = wait_ms
        return soonest_ms

    def sent(self, stream: int, seq: int, now_ms: int) -> bool:
        """Note that a batch went out; False when it was tried too often."""
        return self._senders[stream].sent(seq, now_ms)

    def acknowledge(self, entry: "Acknowledgement", now_ms: int) -> bool:
        """Take an acknowledgement; True when it let go of something."""
        end = self._outbox.next(entry.stream)
        if not self._senders[entry.stream].acknowledge(entry, end, now_ms):
            return False
        self._outbox.acknowledged(entry.stream, entry.next)
        return True

    def overflowed(self) -> bool:
        """Whether batches gave way to newer ones before the gateway had them."""
        for stream, sender in enumerate(self._senders):
            if sender.window and sender.base < self._outbox.first(stream):
                return True
        return False

    def idle(self) -> bool:
        """Whether everything in the outbox has been acknowledged."""
        for stream, sender in enumerate(self._senders):
            if sender.base < self._outbox.next(stream):
                return False
        return True
