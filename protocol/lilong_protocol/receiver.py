"""The receiving half of a stream: what is durable, what is on its way to the disk."""

from lilong_protocol import cbor
from lilong_protocol.acknowledgement import BITMAP_BITS, MAX_WINDOW, Acknowledgement


class Receiver:
    """Accepts each sequence number once and acknowledges only what was stored."""

    def __init__(self, stream: int, next: int) -> None:  # noqa: A002 - the protocol's own word
        self.stream = stream
        self.next = next
        self.window = MAX_WINDOW
        self.due = False
        self._stored: set[int] = set()
        self._pending: set[int] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way to the disk, or waits for what stands before it."""
        return not self._pending and not self._stored

    def accept(self, seq: int) -> bool:
        """Whether seq is new and in the window; if not, the sender is told where we stand.

        Of what is on its way to the disk it will be told by and by.
        """
        if seq in self._pending and self.window:
            return False
        known = seq < self.next or seq in self._stored
        if known or seq > self.next + BITMAP_BITS or not self.window:
            self.due = True
            return False
        self._pending.add(seq)
        return True

    def stored(self, seq: int) -> None:
        """Note that seq is on disk."""
        self._pending.discard(seq)
        if seq >= self.next:
            self._stored.add(seq)
        self._move()
        self.due = True

    def dropped(self, seq: int) -> None:
        """Note that seq was not stored: a repetition of it is welcome."""
        self._pending.discard(seq)

    def advanced(self, first: int) -> None:
        """Note that the sender no longer holds anything below first."""
        self.next = max(self.next, first)
        self._stored = {seq for seq in self._stored if seq >= self.next}
        self._move()
        self.due = True

    def acknowledgement(self) -> Acknowledgement:
        """Return what to tell the sender; nothing is due afterwards."""
        self.due = False
        bitmap = 0
        for seq in self._stored:
            bit = seq - self.next - 1
            if bit < BITMAP_BITS:
                bitmap |= 1 << bit
        return Acknowledgement(self.stream, self.next, bitmap, self.window)

    def _move(self) -> None:
        while self.next in self._stored:
            self._stored.discard(self.next)
            self.next += 1


def pack_acknowledgements(entries: "list[Acknowledgement]") -> bytes:
    """Return the plaintext of an ACK frame."""
    fields: list[int] = []
    for entry in entries:
        fields += [entry.stream, entry.next, entry.bitmap, entry.window]
    return cbor.encode_sequence(fields)
