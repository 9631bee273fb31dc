import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROTOCOL = Path(__file__).parent.parent
TESTS = PROTOCOL / "tests"
VECTORS = PROTOCOL / "vectors"
FILES = sorted(path.name for path in VECTORS.glob("*.json"))


def run(command: list[str], variable: str, path: str) -> list[str]:
    done = subprocess.run(
        command,
        env={**os.environ, variable: path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=["cpython", "micropython", "micropython32"])
def checked(request: pytest.FixtureRequest) -> list[str]:
    script = [str(TESTS / "check_golden.py"), str(VECTORS)]
    if request.param == "cpython":
        return run([sys.executable, *script], "PYTHONPATH", str(PROTOCOL))
    launcher = str(request.getfixturevalue(request.param))
    command = [launcher, "-X", "heapsize=32m", *script]
    return run(command, "MICROPYPATH", f".frozen:{PROTOCOL}")


def test_the_golden_vectors_hold_both_ways_on_every_interpreter(checked: list[str]) -> None:
    counts = {name: int(count) for name, count in (line.split() for line in checked)}
    assert list(counts) == [
        "columns", "items", "messages", "frames", "serial", "pieces", "adverts",
        "session_first", "session_resumed", "session_rekey",
    ]  # fmt: skip
    assert min(counts.values()) > 10


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    for name in ("blocks.json", "messages.json"):
        shutil.copy(VECTORS / name, folder)
    command = [sys.executable, str(TESTS / "make_vectors.py"), str(folder)]
    run(command, "PYTHONPATH", str(PROTOCOL))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_committed_vectors_are_what_the_generator_makes(remade: Path, name: str) -> None:
    assert (remade / name).read_text(encoding="utf-8") == (VECTORS / name).read_text(
        encoding="utf-8"
    )


def test_the_generator_makes_no_other_files(remade: Path) -> None:
    assert sorted(path.name for path in remade.iterdir()) == FILES
