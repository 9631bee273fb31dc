"""Runs on MicroPython: times our encoder beside plain CBOR arrays of the same batches.

usage: on_node.py FILE, a JSON list of [times, values]; prints one JSON object.
"""

import gc
import json
import sys
from time import ticks_diff, ticks_us  # type: ignore[attr-defined]

from lilong_protocol import cbor
from lilong_protocol.blocks import encode_series


def ours(times: "list[int]", values: "list[int]") -> bytes:
    """Encode as a node does."""
    return encode_series(0, times, values)


def plain(times: "list[int]", values: "list[int]") -> bytes:
    """Encode as CBOR arrays of steps and values, by the same CBOR encoder."""
    steps = [times[index] - times[index - 1] for index in range(1, len(times))]
    return cbor.encode([1, 0, times[0], len(times), steps, values])


def main(path: str) -> None:
    """Time both on every batch, each after a collection, and print the sums."""
    with open(path) as source:
        batches = json.load(source)
    spent_us = [0, 0]
    readings = 0
    for times, values in batches:
        readings += len(times)
        for index, encode in enumerate((ours, plain)):
            gc.collect()
            began = ticks_us()
            encode(times, values)
            spent_us[index] += ticks_diff(ticks_us(), began)
    figures = {"readings": readings, "r1_us": spent_us[0], "cbor_arrays_us": spent_us[1]}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
