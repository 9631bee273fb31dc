"""The sending half of a stream: a window over batches that are kept until they are durable."""

from lilong_protocol.acknowledgement import BITMAP_BITS, MAX_WINDOW
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
        self._held = 0
        self._probe_ms: int = _UNSENT
        self.base = 0
        self.window = MAX_WINDOW

    def begin(self, base: int) -> None:
        """Start a session: everything from base on is to be sent, whatever was sent before."""
        self.base = base
        self.window = MAX_WINDOW
        self._held = 0
        self._probe_ms = _UNSENT
        for slot in range(MAX_WINDOW):
            self._clear(slot)

    def due(self, end: int, now_ms: int) -> "int | None":
        """Return the sequence number below end to send now, or None."""
        if self.window == 0:
            waited = self._probe_ms == _UNSENT or now_ms - self._probe_ms >= PROBE_MS
            return self.base if self.base < end and waited else None
        for seq in range(self.base, min(end, self.base + self.window)):
            if self._is_due(seq, now_ms):
                return seq
        return None

    def due_ms(self, end: int, now_ms: int) -> "int | None":
        """Return the milliseconds until something falls due, 0 for now, None for nothing sent."""
        if self.base >= end:
            return None
        if self.window == 0:
            return 0 if self._probe_ms == _UNSENT else max(0, self._probe_ms + PROBE_MS - now_ms)
        waits = []
        for seq in range(self.base, min(end, self.base + self.window)):
            if not self._is_held(seq):
                sent_ms = self._sent_ms[seq % MAX_WINDOW]
                wait_ms = sent_ms + self._round_trip.timeout_ms - now_ms
                waits.append(0 if sent_ms == _UNSENT else max(0, wait_ms))
        return min(waits) if waits else None

    def sent(self, seq: int, now_ms: int) -> bool:
        """Note that seq went out; False when it was tried too often and the link must be dead."""
        if self.window == 0:
            self._probe_ms = now_ms
            return True
        slot = seq % MAX_WINDOW
        if seq == self.base and self._sent_ms[slot] != _UNSENT:
            self._round_trip.expired()
        self._tries[slot] += 1
        self._sent_ms[slot] = now_ms
        return self._tries[slot] <= MAX_TRIES

    def acknowledge(self, entry: "Acknowledgement", end: int, now_ms: int) -> bool:
        """Take an acknowledgement; True when base moved. One of the unsent is ignored."""
        if entry.next > end or entry.next < self.base:
            return False
        self._measure(entry.next, now_ms)
        moved = entry.next > self.base
        self._advance(entry.next)
        self.window = min(entry.window, MAX_WINDOW)
        self._held = entry.bitmap
        self._repeat_holes()
        return moved

    def _is_due(self, seq: int, now_ms: int) -> bool:
        if self._is_held(seq):
            return False
        sent_ms = self._sent_ms[seq % MAX_WINDOW]
        return sent_ms == _UNSENT or now_ms - sent_ms >= self._round_trip.timeout_ms

    def _is_held(self, seq: int) -> bool:
        """Whether the gateway has said that it holds seq, beyond a gap."""
        bit = seq - self.base - 1
        return 0 <= bit < BITMAP_BITS and bool(self._held >> bit & 1)

    def _measure(self, after: int, now_ms: int) -> None:
        """Measure the round trip on the newest frame that this acknowledges and was sent once."""
        slot = (after - 1) % MAX_WINDOW
        inside = self.base < after <= self.base + MAX_WINDOW
        if inside and self._tries[slot] == 1 and self._sent_ms[slot] != _UNSENT:
            self._round_trip.measured(now_ms - self._sent_ms[slot])

    def _advance(self, base: int) -> None:
        for seq in range(self.base, min(base, self.base + MAX_WINDOW)):
            self._clear(seq % MAX_WINDOW)
        self.base = base

    def _repeat_holes(self) -> None:
        """Make what was sent once, before something that has arrived, due at once."""
        for seq in range(self.base, self.base + MAX_WINDOW):
            later = self._held >> max(0, seq - self.base)
            if later and self._tries[seq % MAX_WINDOW] == 1 and not self._is_held(seq):
                self._sent_ms[seq % MAX_WINDOW] = _UNSENT

    def _clear(self, slot: int) -> None:
        self._sent_ms[slot] = _UNSENT
        self._tries[slot] = 0
