"""The formats that are compared: each turns a batch of integer readings into bytes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import cbor2

from lilong_protocol.blocks import encode_series, encode_single
from lilong_tools.moment import UNIX_2000_S

_URN = "urn:dev:mac:0102030405060708:value"
_CHANNEL = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Times since 2000 and values: whole numbers, in units of ten to the two exponents."""

    times: Sequence[int]
    values: Sequence[int]
    time_exponent: int
    exponent: int

    def unix_times(self) -> list[int | Decimal]:
        """Return the UNIX times in seconds."""
        return [_scaled(time, self.time_exponent) + UNIX_2000_S for time in self.times]

    def real_values(self) -> list[int | Decimal]:
        """Return the values with their decimals."""
        return [_scaled(value, self.exponent) for value in self.values]


Encoder = Callable[[Batch], bytes]


def formats() -> dict[str, Encoder]:
    """Return every format by name; "r1" is ours."""
    return {
        "r1": _r1,
        "cbor_arrays": _cbor_arrays,
        "senml_cbor": _senml_cbor,
        "senml_json": _senml_json,
        "json": _json,
    }


def _r1(batch: Batch) -> bytes:
    if len(batch.times) == 1:
        return encode_single(_CHANNEL, batch.times[0], batch.values[0])
    return encode_series(_CHANNEL, batch.times, batch.values)


def _cbor_arrays(batch: Batch) -> bytes:
    """Our item with plain arrays in place of columns: [kind, channel, t, n, steps, values]."""
    steps = [later - earlier for earlier, later in pairwise(batch.times)]
    return cbor2.dumps([1, _CHANNEL, batch.times[0], len(batch.times), steps, list(batch.values)])


def _senml_cbor(batch: Batch) -> bytes:
    """RFC 8428 section 6: name and base time once, relative times, decimal fractions."""
    times, values = batch.unix_times(), batch.real_values()
    records: list[dict[int, object]] = [
        {6: time - times[0], 2: value} for time, value in zip(times, values, strict=True)
    ]
    records[0] = {-2: _URN, -3: times[0], 2: values[0]}
    return cbor2.dumps(records)


def _senml_json(batch: Batch) -> bytes:
    times, values = batch.unix_times(), batch.real_values()
    records: list[dict[str, object]] = [
        {"t": float(time - times[0]), "v": float(value)}
        for time, value in zip(times, values, strict=True)
    ]
    records[0] = {"bn": _URN, "bt": float(times[0]), "v": float(values[0])}
    return _compact(records)


def _json(batch: Batch) -> bytes:
    pairs = zip(batch.unix_times(), batch.real_values(), strict=True)
    return _compact(
        [{"ch": "value", "t": float(time), "v": float(value)} for time, value in pairs]
    )


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _scaled(number: int, exponent: int) -> int | Decimal:
    return number if exponent == 0 else Decimal(number).scaleb(exponent)
