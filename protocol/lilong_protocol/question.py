"""The gateway's side of requests: what it asks, and what it reads of the response."""

from lilong_protocol.errors import RangeError
from lilong_protocol.fields import is_count
from lilong_protocol.portable import const
from lilong_protocol.request import BODY_LIMIT, METHODS, Request, Response, checked_fields

_CODES = const(256)
_TRIES = const(5)
_FIRST_WAIT_MS = const(1000)


class Question:
    """At most one request is under way."""

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
        if not is_count(method, METHODS) or len(body) > BODY_LIMIT:
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


def parse_response(plaintext: bytes) -> Response:
    """Return the opened RESPONSE; DecodeError when its fields are wrong."""
    number, code, payload = checked_fields(plaintext, _CODES)
    return Response(number, code, payload)
