"""Batches -> SenML packs (RFC 8428), every number exact.

The first record holds bn, bt and the extension fields batch, store, pos, tq, and where they say
something one_in and late; records are in time order. CBOR writes fractions as decimal fractions
(RFC 8949 section 3.4.4), JSON writes all digits.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cbor2

from lilong_protocol.descriptor import Channel

TYPES = {"senml+cbor": "application/senml+cbor", "senml+json": "application/senml+json"}
"""The media types of the formats (RFC 8428 section 12.3)."""

_UNIX_2000_S = 946_684_800
_ABSOLUTE_S = 1 << 28
_YEAR_10000_S = 253_402_300_800
_CBOR_LABELS: Mapping[str, int] = {"bn": -2, "bt": -3}
_NAME, _UNIT, _VALUE, _TIME = b"\x00", b"\x01", b"\x02", b"\x06"
"""Labels (RFC 8428 section 6)."""
_DECIMAL_FRACTION = b"\xc4\x82"
_UNSIGNED, _NEGATIVE, _ARRAY, _MAP = 0x00, 0x20, 0x80, 0xA0
_IN_HEAD = 24
_MILLI = -3


class Exact(NamedTuple):
    """digits times ten to the exponent."""

    digits: int
    exponent: int


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one channel of a batch."""

    channel: Channel
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One batch as it goes north: times are UNIX times of the given exponent.

    one_in: it stands for so many of its stream, the others were thinned out; late: it comes out
    of a backlog; channels: all that may ever come from this node, as far as it described them.
    """

    eui: bytes
    batch: str
    store: str
    pos: int
    quality: str
    times: Sequence[int]
    time_exponent: int
    columns: Sequence[Column]
    stream: int = 2
    one_in: int = 1
    late: bool = False
    channels: Sequence[Channel] = ()


Field = str | int | Exact


def unix_times(
    times: Sequence[int], offset_ms: int | None, time_exponent: int
) -> tuple[list[int], int]:
    """Return UNIX times and their exponent, for a block's times.

    With offset_ms (ms since 2000 at uptime 0) the block's times are ms of uptime; else they
    count since 2000 in the channel's unit.
    """
    if offset_ms is not None:
        shift = offset_ms + _UNIX_2000_S * 1000
        return [time + shift for time in times], _MILLI
    if time_exponent > 0:
        scale = 10**time_exponent
        return [time * scale + _UNIX_2000_S for time in times], 0
    shift = _UNIX_2000_S * 10**-time_exponent
    return [time + shift for time in times], time_exponent


def is_datable(telemetry: Telemetry) -> bool:
    """Whether all times are absolute for who reads SenML (RFC 8428 section 4.5.3) and have a date.

    A node with a mad clock must not make a receiver refuse the batch for ever.
    """
    scale = int(10**-telemetry.time_exponent)
    first, last = min(telemetry.times), max(telemetry.times)
    return first >= _ABSOLUTE_S * scale and last < _YEAR_10000_S * scale


def write_cbor(telemetry: Telemetry) -> bytes:
    """Return application/senml+cbor; at least one column and one time are given."""
    start, order = min(telemetry.times), _in_order(telemetry)
    columns = [_cbor_column(column) for column in telemetry.columns]
    offset_of = _cbor_number(telemetry.time_exponent)
    found = [array_head(len(order) * len(columns))]
    for index in order:
        offset = telemetry.times[index] - start
        tail = _TIME + offset_of(offset) if offset else b""
        for fields, texts, values, number in columns:
            found += (_map_head(fields + bool(offset)), texts, number(values[index]), tail)
    base = [_cbor_field(name, value) for name, value in _base(telemetry).items()]
    found[1] = _map_head(len(base) + columns[0][0]) + b"".join(base)
    return b"".join(found)


def write_json(telemetry: Telemetry) -> bytes:
    """Return application/senml+json; at least one column and one time are given."""
    start, order = min(telemetry.times), _in_order(telemetry)
    columns = [(_json_head(column.channel), column) for column in telemetry.columns]
    found: list[str] = []
    for index in order:
        offset = telemetry.times[index] - start
        tail = f',"t":{_text(offset, telemetry.time_exponent)}' if offset else ""
        found += (
            f"{{{head}{_text(column.values[index], column.channel.exponent)}{tail}}}"
            for head, column in columns
        )
    base = ",".join(f'"{name}":{_json(of)}' for name, of in _base(telemetry).items())
    found[0] = f"{{{base},{found[0][1:]}"
    return f"[{','.join(found)}]".encode()


def writer(name: str) -> Callable[[Telemetry], bytes]:
    """Return the writer of a configured format."""
    return {"senml+cbor": write_cbor, "senml+json": write_json}[name]


def array_head(count: int) -> bytes:
    """Return what stands before the items of an array (RFC 8949 section 3), below 2**32 items."""
    return _head(_ARRAY, count)


def digits(value: Exact) -> str:
    """Return it as a JSON number with all its digits."""
    return _text(value.digits, value.exponent)


def _in_order(telemetry: Telemetry) -> list[int]:
    return sorted(range(len(telemetry.times)), key=telemetry.times.__getitem__)


def _base(telemetry: Telemetry) -> dict[str, Field]:
    base: dict[str, Field] = {
        "bn": f"urn:dev:mac:{telemetry.eui.hex()}:",
        "bt": Exact(min(telemetry.times), telemetry.time_exponent),
        "batch": telemetry.batch,
        "store": telemetry.store,
        "pos": telemetry.pos,
        "tq": telemetry.quality,
    }
    if telemetry.one_in > 1:
        base["one_in"] = telemetry.one_in
    if telemetry.late:
        base["late"] = True
    return base


def _json_head(channel: Channel) -> str:
    unit = f'"u":{json.dumps(channel.unit)},' if channel.unit else ""
    return f'"n":{json.dumps(channel.name)},{unit}"v":'


def _json(value: Field) -> str:
    return digits(value) if isinstance(value, Exact) else json.dumps(value)


def _text(number: int, exponent: int) -> str:
    if exponent >= 0:
        return str(number * 10**exponent)
    whole, rest = divmod(abs(number), 10**-exponent)
    return f"{'-' if number < 0 else ''}{whole}.{rest:0{-exponent}}"


def _cbor_column(column: Column) -> tuple[int, bytes, Sequence[int], Callable[[int], bytes]]:
    """Return the number of fields without a time, those before the value, and the values."""
    channel = column.channel
    texts = _NAME + cbor2.dumps(channel.name)
    if channel.unit:
        texts += _UNIT + cbor2.dumps(channel.unit)
    number = _cbor_number(channel.exponent)
    return 3 if channel.unit else 2, texts + _VALUE, column.values, number


def _cbor_number(exponent: int) -> Callable[[int], bytes]:
    """Return what writes digits times ten to this exponent."""
    up, down = 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
    fraction = _DECIMAL_FRACTION + _integer(exponent)

    def write(number: int) -> bytes:
        whole, rest = divmod(number * up, down)
        if rest or not -(1 << 64) <= whole < 1 << 64:
            return fraction + _integer(number)
        return _integer(whole)

    return write


def _cbor_field(name: str, value: Field) -> bytes:
    label = cbor2.dumps(_CBOR_LABELS.get(name, name))
    if isinstance(value, Exact):
        return label + _cbor_number(value.exponent)(value.digits)
    return label + cbor2.dumps(value)


def _integer(number: int) -> bytes:
    if not -(1 << 64) <= number < 1 << 64:
        return cbor2.dumps(number)
    return _head(_UNSIGNED, number) if number >= 0 else _head(_NEGATIVE, -1 - number)


def _map_head(fields: int) -> bytes:
    return _head(_MAP, fields)


def _head(major: int, argument: int) -> bytes:
    """Return the head of an item (RFC 8949 section 3)."""
    if argument < _IN_HEAD:
        return bytes((major | argument,))
    if argument < 1 << 8:
        return bytes((major | _IN_HEAD, argument))
    if argument < 1 << 16:
        return bytes((major | _IN_HEAD + 1,)) + argument.to_bytes(2, "big")
    if argument < 1 << 32:
        return bytes((major | _IN_HEAD + 2,)) + argument.to_bytes(4, "big")
    return bytes((major | _IN_HEAD + 3,)) + argument.to_bytes(8, "big")
