import json
import subprocess
from pathlib import Path

import pytest

from lilong_firmware.virtual.journal_sweep import Sweep

ROOT = Path(__file__).parents[2]
VIRTUAL = ROOT / "firmware" / "lilong_firmware" / "virtual"
MOST = 1000


def swept(interpreter, program, *words):
    """What a sweep on MicroPython finds; around it may be what it says of files left open."""
    done = subprocess.run(
        [interpreter, "-X", "heapsize=4m", VIRTUAL / program, *map(str, words)],
        env={"MICROPYPATH": f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line[:1] == "{"))


def test_a_power_cut_in_any_operation_of_the_journal_loses_alters_and_repeats_nothing():
    sweep = Sweep(seed=1, sectors=4)
    sweep.run(rounds=8)
    assert sweep.problems == []
    assert sweep.tried >= MOST
    assert sweep.dropped > 10


@pytest.mark.parametrize(("seed", "sectors"), [(1, 4), (2, 6)])
def test_the_same_on_the_32_bits_of_a_device(micropython32, seed, sectors):
    found = swept(micropython32, "journal_sweep.py", seed, sectors, 6)
    assert found["problems"] == []
    assert found["tried"] >= MOST // 2


def test_a_power_cut_leaves_every_small_file_as_it_was_or_as_it_was_to_be(micropython32):
    found = swept(micropython32, "files_sweep.py", 8)
    assert found["problems"] == []
    assert found["tried"] >= MOST
