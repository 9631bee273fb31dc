"""REQUEST and RESPONSE: what a gateway asks of a node, one thing at a time.

A request is repeated until its response comes. The node does it once: it answers a repetition
with the response that it has kept.
"""

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import is_count
from lilong_protocol.portable import TYPE_CHECKING

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

METHODS = 256
"""Numbers that a method may have."""


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
    number, method, body = checked_fields(plaintext, METHODS)
    return Request(number, method, body)


def checked_fields(plaintext: bytes, kinds: int) -> "tuple[int, int, bytes]":
    """Return number, kind below `kinds`, and body; DecodeError when one of them is wrong."""
    fields: list[Any] = cbor.decode_sequence(plaintext)
    if len(fields) < 3:
        raise DecodeError("a request or response with too few fields")
    number, kind, body = fields[:3]
    if not is_count(number, 1 << 32) or not is_count(kind, kinds):
        raise DecodeError("a request or response with a wrong number")
    if type(body) is not bytes or len(body) > BODY_LIMIT:
        raise DecodeError("a request or response with a wrong body")
    return number, kind, body
