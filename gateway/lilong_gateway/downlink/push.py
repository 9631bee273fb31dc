"""One parcel on its way to one node: what to ask next, and what to make of the answer.

asks      answer                               then
OFFER     an offset below the size             WRITE from there
          the size: the node has it            OFFER of the next part, APPLY after the last
WRITE     an offset                            as after OFFER
APPLY     done                                 over: the node puts it to use
OFFER     of the first part, refused           over: refused
any       refused, the first time              OFFER of the first part: much is there already
          refused again                        over: refused
          failed, none, or ever wrong ones     over: later
          unknown                              over: this firmware takes nothing
"""

from dataclasses import dataclass

from lilong_gateway.downlink import method
from lilong_gateway.downlink.parcel import Parcel, Part
from lilong_protocol import request
from lilong_protocol.errors import DecodeError

APPLIED = "applied"
REFUSED = "refused"
LATER = "later"
SILENT = "silent"
UNKNOWN = "unknown"

_LAPSES = 16
"""Answers about one part that were not the expected one; a node with bad flash ends here."""

_WORDS = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a push ended, by the words of this module; why is the node's reason, "" for none."""

    end: str
    why: str = ""


class Push:
    """Knows no clock and no session; request() says the same until answered() is called."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.outcome: Outcome | None = None
        self.written = 0
        """Bytes that the node has taken in this push."""
        self._place = 0
        self._offset: int | None = None
        self._lapses = 0
        self._warned = False

    @property
    def sent(self) -> int:
        """Bytes that the node is known to hold."""
        return sum(len(part.data) for part in self.parcel.parts[: self._place]) + (
            self._offset or 0
        )

    @property
    def percent(self) -> int:
        """How much of the parcel the node holds."""
        return 100 * self.sent // max(1, self.parcel.size)

    @property
    def is_complete(self) -> bool:
        """Whether APPLY is what is to be asked."""
        return self.outcome is None and self._place == len(self.parcel.parts)

    def request(self) -> tuple[int, bytes] | None:
        """Return method and body of the next request, None when it is over."""
        if self.outcome is not None:
            return None
        if self.is_complete:
            return request.APPLY, method.apply(self.parcel.apply)
        part = self._part
        if self._offset is None:
            body = method.offer(part.kind, part.index, len(part.data), part.sha256)
            return request.OFFER, body
        return request.WRITE, method.write(self._offset, part.data)

    def answered(self, code: int | None, payload: bytes) -> None:
        """Take the answer to what request() returned; None: there was none."""
        if self.outcome is not None:
            return
        if code == request.DONE:
            self._go_on(payload)
        elif code == request.REFUSED:
            self._reconsider(_words(payload))
        elif code == request.UNKNOWN:
            self.outcome = Outcome(UNKNOWN)
        elif code is None:
            self.outcome = Outcome(SILENT, "no answer")
        else:
            self.outcome = Outcome(LATER, _words(payload) or "it could not, for now")

    @property
    def _part(self) -> Part:
        return self.parcel.parts[self._place]

    def _go_on(self, payload: bytes) -> None:
        if self.is_complete:
            self.outcome = Outcome(APPLIED)
            return
        size = len(self._part.data)
        try:
            offset = method.parse_offset(payload, size)
        except DecodeError:
            self._offset = None
            self._count_lapse()
            return
        if self._offset is not None:
            self.written += max(0, offset - self._offset)
            if offset <= self._offset:
                self._count_lapse()
        self._offset = offset
        if offset == size:
            self._place += 1
            self._offset = None
            self._lapses = 0

    def _count_lapse(self) -> None:
        self._lapses += 1
        if self._lapses >= _LAPSES:
            self.outcome = Outcome(LATER, "it keeps asking for the same bytes")

    def _reconsider(self, why: str) -> None:
        """Begin again once: what was taken before may be gone, or another gateway's."""
        if self._warned or (self._place == 0 and self._offset is None):
            self.outcome = Outcome(REFUSED, why)
            return
        self._warned = True
        self._place, self._offset = 0, None


def _words(payload: bytes) -> str:
    """Return a node's reason, of bounded length and without control characters."""
    text = payload[:_WORDS].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)
