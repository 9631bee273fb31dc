"""The modules of a node, found in a source tree: of the base, and of the application."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lilong_tools.errors import ToolError

_PACKAGES = (("protocol", "lilong_protocol"), ("firmware", "lilong_firmware"))
_NOT_ON_CHIPS = frozenset({"virtual", "tests", "__pycache__"})
"""Folders: what stands in for a chip, and what tries it."""

_OTHER_INTERPRETERS = frozenset({"aead_cryptography.py", "rice_windows.py", "sums_itertools.py"})
_BUILD_ONLY = frozenset({"manifest.py"})

_ADVICE = "name the root of a whole tree with --source"


@dataclass(frozen=True, slots=True)
class Module:
    """A module: where its source is, and under which name it is imported."""

    path: Path
    name: PurePosixPath
    """As a file, below the folder that is searched: lilong_protocol/cbor.py."""

    @property
    def dotted(self) -> str:
        """As tracebacks tell it: the node knows this name anyhow, and holds it once."""
        return ".".join(self.name.with_suffix("").parts)

    @property
    def in_slot(self) -> bool:
        """Whether it belongs to the application; the base is in the image alone."""
        return len(self.name.parts) > 1


def find_modules(root: Path | None) -> list[Module]:
    """Give the modules of the tree in `root`, or of the one that is installed, by their names.

    ToolError when it is not a whole tree.
    """
    root = _installed() if root is None else root
    found = []
    for folder, package in _PACKAGES:
        base = root / folder
        if not (base / package / "__init__.py").is_file():
            raise ToolError(f"{base / package} is not there", _ADVICE)
        found += [Module(path, _name(path, base)) for path in _files(base / package)]
    base = root / "firmware"
    if not (base / "main.py").is_file():
        raise ToolError(f"{base / 'main.py'} is not there", _ADVICE)
    own = [path for path in base.glob("*.py") if path.name not in _BUILD_ONLY]
    return sorted([*found, *(Module(path, _name(path, base)) for path in own)], key=_order)


def _files(package: Path) -> Iterator[Path]:
    for path in package.rglob("*.py"):
        folders = path.relative_to(package).parts[:-1]
        if not _NOT_ON_CHIPS & set(folders) and path.name not in _OTHER_INTERPRETERS:
            yield path


def _name(path: Path, base: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(base).as_posix())


def _order(module: Module) -> tuple[bool, str]:
    """The base first."""
    return module.in_slot, module.name.as_posix()


def _installed() -> Path:
    spec = importlib.util.find_spec("lilong_firmware")
    if spec is None or spec.origin is None:
        raise ToolError("the firmware is not installed", _ADVICE)
    return Path(spec.origin).parents[2]
