"""Each check_*.py beside this file, on CPython and on MicroPython with words of 32 and 64 bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1]
VIRTUAL = FIRMWARE / "lilong_firmware" / "virtual"
PATH = [
    HERE,
    VIRTUAL / "chips",
    FIRMWARE,
    FIRMWARE.parent / "protocol",
]
NAMES = sorted(path.stem for path in HERE.glob("check_*.py"))
checked = pytest.mark.parametrize("name", NAMES)


def output_of(command, variable, path, name):
    done = subprocess.run(
        [*command, HERE / "run_checks.py", name],
        env={**os.environ, variable: ":".join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    return done.stdout.split("\n")


def here(name):
    # The folder of the shims holds a `machine` that only MicroPython can import: it comes last.
    return output_of([sys.executable], "PYTHONPATH", [*PATH, VIRTUAL], name)


def on(micropython, name):
    command = [micropython, "-X", "heapsize=2m"]
    return output_of(command, "MICROPYPATH", [".frozen", *PATH, VIRTUAL], name)


@checked
def test_a_driver_does_what_its_datasheet_says(name):
    assert len(here(name)) > 1


@checked
def test_a_driver_does_so_on_the_words_of_a_device(name, micropython32):
    assert on(micropython32, name) == here(name)


@checked
def test_a_driver_does_so_on_micropython_of_64_bits(name, micropython):
    assert on(micropython, name) == here(name)


def test_every_driver_is_checked():
    drivers = {path.stem for path in (FIRMWARE / "lilong_firmware" / "drivers").glob("[a-z]*.py")}
    assert drivers <= {name.removeprefix("check_") for name in NAMES}
