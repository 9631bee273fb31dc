"""The sending half of a stream: a window over batches that are kept until they are durable."""

from lilong_protocol.acknowledgement import MAX_WINDOW
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_protocol.acknowledgement import Acknowledgement
    from lilong_protocol.round_trip import RoundTrip

_UNSENT = const(-1)
MAX_TRIES = 6
PROBE_MS = 4000


class Sender:
    """Decides which sequence number goes out next; holds no batch itself.

    Slots are a ring over seq % window, made once, so that sending allocates nothing that stays.
    """

    def __init__(self, round_trip: "RoundTrip") -> None:
        self._round_trip = round_trip
        self._sent_ms: list[int] = [_UNSENT] * MAX_WINDOW
        self._tries = [0] * MAX_WINDOW
        self._order = [0] * MAX_WINDOW
        self._count = 0
        self._held = 0
        self._probe_ms: int = _UNSENT
        self._end = 0
        self.base = 0
        self.window = MAX_WINDOW
        self.repeated = 0
        """Batches that went out again in the same session."""

    def begin(self, base: int) -> None:
        """Start a session: everything from base on is to be sent, whatever was sent before."""
        self.base = self._end = base
        self._count = 0
        self.window = MAX_WINDOW
        self._held = 0
        self._probe_ms = _UNSENT
        for slot in range(MAX_WINDOW):
            self._clear(slot)

    def due(self, end: int, now_ms: int, first: int = 0) -> "int | None":
        """Return the sequence number in first..end-1 to send now, or None."""
        first = max(first, self.base)
        if self.window == 0:
            waited = self._probe_ms == _UNSENT or now_ms - self._probe_ms >= PROBE_MS
            return first if first < end and waited else None
        for seq in range(first, min(end, self.base + self.window)):
            if self._is_due(seq, now_ms):
                return seq
        return None

    def due_ms(self, end: int, now_ms: int, first: int = 0) -> "int | None":
        """Return the milliseconds until something falls due, 0 for now, None for nothing sent."""
        if self.base >= end:
            return None
        if self.window == 0:
            return 0 if self._probe_ms == _UNSENT else max(0, self._probe_ms + PROBE_MS - now_ms)
        waits = []
        for seq in range(max(first, self.base), min(end, self.base + self.window)):
            if not self._is_held(seq):
                sent_ms = self._sent_ms[seq % MAX_WINDOW]
                wait_ms = sent_ms + self._round_trip.timeout_ms - now_ms
                waits.append(0 if sent_ms == _UNSENT else max(0, wait_ms))
        return min(waits) if waits else None

    def sent(self, seq: int, now_ms: int) -> bool:
        """Note that seq went out; False when it was tried too often and the link must be dead."""
        self._end = max(self._end, seq + 1)
        if self.window == 0:
            self._probe_ms = now_ms
            return True
        slot = seq % MAX_WINDOW
        if seq == self.base and self._sent_ms[slot] != _UNSENT:
            self._round_trip.expired()
        self.repeated += self._tries[slot] > 0
        self._tries[slot] += 1
        self._count += 1
        self._order[slot] = self._count
        self._sent_ms[slot] = now_ms
        return self._tries[slot] <= MAX_TRIES

    def acknowledge(self, entry: "Acknowledgement", end: int, now_ms: int) -> bool:
        """Take an acknowledgement; True when base moved.

        One beyond end, the number the next batch will get, is ignored. Of what was not sent in
        this session nothing is let go, whatever the peer says of it.
        """
        if entry.next > end or entry.next < self.base:
            return False
        after = min(entry.next, self._end)
        held = entry.bitmap & (1 << max(0, self._end - after - 1)) - 1
        newest = self._newest_arrived(after, held)
        if newest is not None:
            self._round_trip.measured(now_ms - self._sent_ms[newest])
            self._repeat_before(self._order[newest], after, held)
        moved = after > self.base
        self._advance(after)
        self.window = min(entry.window, MAX_WINDOW)
        self._held = held
        return moved

    def _is_due(self, seq: int, now_ms: int) -> bool:
        if self._is_held(seq):
            return False
        sent_ms = self._sent_ms[seq % MAX_WINDOW]
        return sent_ms == _UNSENT or now_ms - sent_ms >= self._round_trip.timeout_ms

    def _is_held(self, seq: int) -> bool:
        """Whether the gateway has said that it holds seq, beyond a gap."""
        return _has_arrived(seq, self.base, self._held)

    def _newest_arrived(self, after: int, held: int) -> "int | None":
        """Return the slot sent last, and once (Karn), of those acknowledged for the first time."""
        newest = None
        for seq in range(self.base, min(self._end, self.base + MAX_WINDOW)):
            slot = seq % MAX_WINDOW
            if self._is_held(seq) or not _has_arrived(seq, after, held):
                continue
            once = self._tries[slot] == 1 and self._sent_ms[slot] != _UNSENT
            if once and (newest is None or self._order[slot] > self._order[newest]):
                newest = slot
        return newest

    def _repeat_before(self, order: int, after: int, held: int) -> None:
        """Make due at once what was sent before something that has arrived, and has not.

        Links keep the order of frames, so that it is lost.
        """
        for seq in range(after, min(self._end, self.base + MAX_WINDOW)):
            slot = seq % MAX_WINDOW
            if self._order[slot] < order and not _has_arrived(seq, after, held):
                self._sent_ms[slot] = _UNSENT

    def _advance(self, base: int) -> None:
        for seq in range(self.base, min(base, self.base + MAX_WINDOW)):
            self._clear(seq % MAX_WINDOW)
        self.base = base

    def _clear(self, slot: int) -> None:
        self._sent_ms[slot] = _UNSENT
        self._tries[slot] = 0


def _has_arrived(seq: int, after: int, held: int) -> bool:
    """Whether an acknowledgement covers seq: all below `after`, and bit i for after + 1 + i."""
    return seq < after or (seq > after and bool(held >> seq - after - 1 & 1))
