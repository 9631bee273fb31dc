"""The modules of the application that a node imports, found without running any of them."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from lilong_tools.errors import UpdateError

_ROOTS = ("lilong_firmware.start",)
"""What the program on the device (firmware/main.py) imports."""

_BY_NAME = "lilong_firmware.drivers"
"""The package whose modules are imported by the names that settings give."""

_PACKAGE = "__init__.py"

_OF_CPYTHON = frozenset({"cryptography"})
"""Libraries that no node has; a module which imports one is the gateway's half."""

_NOT_ON_NODES = frozenset({"TYPE_CHECKING", "ROOMY"})
"""Conditions (lilong_protocol.portable) that no node meets."""


class SourceTree:
    """Where the packages of the application are, by their names."""

    def __init__(self, packages: dict[str, Path]) -> None:
        self._packages = packages

    def modules(self) -> dict[str, Path]:
        """Give the file of every module that a node imports, by its dotted name, in order.

        UpdateError when one is missing or is not Python.
        """
        found: dict[str, Path] = {}
        waiting = [*_ROOTS, *self._by_name()]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            path = self._file(name)
            if path is None:
                raise UpdateError(f"the module {name} is missing", "name a whole tree (--source)")
            names = set(_imported(_parsed(path)))
            if not _OF_CPYTHON & {imported.partition(".")[0] for imported, _ in names}:
                found[name] = path
                waiting += [own for own, certain in names if self._is_module(own, certain)]
                waiting += [name.rpartition(".")[0]] if "." in name else []
        return dict(sorted(found.items()))

    def _by_name(self) -> list[str]:
        home = self._file(_BY_NAME)
        files = [] if home is None else home.parent.glob("[a-z]*.py")
        return [f"{_BY_NAME}.{file.stem}" for file in files]

    def _is_module(self, name: str, certain: bool) -> bool:  # noqa: FBT001
        """Whether it is a module of ours, there or not; what comes from a package is one.

        The packages' own files hold no code.
        """
        if name.partition(".")[0] not in self._packages:
            return False
        home = self._file(name.rpartition(".")[0])
        return certain or (home is not None and home.name == _PACKAGE)

    def _file(self, name: str) -> Path | None:
        package, _, rest = name.partition(".")
        if package not in self._packages:
            return None
        path = self._packages[package].joinpath(*rest.split("."))
        for file in (path.with_name(path.name + ".py"), path / _PACKAGE):
            if file.is_file():
                return file
        return None


def source_tree(folder: Path | None) -> SourceTree:
    """Give the tree in a folder like the root of the repository, or the one that is installed.

    UpdateError when it lacks a package.
    """
    packages = {}
    for part in ("firmware", "protocol"):
        name = f"lilong_{part}"
        path = _installed(name) if folder is None else folder / part / name
        if path is None or not path.is_dir():
            where = "is not installed" if path is None else f"is not in {path.parent}"
            raise UpdateError(f"the package {name} {where}", "name a whole tree with --source")
        packages[name] = path
    return SourceTree(packages)


def segment_name(module: str, path: Path) -> str:
    """Give the name under which a node finds the module of this source file."""
    stem = module.replace(".", "/")
    return f"{stem}/__init__.mpy" if path.name == _PACKAGE else f"{stem}.mpy"


def _installed(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise UpdateError(f"{path} cannot be read ({error})", "correct the source") from error


def _imported(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Give each name that is imported, and whether it is certainly that of a module.

    What only the type checker or CPython reads is left out.
    """
    if isinstance(node, ast.Import):
        yield from ((alias.name, True) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module, True
        yield from ((f"{node.module}.{alias.name}", False) for alias in node.names)
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test) in _NOT_ON_NODES:
        children = list(node.orelse)
    for child in children:
        yield from _imported(child)
