import os
import subprocess
import sys
from pathlib import Path

import pytest

PROTOCOL = Path(__file__).parent.parent
VECTORS = PROTOCOL.parent.parent / "shared" / "vectors"


def output_of(command: list[str], variable: str, path: str, *arguments: str) -> list[str]:
    script = PROTOCOL / "tests" / "check_codecs.py"
    golden = PROTOCOL / "vectors" / "blocks.json"
    done = subprocess.run(
        [*command, str(script), str(golden), *arguments],
        env={**os.environ, variable: path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def on_this_python(*arguments: str) -> list[str]:
    return output_of([sys.executable], "PYTHONPATH", str(PROTOCOL), *arguments)


def on_micropython(launcher: Path, *arguments: str) -> list[str]:
    command = [str(launcher), "-X", "heapsize=4m"]
    return output_of(command, "MICROPYPATH", f".frozen:{PROTOCOL}", *arguments)


@pytest.fixture(params=["micropython", "micropython32"])
def launcher(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_the_codecs_write_the_same_bytes_on_every_interpreter(launcher: Path) -> None:
    here = on_this_python()
    assert len(here) == 2
    assert on_micropython(launcher) == here


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the third-party vectors are not beside the tree")
def test_third_party_vectors_hold_on_this_python() -> None:
    assert on_this_python(str(VECTORS))[2:] == ["rfc8949 30 50", "cobs 12 4"]


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the third-party vectors are not beside the tree")
def test_third_party_vectors_hold_on_micropython(launcher: Path) -> None:
    assert on_micropython(launcher, str(VECTORS))[2:] == ["rfc8949 30 50", "cobs 12 4"]
