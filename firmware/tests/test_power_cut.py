import signal
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MOST_CUTS = 400


def run(folder, interpreter, *words):
    return subprocess.run(
        [interpreter, "-X", "heapsize=400k", HERE / "power_cut.py", *map(str, words)],
        cwd=folder,
        env={"MICROPYPATH": f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_power_cut_after_any_flash_operation_loses_and_repeats_nothing(tmp_path, micropython32):
    cuts = 0
    while True:
        worked = run(tmp_path, micropython32, "work", cuts)
        cuts += 1
        if worked.stdout == "done\n":
            break
        assert worked.returncode == -signal.SIGKILL, worked.stderr
        assert cuts < MOST_CUTS
    assert cuts > 50
    checked = run(tmp_path, micropython32, "check", cuts)
    assert (checked.stdout, checked.stderr) == ("good\n", "")
