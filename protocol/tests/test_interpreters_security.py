import pathlib
import subprocess
import sys

import pytest

PROTOCOL = pathlib.Path(__file__).parent.parent
VECTORS = PROTOCOL.parent.parent / "shared" / "vectors"


def run(script: str, launcher: pathlib.Path | None, *arguments: str) -> str:
    path = PROTOCOL / "tests" / script
    if launcher is None:
        command = [sys.executable, str(path), *arguments]
        environment = {"PYTHONPATH": str(PROTOCOL)}
    else:
        command = [str(launcher), "-X", "heapsize=32m", str(path), *arguments]
        environment = {"MICROPYPATH": f".frozen:{PROTOCOL}"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["cpython", "micropython", "micropython32"])
def launcher(request: pytest.FixtureRequest) -> pathlib.Path | None:
    if request.param == "cpython":
        return None
    found: pathlib.Path = request.getfixturevalue(request.param)
    return found


def test_both_interpreters_put_the_same_bytes_on_the_wire(launcher: pathlib.Path | None) -> None:
    assert run("check_session.py", launcher) == run("check_session.py", None)


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the third-party vectors are not beside the tree")
def test_third_party_vectors_hold_on_both_interpreters(launcher: pathlib.Path | None) -> None:
    output = run("check_vectors.py", launcher, str(VECTORS))
    assert output.splitlines() == [
        "wycheproof_ccm 324",
        "wycheproof_ccm_of_adverts 16",
        "cose_ccm 8",
        "wycheproof_kdf 257",
        "oscore 3",
        "oscore_protected 2",
        "wycheproof_ed25519 151",
    ]
