"""The same encoding on MicroPython, beside plain CBOR arrays in the same run."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import lilong_protocol
from lilong_tools.bench.formats import Batch
from lilong_tools.errors import ToolError

_HEAP = "8m"
_PATIENCE_S = 300
_MOST_BATCHES = 200


def measure_node(micropython: Path, batches: Sequence[Batch]) -> dict[str, float]:
    """Return microseconds a reading on this interpreter and the ratio to plain CBOR arrays.

    ToolError when the interpreter fails.
    """
    chosen = [[list(b.times), list(b.values)] for b in batches if len(b.times) > 1]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(chosen[:_MOST_BATCHES], file)
        file.flush()
        figures = json.loads(_run(micropython, file.name))
    return {
        "readings": figures["readings"],
        "encode_us_per_reading": figures["r1_us"] / max(1, figures["readings"]),
        "encode_ratio_to_cbor_arrays": figures["r1_us"] / max(1, figures["cbor_arrays_us"]),
    }


def _run(micropython: Path, path: str) -> str:
    protocol = Path(lilong_protocol.__file__).parents[1]
    script = Path(__file__).with_name("on_node.py")
    done = subprocess.run(
        [micropython, "-X", f"heapsize={_HEAP}", script, path],
        env={**os.environ, "MICROPYPATH": f".frozen:{protocol}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip().split("\n")[-1]
        raise ToolError(f"MicroPython failed: {words}", f"see whether {micropython} runs at all")
    return done.stdout
