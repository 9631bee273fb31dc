"""Runs the firmware's own bench programs, those of its folder virtual/, on MicroPython."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from lilong_tools.errors import ToolError
from lilong_tools.vnode.folder import installed_firmware

_HEAP = "4m"
_PATIENCE_S = 600


class NodeProgram:
    """MicroPython, with the firmware of this tree on its path."""

    def __init__(self, micropython: Path) -> None:
        self._micropython = micropython
        self._firmware = installed_firmware()

    def run(self, name: str, *words: int) -> dict[str, Any]:
        """Return the JSON object that the program `name` prints on a line of its own.

        ToolError when it fails or prints none.
        """
        program = Path(self._firmware.module_path[0]) / f"{name}.py"
        done = subprocess.run(
            [self._micropython, "-X", f"heapsize={_HEAP}", program, *map(str, words)],
            env={**os.environ, "MICROPYPATH": self._firmware.micropypath},
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        objects = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or len(objects) != 1:
            last = (done.stdout + done.stderr).strip().split("\n")[-1]
            advice = f"see whether {self._micropython} runs at all"
            raise ToolError(f"{name} failed on MicroPython: {last}", advice)
        return dict(json.loads(objects[0]))
