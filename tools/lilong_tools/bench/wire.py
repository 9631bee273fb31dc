"""Bytes a reading in our format and in others, beside the entropy; encode and decode times."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from lilong_protocol import cbor, frame
from lilong_protocol.blocks import decode_block
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.serial import wrap
from lilong_tools.bench.formats import Batch, Encoder, formats
from lilong_tools.moment import UNIX_2000_S
from lilong_tools.recording import Column, Recording, rows_of

T = TypeVar("T")
SIZES = (1, 10, 60, 240)
_TIMED = 60
_FRAME_BYTES = 1000
_ROUNDS = 3


def measure_wire(recordings: Sequence[Recording]) -> dict[str, object]:
    """Return sizes of each column by format and batch size, their means, and times."""
    columns = [
        _series(recording, index, column)
        for recording in recordings
        for index, column in enumerate(recording.columns)
    ]
    rows = [_sizes(name, series) for name, series in columns]
    timed = [batch for _, series in columns for batch in _batches(series, _TIMED)]
    return {
        "payload_bytes_per_reading": _mean(rows, "payload"),
        "frame_bytes_per_reading": _mean(rows, "frame"),
        "entropy_bytes_per_reading": sum(row["entropy"] for row in rows) / len(rows),
        **_times(timed),
        "columns": rows,
    }


def timed_batches(recordings: Sequence[Recording]) -> list[Batch]:
    """Return the batches of 60 whose encoding is timed."""
    return [
        batch
        for recording in recordings
        for index, column in enumerate(recording.columns)
        for batch in _batches(_series(recording, index, column)[1], _TIMED)
    ]


def _series(recording: Recording, index: int, column: Column) -> tuple[str, Batch]:
    times, values = [], []
    for row in rows_of(recording):
        value = row.values[index]
        if value is not None:
            times.append(round((row.time - UNIX_2000_S).scaleb(-recording.time_exponent)))
            values.append(round(value.scaleb(-column.exponent)))
    series = Batch(times, values, recording.time_exponent, column.exponent)
    return f"{recording.path.name}:{column.name}", series


def _batches(series: Batch, size: int) -> list[Batch]:
    return [
        Batch(
            series.times[start : start + size],
            series.values[start : start + size],
            series.time_exponent,
            series.exponent,
        )
        for start in range(0, len(series.times), size)
    ]


def _sizes(name: str, series: Batch) -> dict[str, Any]:
    payload: dict[str, dict[str, float]] = {}
    framed: dict[str, dict[str, float]] = {}
    for label, encode in formats().items():
        pairs = {str(size): _size(encode, _batches(series, size)) for size in SIZES}
        payload[label] = {size: pair[0] / len(series.times) for size, pair in pairs.items()}
        framed[label] = {size: pair[1] / len(series.times) for size, pair in pairs.items()}
    return {
        "column": name,
        "readings": len(series.times),
        "exponent": series.exponent,
        "entropy": _entropy_bytes(series),
        "payload": payload,
        "frame": framed,
    }


def _size(encode: Encoder, batches: Sequence[Batch]) -> tuple[int, int]:
    """Return bytes of payload and of sealed serial frames; what is too long takes several."""
    cipher = FrameCipher(bytes(16), bytes(32), bytes(16), NODE_ID, GATEWAY_ID)
    payload = framed = 0
    for seq, batch in enumerate(batches):
        item = encode(batch)
        payload += len(item)
        for start in range(0, len(item), _FRAME_BYTES):
            text = cbor.encode(seq) + item[start : start + _FRAME_BYTES]
            framed += len(wrap(cipher.seal(frame.DATA, text, frame.DATA_STREAM)))
    return payload, framed


def _entropy_bytes(series: Batch) -> float:
    """Zero-order entropy of value steps and of changes of the time step, tables free of charge."""
    steps = _differences(series.times)
    bits = _entropy_bits(_differences(series.values)) + _entropy_bits(_differences(steps))
    return bits / 8


def _entropy_bits(symbols: Sequence[int]) -> float:
    total = len(symbols)
    return sum(
        -count / total * math.log2(count / total) for count in Counter(symbols).values() if total
    )


def _differences(numbers: Sequence[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(numbers)]


def _mean(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, dict[str, float]]:
    """Return the mean over the columns, each counting the same."""
    found: dict[str, dict[str, float]] = {}
    for label in formats():
        tables = [row[kind][label] for row in rows]
        found[label] = {str(n): sum(table[str(n)] for table in tables) / len(rows) for n in SIZES}
    return found


def _times(batches: Sequence[Batch]) -> dict[str, object]:
    """Return encode times as ratios to SenML-CBOR, and how fast our items are decoded."""
    readings = sum(len(batch.times) for batch in batches)
    seconds = {label: _best_s(encode, batches) for label, encode in formats().items()}
    items = [formats()["r1"](batch) for batch in batches]
    decode_s = _best_s(decode_block, items)
    return {
        "encode_ratio": {label: seconds["r1"] / each for label, each in seconds.items()},
        "encode_readings_per_s": readings / seconds["r1"],
        "decode_readings_per_s": readings / decode_s,
    }


def _best_s(work: Callable[[T], object], inputs: Sequence[T]) -> float:
    def once() -> float:
        began = time.process_time()
        for one in inputs:
            work(one)
        return time.process_time() - began

    return max(1e-9, min(once() for _ in range(_ROUNDS)))
