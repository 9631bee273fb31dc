"""Clock offset from four time stamps (RFC 5905 section 8), the best of the last four by delay."""

from lilong_protocol import cbor
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

_KEPT = const(4)
_QUICK = const(4)
_QUICK_MS = const(250)
_USUAL_MS = const(60000)
_ANSWER_MS = const(4000)
_TRIES = const(4)
_DOUBT_MS = const(1000)


class TimeExchange:
    """Asks the gateway for the time now and then, which also shows that it is still there.

    The offset is what to add to the node's uptime to get milliseconds since 2000.
    """

    def __init__(self, now_ms: int) -> None:
        self._samples: list[tuple[int, int, int]] = []
        self._answers = 0
        self._tries = 0
        self._sent_ms = 0
        self.due_ms: int = now_ms + _QUICK_MS

    @property
    def offset_ms(self) -> int:
        """Milliseconds since 2000 at uptime 0, by the exchange with the smallest delay."""
        return min(self._samples)[1]

    @property
    def uncertainty_ms(self) -> int:
        """The error that the path's asymmetry can at most have caused."""
        return (min(self._samples)[0] + 1) // 2

    @property
    def measured_ms(self) -> int:
        """Uptime at which that exchange was over."""
        return min(self._samples)[2]

    @property
    def unanswered(self) -> bool:
        """Whether the gateway has left too many questions without an answer."""
        return self._tries >= _TRIES

    def measured(self, sent_ms: int, gateway_ms: int, received_ms: int) -> bool:
        """Take one exchange: uptime at sending, the gateway's time, uptime at receiving.

        The gateway answers within the same call, so its two time stamps are one. False for a
        time so early that the node would have started before 2000: no such start can be told.
        """
        delay_ms = received_ms - sent_ms
        offset_ms = gateway_ms + delay_ms // 2 - received_ms
        if offset_ms < 0:
            return False
        self._samples.append((delay_ms, offset_ms, received_ms))
        if len(self._samples) > _KEPT:
            self._samples.pop(0)
        return True

    def doubt(self, now_ms: int) -> None:
        """Ask at once whether the gateway is there, and wait a second for the answer."""
        if not self.unanswered:
            self._tries = _TRIES - 1
            self.due_ms = now_ms

    def ask(self, now_ms: int) -> bytes:
        """Return the plaintext of a TIME frame: our uptime, which the answer repeats."""
        self._tries += 1
        self._sent_ms = now_ms
        self.due_ms = now_ms + (_DOUBT_MS if self.unanswered else _ANSWER_MS)
        return cbor.encode(now_ms)

    def answered(self, plaintext: bytes, now_ms: int) -> bool:
        """Take the answer to the last question; True when it gave a time."""
        fields: list[Any] = cbor.decode_sequence(plaintext)
        if len(fields) < 2 or fields[0] != self._sent_ms or not self._tries:
            return False
        self._tries = 0
        self._answers += 1
        self.due_ms = now_ms + (_QUICK_MS if self._answers < _QUICK else _USUAL_MS)
        if type(fields[1]) is not int or not 0 <= fields[1] < 1 << 48:
            return False
        return self.measured(self._sent_ms, fields[1], now_ms)
