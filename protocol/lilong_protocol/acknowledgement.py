"""The ACK frame: for each stream, what the gateway holds on disk."""

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError
from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

BITMAP_BITS = 16
MAX_WINDOW = 16


class Acknowledgement:
    """Everything below next is durable; bit i of bitmap says the same of next + 1 + i.

    window is how many batches from next on the gateway will take now; 0 asks to wait.
    """

    def __init__(self, stream: int, next: int, bitmap: int, window: int) -> None:  # noqa: A002
        self.stream = stream
        self.next = next
        self.bitmap = bitmap
        self.window = window


def parse_acknowledgements(plaintext: bytes) -> "list[Acknowledgement]":
    """Return one to four entries; DecodeError for a missing or wrong number or a stream twice."""
    fields: list[Any] = cbor.decode_sequence(plaintext)
    if not fields or len(fields) % 4 or len(fields) > 4 * STREAMS:
        raise DecodeError("an ACK of " + str(len(fields)) + " fields")
    limits = (STREAMS, (1 << 32) + 1, 1 << BITMAP_BITS, 256)
    for index, value in enumerate(fields):
        if type(value) is not int or not 0 <= value < limits[index % 4]:
            raise DecodeError("an ACK with a wrong number")
    starts = range(0, len(fields), 4)
    if len(set(fields[::4])) != len(starts):
        raise DecodeError("an ACK with a stream twice")
    return [Acknowledgement(*fields[start : start + 4]) for start in starts]
