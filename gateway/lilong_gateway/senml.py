"""Batches -> SenML packs (RFC 8428), every number exact.

The first record holds bn, bt and the extension fields batch, store, pos and tq; records are in
time order. CBOR writes fractions as decimal fractions (RFC 8949 section 3.4.4), JSON writes all
digits.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cbor2

from lilong_protocol.descriptor import Channel

_UNIX_2000_S = 946_684_800
_ABSOLUTE_S = 1 << 28
_YEAR_10000_S = 253_402_300_800
_CBOR_LABELS: dict[str, int | str] = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "t": 6}
_DECIMAL_FRACTION = 4
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
    """One batch as it goes north: times are UNIX times of the given exponent."""

    eui: bytes
    batch: str
    store: str
    pos: int
    quality: str
    times: Sequence[int]
    time_exponent: int
    columns: Sequence[Column]


Field = str | int | Exact
Record = dict[str, Field]


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


def records(telemetry: Telemetry) -> list[Record]:
    """Return the records of a pack; at least one column and one time are given."""
    start = min(telemetry.times)
    found = [
        _record(telemetry, column, index, start)
        for index in sorted(range(len(telemetry.times)), key=telemetry.times.__getitem__)
        for column in telemetry.columns
    ]
    base: Record = {
        "bn": f"urn:dev:mac:{telemetry.eui.hex()}:",
        "bt": Exact(start, telemetry.time_exponent),
        "batch": telemetry.batch,
        "store": telemetry.store,
        "pos": telemetry.pos,
        "tq": telemetry.quality,
    }
    found[0] = base | found[0]
    return found


def _record(telemetry: Telemetry, column: Column, index: int, start: int) -> Record:
    channel = column.channel
    record: Record = {"n": channel.name}
    if channel.unit:
        record["u"] = channel.unit
    record["v"] = Exact(column.values[index], channel.exponent)
    if telemetry.times[index] != start:
        record["t"] = Exact(telemetry.times[index] - start, telemetry.time_exponent)
    return record


def encode_cbor(pack: list[Record]) -> bytes:
    """Return application/senml+cbor."""
    labelled = [
        {_CBOR_LABELS.get(name, name): _cbor_value(value) for name, value in record.items()}
        for record in pack
    ]
    return cbor2.dumps(labelled)


def encode_json(pack: list[Record]) -> bytes:
    """Return application/senml+json."""
    lines = [
        "{" + ",".join(f'"{name}":{_json_value(value)}' for name, value in record.items()) + "}"
        for record in pack
    ]
    return ("[" + ",".join(lines) + "]").encode()


def encoder(name: str) -> Callable[[list[Record]], bytes]:
    """Return the encoder of a configured format."""
    return {"senml+cbor": encode_cbor, "senml+json": encode_json}[name]


def _cbor_value(value: Field) -> object:
    if not isinstance(value, Exact):
        return value
    whole = _whole(value)
    if whole is not None and -(1 << 64) <= whole < 1 << 64:
        return whole
    return cbor2.CBORTag(_DECIMAL_FRACTION, [value.exponent, value.digits])


def _whole(value: Exact) -> int | None:
    if value.exponent >= 0:
        return int(value.digits * 10**value.exponent)
    whole, rest = divmod(value.digits, 10**-value.exponent)
    return None if rest else whole


def _json_value(value: Field) -> str:
    return _digits(value) if isinstance(value, Exact) else json.dumps(value)


def _digits(value: Exact) -> str:
    if value.exponent >= 0:
        return str(value.digits * 10**value.exponent)
    places = -value.exponent
    text = str(abs(value.digits)).rjust(places + 1, "0")
    sign = "-" if value.digits < 0 else ""
    return f"{sign}{text[:-places]}.{text[-places:]}"
