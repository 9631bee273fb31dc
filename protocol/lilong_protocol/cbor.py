"""The subset of CBOR (RFC 8949) on the wire: definite lengths, no maps, floats or tags."""

from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    Item: TypeAlias = int | bytes | str | bool | list["Item"] | None
    Encodable: TypeAlias = int | bytes | bytearray | str | bool | Sequence["Encodable"] | None

MAX_DEPTH = 4
"""Arrays within arrays."""

MAX_ELEMENTS = 4096
"""Items in one call of decode, nested ones included: bounds what a peer can make us hold."""

_UINT = const(0)
_NEGATIVE = const(1)
_BYTES = const(2)
_TEXT = const(3)
_ARRAY = const(4)
_SIMPLE = const(7)
_FALSE = const(20)
_TRUE = const(21)
_NULL = const(22)


def encode(item: "Encodable") -> bytes:
    """Return `item` in the shortest form (RFC 8949, 4.2.1). RangeError if it has none."""
    out = bytearray()
    _put(out, item, 0)
    return bytes(out)


def encode_sequence(items: "Iterable[Encodable]") -> bytes:
    """Return `items` one after the other (RFC 8742). RangeError if one has no encoding."""
    out = bytearray()
    for item in items:
        _put(out, item, 0)
    return bytes(out)


def decode(data: bytes) -> "Item":
    """Return the one item that `data` holds, whole. DecodeError otherwise."""
    reader = _Reader(data)
    item = reader.take(0)
    if reader.at != len(data):
        raise DecodeError(f"cbor: bytes after the item, at {reader.at}")
    return item


def decode_sequence(data: bytes) -> "list[Item]":
    """Return every item of an RFC 8742 sequence, perhaps none. DecodeError otherwise."""
    reader = _Reader(data)
    size = len(data)
    items = []
    while reader.at < size:
        items.append(reader.take(0))
    return items


def decode_first(data: bytes) -> "tuple[Item, bytes]":
    """Return the first item of an RFC 8742 sequence and the bytes after it, undecoded."""
    reader = _Reader(data)
    item = reader.take(0)
    return item, data[reader.at :]


def _put(out: bytearray, item: "Encodable", depth: int) -> None:
    if item is None or item is True or item is False:
        out.append(0xF6 if item is None else 0xF5 if item else 0xF4)
    elif isinstance(item, int):
        _put_int(out, item)
    elif isinstance(item, (bytes, bytearray)):
        _put_head(out, _BYTES, len(item))
        out.extend(item)
    elif isinstance(item, str):
        text = item.encode()
        _put_head(out, _TEXT, len(text))
        out.extend(text)
    elif isinstance(item, (list, tuple)):
        if depth >= MAX_DEPTH:
            raise RangeError(f"cbor: arrays nested deeper than {MAX_DEPTH}")
        _put_head(out, _ARRAY, len(item))
        for element in item:
            _put(out, element, depth + 1)
    else:
        raise RangeError(f"cbor: no encoding for a {type(item)}")


def _put_int(out: bytearray, value: int) -> None:
    if value < 0:
        _put_head(out, _NEGATIVE, -1 - value)
    else:
        _put_head(out, _UINT, value)


def _put_head(out: bytearray, major: int, argument: int) -> None:
    major <<= 5
    if argument < 24:
        out.append(major | argument)
    elif argument < 0x100:
        out.append(major | 24)
        out.append(argument)
    elif argument < 0x10000:
        out.append(major | 25)
        out.append(argument >> 8)
        out.append(argument & 0xFF)
    elif argument >> 32 == 0:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument >> 64 == 0:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise RangeError("cbor: integer outside -2**64..2**64-1")


class _Reader:
    """Takes items off `data` from `at` on."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._size = len(data)
        self._left = MAX_ELEMENTS

    def take(self, depth: int) -> "Item":
        at = self.at
        if at >= self._size:
            raise DecodeError(f"cbor: truncated at {at}")
        if self._left == 0:
            raise DecodeError(f"cbor: more than {MAX_ELEMENTS} items")
        self._left -= 1
        first = self._data[at]
        self.at = at + 1
        argument = first & 31
        if argument > 23:
            argument = self._argument(argument)
        major = first >> 5
        if major == _UINT:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._string(argument)
        if major == _ARRAY:
            return self._array(argument, depth)
        return self._other(first, argument)

    def _argument(self, info: int) -> int:
        at = self.at
        end = at + (1 << (info - 24))
        if info > 27 or end > self._size:
            raise DecodeError(f"cbor: bad length or truncated at {at}")
        self.at = end
        return int.from_bytes(self._data[at:end], "big")

    def _string(self, length: int) -> bytes:
        at = self.at
        if length > self._size - at:
            raise DecodeError(f"cbor: string longer than the data at {at}")
        self.at = at + length
        return self._data[at : at + length]

    def _other(self, first: int, argument: int) -> "str | bool | None":
        major = first >> 5
        info = first & 31
        if major == _TEXT:
            return self._text(argument)
        if major == _SIMPLE and _FALSE <= info <= _NULL:
            return None if info == _NULL else info == _TRUE
        raise DecodeError(f"cbor: kind of item not allowed, before {self.at}")

    def _text(self, length: int) -> str:
        try:
            return self._string(length).decode()
        except UnicodeError:
            raise DecodeError(f"cbor: text is not UTF-8 before {self.at}")

    def _array(self, length: int, depth: int) -> "list[Item]":
        if depth >= MAX_DEPTH:
            raise DecodeError(f"cbor: arrays nested deeper than {MAX_DEPTH}")
        if length > self._size - self.at:
            raise DecodeError(f"cbor: array longer than the data at {self.at}")
        items = []
        for _ in range(length):
            items.append(self.take(depth + 1))  # noqa: PERF401
        return items
