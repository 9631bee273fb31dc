"""REQUEST and RESPONSE: what a gateway asks of a node, one thing at a time.

A request is repeated until its response comes. The node does it once: it answers a repetition
with the response that it has kept.
"""

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.fields import is_count
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

REKEY = 1
"""Method: the body is the node's next key."""
STATUS = 2
"""Method: what runs, and what became of what was pushed; no body."""
OFFER = 3
"""Method: announces an object; the payload says how much of it the node holds."""
WRITE = 4
"""Method: the next piece of that object."""
APPLY = 5
"""Method: puts to use what was pushed."""

DONE = 0
REFUSED = 1
"""Code: the node does not want this; the payload says why. Asking again will not help."""
UNKNOWN = 2
"""Code: this firmware does not know the method."""
FAILED = 3
"""Code: the node could not, for now; the payload says why."""

BODY_LIMIT = 960
"""Bytes of the longest body or payload; the frame around it has then at most 1024."""

_TRIES = const(5)
_FIRST_WAIT_MS = const(1000)
_METHODS = const(256)
_CODES = const(256)


class Request:
    """What is asked: method says what the body means. number counts up within a session."""

    def __init__(self, number: int, method: int, body: bytes) -> None:
        self.number = number
        self.method = method
        self.body = body

    def pack(self) -> bytes:
        """Return the plaintext to be sealed."""
        return cbor.encode_sequence((self.number, self.method, self.body))


class Response:
    """What became of the request of this number."""

    def __init__(self, number: int, code: int, payload: bytes) -> None:
        self.number = number
        self.code = code
        self.payload = payload

    def pack(self) -> bytes:
        """Return the plaintext to be sealed."""
        return cbor.encode_sequence((self.number, self.code, self.payload))


def parse_request(plaintext: bytes) -> Request:
    """Return the opened REQUEST; DecodeError when its fields are wrong."""
    number, method, body = _fields(plaintext, _METHODS)
    return Request(number, method, body)


def parse_response(plaintext: bytes) -> Response:
    """Return the opened RESPONSE; DecodeError when its fields are wrong."""
    number, code, payload = _fields(plaintext, _CODES)
    return Response(number, code, payload)


def _fields(plaintext: bytes, kinds: int) -> "tuple[int, int, bytes]":
    fields: list[Any] = cbor.decode_sequence(plaintext)
    if len(fields) < 3:
        raise DecodeError("a request or response with too few fields")
    number, kind, body = fields[:3]
    if not is_count(number, 1 << 32) or not is_count(kind, kinds):
        raise DecodeError("a request or response with a wrong number")
    if type(body) is not bytes or len(body) > BODY_LIMIT:
        raise DecodeError("a request or response with a wrong body")
    return number, kind, body


class Question:
    """The gateway's side: at most one request is under way."""

    def __init__(self) -> None:
        self._count = 0
        self._request: Request | None = None
        self._tries = 0
        self._due_ms: int | None = None

    @property
    def method(self) -> "int | None":
        """What is being asked, None when nothing is."""
        return None if self._request is None else self._request.method

    def ask(self, method: int, body: bytes) -> bool:
        """Begin to ask; False while something else is being asked.

        RangeError: no REQUEST can carry this method or body.
        """
        if not is_count(method, _METHODS) or len(body) > BODY_LIMIT:
            raise RangeError("method " + str(method) + ", a body of " + str(len(body)) + " bytes")
        if self._request is not None:
            return False
        self._request = Request(self._count, method, body)
        self._count += 1
        self._tries = 0
        self._due_ms = None
        return True

    def poll(self, now_ms: int) -> "bytes | None":
        """Return the plaintext to send now: at once, and again after 1, 2, 4 and 8 s."""
        if self._request is None or self._tries >= _TRIES or not self._is_due(now_ms):
            return None
        self._due_ms = now_ms + (_FIRST_WAIT_MS << self._tries)
        self._tries += 1
        return self._request.pack()

    def gave_up(self, now_ms: int) -> "int | None":
        """Return the method once if the last try has been left without a response for too long."""
        if self._request is None or self._tries < _TRIES or not self._is_due(now_ms):
            return None
        method = self._request.method
        self._request = None
        return method

    def answered(self, response: Response) -> "int | None":
        """Return the method that this is the response to; None for one to anything else."""
        if self._request is None or self._request.number != response.number:
            return None
        method = self._request.method
        self._request = None
        return method

    def _is_due(self, now_ms: int) -> bool:
        return self._due_ms is None or now_ms >= self._due_ms
