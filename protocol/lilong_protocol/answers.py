"""The node's side of requests: each one is done once, its response may be sent again."""

from lilong_protocol.errors import RangeError
from lilong_protocol.node_keys import KEY_BYTES
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.request import BODY_LIMIT, DONE, FAILED, REFUSED, REKEY, Response

if TYPE_CHECKING:
    from lilong_protocol.node_keys import NodeKeys
    from lilong_protocol.request import Request


class Answers:
    """What was asked last in this session, and what became of it.

    Keys that could not be saved are counted as "unsaved".
    """

    def __init__(self, keys: "NodeKeys", counters: "dict[str, int]") -> None:
        self._keys = keys
        self._counters = counters
        self._next = 0
        self._last: Response | None = None
        self._due: Response | None = None
        self._rekeyed = False

    @property
    def waiting(self) -> bool:
        """Whether there is a response to send, or a new key to say HELLO with."""
        return self._due is not None or self._rekeyed

    @property
    def rekeyed(self) -> bool:
        """Whether a new key was kept, and the gateway was told so."""
        return self._rekeyed and self._due is None

    def take(self, request: "Request") -> bool:
        """Whether the driver has to do this. A repetition makes the last response due again."""
        if request.number < self._next:
            if self._last is not None and self._last.number == request.number:
                self._due = self._last
            return False
        self._next = request.number + 1
        self._last = self._due = None
        if request.method != REKEY:
            return True
        self.answer(request.number, self._rekey(request.body), b"")
        return False

    def answer(self, number: int, code: int, payload: bytes) -> None:
        """Keep the response to the last request; a second one, or one to another, is dropped.

        RangeError: the payload is longer than a frame can carry.
        """
        if len(payload) > BODY_LIMIT:
            raise RangeError("a payload of " + str(len(payload)) + " bytes")
        if number == self._next - 1 and self._last is None:
            self._last = self._due = Response(number, code, payload)

    def take_due(self) -> "Response | None":
        """Return the response that has to leave, once."""
        due = self._due
        self._due = None
        return due

    def _rekey(self, key: bytes) -> int:
        if len(key) != KEY_BYTES:
            return REFUSED
        if not self._keys.stage(key):
            self._counters["unsaved"] += 1
            return FAILED
        self._rekeyed = self._keys.next is not None
        return DONE
