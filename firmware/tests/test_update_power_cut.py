import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
pusher = importlib.import_module("pusher")

CHANNEL = {"number": 0, "name": "level", "unit": "m", "privacy": 0}
SIZES = {1: (5200, 1700), 2: (900, 300), 3: (5200, 6100)}
"""Bytes of start.py and part.py; the first has files that the third replaces."""


def release(folder, maker, sequence):
    """Two modules that say what they are, one that stays, and one more in the first release."""
    files = {"lilong_firmware/__init__.py": b'"""The package."""\n'}
    for name, size in zip(("start", "part"), SIZES[sequence], strict=True):
        text = f"SEQUENCE = {sequence}\n".encode()
        files[f"lilong_firmware/{name}.py"] = text + b"#" * (size - len(text))
    if sequence == 1:
        files["lilong_firmware/gone.py"] = b"#" * 600
    for name, data in files.items():
        path = folder / f"release{sequence}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / f"release{sequence}.cose").write_bytes(maker.manifest(files, sequence))
    settings = {
        "version": sequence,
        "eui": "0" * 16,
        "sensor": {"kind": "river"},
        "channels": [CHANNEL],
    }
    (folder / f"settings{sequence}.json").write_text(json.dumps(settings))


def sweep(folder, interpreter, mode, step):
    maker = pusher.Maker()
    (folder / "update.pub").write_bytes(maker.public)
    for sequence in SIZES:
        release(folder, maker, sequence)
    firmware = ROOT / "firmware"
    shim = firmware / "lilong_firmware" / "virtual"
    done = subprocess.run(
        [interpreter, "-X", "heapsize=1M", HERE / "update_power_cut.py", mode, str(step)],
        cwd=folder,
        env={"MICROPYPATH": f"{shim}:.frozen:{ROOT / 'protocol'}:{firmware}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    return [line.split() for line in done.stdout.splitlines()[-2:]]


@pytest.mark.parametrize("mode", ["clean", "torn", "weak"])
def test_after_a_power_cut_at_any_flash_operation_the_node_starts_and_finishes(
    tmp_path, micropython32, mode
):
    (_, operations, erases, programmed), (word, cuts) = sweep(tmp_path, micropython32, mode, 1)
    assert word == "good"
    assert int(cuts) == int(operations) > 150
    pushed = sum(SIZES[3])
    assert int(programmed) < 2.5 * pushed
    assert int(erases) < 4 * pushed / 512


def test_an_update_without_room_is_refused_before_anything_is_destroyed(tmp_path, micropython32):
    refused, (word,) = sweep(tmp_path, micropython32, "full", 1)
    assert refused[:2] == ["no", "room:"]
    assert word == "good"
