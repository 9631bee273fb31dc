"""Bytes a reading: our item and sealed serial frame beside SenML-CBOR of the same readings."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import cbor2

from lilong_protocol import cbor, frame
from lilong_protocol.blocks import encode_series, encode_single
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.serial import wrap
from lilong_tools.moment import UNIX_2000_S
from lilong_tools.recording import Column, Recording, rows_of

_NAME = "urn:dev:mac:0102030405060708:value"
Reading = tuple[int, int]


def measure_wire(recordings: Sequence[Recording], size: int) -> list[dict[str, object]]:
    """Return a row of figures for each column: sizes in bytes a reading, batches of `size`."""
    return [
        _measure(recording, index, column, size)
        for recording in recordings
        for index, column in enumerate(recording.columns)
    ]


def _measure(recording: Recording, index: int, column: Column, size: int) -> dict[str, object]:
    cipher = FrameCipher(bytes(16), bytes(32), bytes(16), NODE_ID, GATEWAY_ID)
    readings = list(_readings(recording, index, column))
    items = frames = senml = 0
    for seq, start in enumerate(range(0, len(readings), size)):
        batch = readings[start : start + size]
        item = _item(batch)
        sealed = cipher.seal(frame.DATA, cbor.encode(seq) + item, frame.DATA_STREAM)
        items += len(item)
        frames += len(wrap(sealed))
        senml += len(_senml(batch, column.exponent))
    count = max(1, len(readings))
    return {
        "file": recording.path.name,
        "column": column.name,
        "readings": len(readings),
        "item_bytes": items / count,
        "frame_bytes": frames / count,
        "senml_cbor_bytes": senml / count,
        "ratio": senml / max(1, items),
    }


def _readings(recording: Recording, index: int, column: Column) -> Iterator[Reading]:
    """Give (time since 2000, value), whole numbers in the units of the wire."""
    for row in rows_of(recording):
        value = row.values[index]
        if value is not None:
            time = (row.time - UNIX_2000_S).scaleb(-recording.time_exponent)
            yield round(time), round(value.scaleb(-column.exponent))


def _item(batch: Sequence[Reading]) -> bytes:
    if len(batch) == 1:
        return encode_single(0, *batch[0])
    return encode_series(0, [time for time, _ in batch], [value for _, value in batch])


def _senml(batch: Sequence[Reading], exponent: int) -> bytes:
    """RFC 8428 section 6, with base name and time once and decimal fractions for values."""
    base = batch[0][0]
    records: list[dict[int, object]] = []
    for time, value in batch:
        exact: int | Decimal = value if exponent >= 0 else Decimal(value).scaleb(exponent)
        records.append({6: time - base, 2: exact})
    records[0] = {-2: _NAME, -3: base + UNIX_2000_S, 2: records[0][2]}
    return cbor2.dumps(records)
