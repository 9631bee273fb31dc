"""Runs on MicroPython: what it takes to encode, to seal and to verify.

usage: on_node_costs.py, in a folder with manifest.cose and update.pub; prints one JSON object,
milliseconds.
"""

import gc
import json
from time import ticks_diff, ticks_us  # type: ignore[attr-defined]

from lilong_protocol import frame
from lilong_protocol.blocks import encode_series
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.manifest import open_manifest, split_public_keys

_ROUNDS = 50
_READINGS = 60
_SIGNATURES = 5


def main() -> None:
    """Time both, each after a collection; the mean of fifty."""
    times = [848000000000 + 1000 * index for index in range(_READINGS)]
    values = [1000 + index * index % 17 for index in range(_READINGS)]
    cipher = FrameCipher(bytes(16), bytes(32), bytes(16), NODE_ID, GATEWAY_ID)
    spent_us = [0, 0]
    for _ in range(_ROUNDS):
        gc.collect()
        began = ticks_us()
        item = encode_series(0, times, values)
        encoded = ticks_us()
        cipher.seal(frame.DATA, item, frame.DATA_STREAM)
        spent_us[0] += ticks_diff(encoded, began)
        spent_us[1] += ticks_diff(ticks_us(), encoded)
    encode_ms, seal_ms = [spent / _ROUNDS / 1000 for spent in spent_us]
    found = {"encode_ms": encode_ms, "seal_ms": seal_ms, "ota_verify_ms": _verify_ms()}
    print(json.dumps(found))


def _verify_ms() -> float:
    """Verify the signed manifest of an update, the best of five."""
    with open("manifest.cose", "rb") as file:
        manifest = file.read()
    with open("update.pub", "rb") as file:
        keys = split_public_keys(file.read())
    best_us = 1 << 30
    for _ in range(_SIGNATURES):
        gc.collect()
        began = ticks_us()
        open_manifest(manifest, keys)
        best_us = min(best_us, ticks_diff(ticks_us(), began))
    return best_us / 1000


if __name__ == "__main__":
    main()
