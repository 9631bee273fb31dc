"""What a node's channels measure, in CBOR; names and units are those of SenML (RFC 8428).

[version, [[ch, name, unit, exponent, time_exponent, privacy, quantity], ...]]
"""

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.fields import ranged, text
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lilong_protocol.cbor import Item

DESCRIPTOR_LIMIT = 900
"""Bytes of an encoded descriptor, so that it fits one frame."""

TIME_EXPONENTS = (0, -3)
"""Seconds or milliseconds."""

MAX_CHANNEL = 255
MIN_EXPONENT = -24
MAX_EXPONENT = 18
MAX_PRIVACY = 3
NAME_LIMIT = 32
UNIT_LIMIT = 32
QUANTITY_LIMIT = 64

_ALPHANUMERIC = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_PUNCTUATION = const(b":._/-")


class Channel:
    """One measured quantity of a node: value = integer * 10**exponent, in unit."""

    def __init__(
        self,
        number: int,
        name: str,
        unit: str,
        exponent: int,
        time_exponent: int,
        privacy: int,
        quantity: str,
    ) -> None:
        self.number = number
        self.name = name
        self.unit = unit
        self.exponent = exponent
        self.time_exponent = time_exponent
        self.privacy = privacy
        self.quantity = quantity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Channel) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash(tuple(self.fields()))

    def fields(self) -> "list[int | str]":
        """Return the values in their order on the wire."""
        return [
            self.number,
            self.name,
            self.unit,
            self.exponent,
            self.time_exponent,
            self.privacy,
            self.quantity,
        ]


def encode_descriptor(version: int, channels: "Sequence[Channel]") -> bytes:
    """Return the descriptor. RangeError if a field is wrong or it is longer than 900 bytes."""
    data = cbor.encode([version, [channel.fields() for channel in channels]])
    try:
        decode_descriptor(data)
    except DecodeError as error:
        raise RangeError(str(error))
    return data


def decode_descriptor(data: bytes) -> "tuple[int, list[Channel]]":
    """Return (version, channels). DecodeError for any other bytes."""
    if len(data) > DESCRIPTOR_LIMIT:
        raise DecodeError(f"descriptor: {len(data)} bytes, more than {DESCRIPTOR_LIMIT}")
    item = cbor.decode(data)
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], list):
        raise DecodeError("descriptor: not [version, channels]")
    version = ranged(item[0], 0, (1 << 64) - 1, "version")
    channels = [_channel(row) for row in item[1]]
    for field in ("number", "name"):
        if len({getattr(channel, field) for channel in channels}) != len(channels):
            raise DecodeError(f"descriptor: two channels of one {field}")
    return version, channels


def _channel(row: "Item") -> Channel:
    if not isinstance(row, list) or len(row) != 7:
        raise DecodeError("descriptor: a channel is a list of seven fields")
    channel = Channel(
        number=ranged(row[0], 0, MAX_CHANNEL, "channel number"),
        name=text(row[1], NAME_LIMIT, "name"),
        unit=text(row[2], UNIT_LIMIT, "unit"),
        exponent=ranged(row[3], MIN_EXPONENT, MAX_EXPONENT, "exponent"),
        time_exponent=ranged(row[4], -3, 0, "time exponent"),
        privacy=ranged(row[5], 0, MAX_PRIVACY, "privacy class"),
        quantity=text(row[6], QUANTITY_LIMIT, "quantity"),
    )
    if channel.time_exponent not in TIME_EXPONENTS:
        raise DecodeError("descriptor: times are in seconds (0) or milliseconds (-3)")
    if not _is_name(channel.name):
        raise DecodeError(f"descriptor: {channel.name!r} is no SenML name")
    return channel


def _is_name(text: str) -> bool:
    """Return whether RFC 8428, 4.5.1, allows the name."""
    octets = text.encode()
    if not octets or octets[0] not in _ALPHANUMERIC:
        return False
    return all(octet in _ALPHANUMERIC or octet in _PUNCTUATION for octet in octets)
