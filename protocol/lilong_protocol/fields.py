"""Checks of decoded CBOR items, before anything else sees them."""

from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_protocol.cbor import Item


_BLANK = const(0x20)
_DELETE = const(0x7F)


def is_count(value: "Item", limit: int) -> bool:
    """Whether this is an integer in 0..limit-1."""
    return type(value) is int and 0 <= value < limit


def integer(field: "Item", what: str) -> int:
    """Return the field if it is an integer, and no bool. DecodeError naming `what` otherwise."""
    if isinstance(field, int) and field is not True and field is not False:
        return field
    raise DecodeError(f"{what} is not an integer")


def ranged(field: "Item", low: int, high: int, what: str) -> int:
    """Return the field if it is an integer in low..high. DecodeError otherwise."""
    value = integer(field, what)
    if not low <= value <= high:
        raise DecodeError(f"{what} {value} is outside {low}..{high}")
    return value


def integers(field: "list[Item]", count: int, what: str) -> "list[int]":
    """Return the list if it holds `count` integers. DecodeError otherwise."""
    if len(field) != count:
        raise DecodeError(f"{what}: {len(field)} numbers where {count} belong")
    return [integer(element, what) for element in field]


def text(field: "Item", limit: int, what: str) -> str:
    """Return the field if it is a text of at most `limit` characters, none of them a control.

    DecodeError naming `what` otherwise.
    """
    if not isinstance(field, str) or len(field) > limit:
        raise DecodeError(f"{what} is not a text of at most {limit} characters")
    if any(octet < _BLANK or octet == _DELETE for octet in field.encode()):
        raise DecodeError(f"a control character in {what}")
    return field
