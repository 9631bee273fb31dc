import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilong_protocol import portable

ROOT = Path(__file__).parent.parent.parent
PROTOCOL = sorted((ROOT / "protocol" / "lilong_protocol").rglob("*.py"))
CPYTHON_ONLY = {"aead_cryptography.py", "rice_windows.py", "sums_itertools.py"}
"""Modules that MicroPython never imports."""
FIRMWARE = [
    *sorted((ROOT / "firmware" / "lilong_firmware").rglob("*.py")),
    *(ROOT / "firmware" / name for name in ("bootstate.py", "loader.py", "main.py")),
]

PROTOCOL_IMPORTS = {"binascii", "hashlib", "struct", "lilong_protocol"}
AEAD_IMPORTS = {"cryptography", "cryptolib"}
ABSENT_MODULES = {
    "__future__",
    "abc",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "logging",
    "pathlib",
    "typing",
    "unittest",
}
ABSENT_ATTRIBUTES = {
    "bit_count",
    "bit_length",
    "crc_hqx",
    "is_integer",
    "monotonic",
    "release",
    "removeprefix",
    "removesuffix",
    "Queue",
    "Struct",
    "TaskGroup",
    "timeout",
}
FORBIDDEN_NODES = {
    ast.Assert: "assert, which opt=3 strips",
    ast.Match: "match",
    ast.TryStar: "except*",
    ast.AsyncFor: "async for, untested on the device",
}
FORBIDDEN_NAMES = {"__init_subclass__", "__slots__", "namedtuple", "dataclass"}


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk all that is executed: no annotations, nothing under `if TYPE_CHECKING`."""
    for field, value in ast.iter_fields(tree):
        if field in {"annotation", "returns"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                yield from run_time_nodes(ast.Module(node.orelse, []))
            elif isinstance(node, ast.AST):
                yield node
                yield from run_time_nodes(node)


def imported(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, []) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ".", [alias.name for alias in node.names]


def import_problems(node: ast.AST, allowed: "set[str] | None") -> Iterator[str]:
    for module, names in imported(node):
        top = module.split(".")[0]
        if top in ABSENT_MODULES or (allowed is not None and top not in allowed):
            yield f"import of {module}"
        yield from (f"import of private {name}" for name in names if name.startswith("_"))
        yield from (f"use of {name}" for name in names if name in FORBIDDEN_NAMES)


def is_const(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "const"
    )


def definition_problems(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ClassDef):
        if len(node.bases) > 1 or node.keywords:
            yield "several base classes, or class keywords"
        if any(is_const(child) for child in node.body):
            yield "const() in a class"
        yield from (f"use of {name}" for name in FORBIDDEN_NAMES if name in ast.unparse(node))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.args.posonlyargs:
            yield "positional-only parameters"
        if any(is_const(child) for child in ast.walk(node)):
            yield "const() in a function"


def statement_problems(node: ast.AST) -> Iterator[str]:
    for kind, name in FORBIDDEN_NODES.items():
        if isinstance(node, kind):
            yield name
    if isinstance(node, ast.Raise) and node.cause:
        yield "raise ... from"
    if isinstance(node, ast.Delete) and any(
        isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice)
        for target in node.targets
    ):
        yield "del of a slice"
    if isinstance(node, ast.Attribute) and node.attr in ABSENT_ATTRIBUTES:
        yield f"use of .{node.attr}"
    if isinstance(node, ast.Call) and any(word.arg == "signed" for word in node.keywords):
        yield "signed="
    if isinstance(node, ast.Constant) and isinstance(node.value, complex):
        yield "a complex number"


def problems(source: str, allowed: "set[str] | None" = None) -> list[str]:
    """Return what the device does not do, or does otherwise, with the line of each."""
    found = []
    for node in run_time_nodes(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        for check in (import_problems(node, allowed), definition_problems(node)):
            found.extend(f"line {line}: {text}" for text in check)
        found.extend(f"line {line}: {text}" for text in statement_problems(node))
    return found


def allowed_imports(path: Path) -> set[str]:
    if path.name.startswith("aead"):
        return PROTOCOL_IMPORTS | AEAD_IMPORTS
    if path.name == "portable.py":
        return PROTOCOL_IMPORTS | {"micropython"}
    return PROTOCOL_IMPORTS


@pytest.mark.parametrize(
    "path",
    [path for path in PROTOCOL if path.name not in CPYTHON_ONLY],
    ids=lambda path: path.name,
)
def test_a_protocol_module_means_the_same_on_both_interpreters(path: Path) -> None:
    assert problems(path.read_text("utf-8"), allowed_imports(path)) == []


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.name)
def test_a_firmware_module_avoids_the_traps_of_micropython(path: Path) -> None:
    assert problems(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "trap",
    [
        "from __future__ import annotations",
        "import typing",
        "from collections import namedtuple",
        "from lilong_protocol.serial import _CRC",
        "import asyncio",
        "raise ValueError from None",
        "class E(OurError, ValueError): pass",
        "class C:\n _X = const(1)",
        "class C:\n __slots__ = ()",
        "def f():\n _X = const(1)",
        "def f(a, /): pass",
        "del buffer[:4]",
        "int.from_bytes(data, 'big', signed=True)",
        "struct.Struct('<B')",
        "text.removeprefix('a')",
        "assert data",
        "match data:\n case 1: pass",
        "try: pass\nexcept* ValueError: pass",
    ],
)
def test_each_trap_is_found(trap: str) -> None:
    assert problems(trap, PROTOCOL_IMPORTS)


def test_what_only_the_type_checker_reads_is_free() -> None:
    source = "if TYPE_CHECKING:\n from typing import Any\ndef f(a: 'Any') -> 'Any': ...\n"
    assert problems(source, PROTOCOL_IMPORTS) == []


def test_const_changes_nothing_here() -> None:
    assert portable.const(7) == 7
    assert not portable.TYPE_CHECKING


@pytest.mark.parametrize("path", PROTOCOL + FIRMWARE, ids=lambda path: path.name)
def test_micropython_compiles_every_module(path: Path, micropython: Path) -> None:
    program = f"compile(open({str(path)!r}).read(), {path.name!r}, 'exec')"
    done = subprocess.run(
        [str(micropython), "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
