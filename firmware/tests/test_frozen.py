import ast
import os
from pathlib import Path

import pytest

from lilong_tools.update.imports import _imported, source_tree

FIRMWARE = Path(__file__).parents[1]
OWN = ("lilong_firmware", "lilong_protocol")
FROM_PORT = {"asyncio": "$(MPY_DIR)/extmod/asyncio", "onewire": "onewire"}
"""Modules in Python that a manifest brings in from MicroPython and its library."""
BUILT_IN = {
    *(
        "array",
        "binascii",
        "bluetooth",
        "collections",
        "cryptolib",
        "deflate",
        "errno",
        "esp32",
        "gc",
    ),
    *("hashlib", "io", "json", "machine", "math", "micropython", "os", "platform", "random"),
    *("select", "struct", "sys", "time", "uctypes", "vfs"),
}
"""Modules in C that the port has in every build."""


class Manifest:
    """What MicroPython's tools/manifestfile.py makes of a manifest, in its words."""

    def __init__(self, path):
        self.files = {}
        self.brought = []
        self._folder = path.parent
        here = Path.cwd()
        os.chdir(self._folder)
        words = {
            "include": self.brought.append,
            "require": self.brought.append,
            "package": self.package,
            "module": self.module,
        }
        try:
            exec(compile(path.read_text("utf-8"), str(path), "exec"), words)  # noqa: S102
        finally:
            os.chdir(here)

    def package(self, package_path, files=None, base_path=".", opt=None):
        base = (self._folder / base_path).resolve()
        if files is None:
            files = [
                path.relative_to(base / package_path)
                for path in (base / package_path).rglob("*.py")
            ]
        for file in files:
            self._add(base, f"{package_path}/{file}", opt)

    def module(self, module_path, base_path=".", opt=None):
        self._add((self._folder / base_path).resolve(), module_path, opt)

    def _add(self, base, name, opt):
        assert name not in self.files, f"{name} is frozen twice"
        assert (base / name).is_file(), name
        assert opt == 3
        self.files[name] = base / name


@pytest.fixture(scope="module")
def manifest():
    return Manifest(FIRMWARE / "manifest.py")


def module_names(files):
    names = {name.removesuffix(".py").removesuffix("/__init__") for name in files}
    return {name.replace("/", ".") for name in names}


def test_all_that_a_node_imports_is_frozen(manifest):
    missing = set(source_tree(FIRMWARE.parent).modules()) - module_names(manifest.files)
    assert missing == set()


def test_what_runs_before_the_application_is_frozen_all_of_it(manifest):
    base = {path.name for path in FIRMWARE.glob("*.py")} - {"manifest.py"}
    assert {name for name in manifest.files if "/" not in name} == base
    assert base >= {"_boot.py", "boot.py", "main.py", "loader.py"}


def test_everything_that_is_frozen_finds_what_it_imports(manifest):
    known = module_names(manifest.files) | BUILT_IN | set(FROM_PORT)
    strangers = {
        (name, imported)
        for name, path in manifest.files.items()
        for imported, certain in _imported(ast.parse(path.read_bytes()))
        if certain and imported not in known
    }
    # Of the application alone: where it looks whether a module is there, it has another way.
    assert {pair for pair in strangers if not may_miss(manifest.files[pair[0]], pair[1])} == set()


def may_miss(path, imported):
    """Whether the import stands in a `try` that takes ImportError, or in what takes it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Try) and any(
            isinstance(handler.type, ast.Name) and handler.type.id == "ImportError"
            for handler in node.handlers
        ):
            taken = [statement for handler in node.handlers for statement in handler.body]
            for statement in node.body + taken:
                if imported in {name for name, _ in _imported(statement)}:
                    return True
    return False


def test_what_comes_from_the_port_is_asked_for_and_used(manifest):
    assert sorted(manifest.brought) == sorted(FROM_PORT.values())
    used = {
        imported
        for path in manifest.files.values()
        for imported, _ in _imported(ast.parse(path.read_bytes()))
    }
    assert set(FROM_PORT) <= used


def test_nothing_is_frozen_that_no_chip_runs(manifest):
    wrong = [
        name
        for name in manifest.files
        if {"virtual", "tests"} & set(Path(name).parts) or "cryptography" in name
    ]
    assert wrong == []
    tops = {Path(name).parts[0] for name in manifest.files if "/" in name}
    assert tops == set(OWN)


def test_the_base_imports_nothing_of_the_application_but_where_the_slot_is_chosen():
    found = {
        (path.name, imported)
        for path in FIRMWARE.glob("*.py")
        for imported, certain in _imported(ast.parse(path.read_bytes()))
        if certain and imported.startswith("lilong")
    }
    assert found == {("loader.py", "lilong_firmware.start")}
