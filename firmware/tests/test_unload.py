import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import gc, sys
from lilong_firmware.unload import unload

def used():
    gc.collect()
    return gc.mem_alloc()

def load():
    from parcel.big import answer
    return answer()

import parcel
load()
before = used()
unload("parcel.big", "parcel.absent")
freed = before - used()
print(freed > 2000, "parcel.big" in sys.modules, hasattr(parcel, "big"), load())
"""


def test_what_is_unloaded_gives_its_memory_back_and_can_be_loaded_again(tmp_path, micropython32):
    parcel = tmp_path / "parcel"
    parcel.mkdir()
    (parcel / "__init__.py").write_text("")
    text = "".join(f"def f{index}(a):\n    return a * {index} + a\n" for index in range(60))
    (parcel / "big.py").write_text(text + "def answer():\n    return f3(2)\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [micropython32, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "MICROPYPATH": f".:.frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "False", "False", "8"], done.stderr
