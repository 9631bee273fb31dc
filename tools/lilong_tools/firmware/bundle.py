"""The folder that a build fills: for each processor the base and the application as .mpy files.

<architecture>/base/loader.mpy                     in the image alone
<architecture>/slot/lilong_firmware/app.mpy        as it lies in a slot of a node
sizes.json                                         says what is here, and that it is ours
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lilong_tools.errors import ToolError

MARK = "sizes.json"
_MAKER = "lilong firmware build"


class BundleFolder:
    """A folder of ours, empty for now; ToolError when there is something else in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._take()
        except OSError as error:
            problem = f"{path} cannot be used ({error.strerror})"
            raise ToolError(problem, "name another folder with --out") from error

    def write(self, architecture: str, name: PurePosixPath, code: bytes, *, slot: bool) -> None:
        """Write one module."""
        part = "slot" if slot else "base"
        self._write(Path(architecture, part, name.with_suffix(".mpy")), code)

    def finish(self, account: Mapping[str, Any]) -> None:
        """Write what is here."""
        text = json.dumps({"made_by": _MAKER, **account}, indent=1) + "\n"
        self._write(Path(MARK), text.encode())

    def _take(self) -> None:
        if self._path.exists() and not self._path.is_dir():
            raise ToolError(f"{self._path} is not a folder", "name another one with --out")
        names = {path.name for path in self._path.iterdir()} if self._path.exists() else set()
        if names and not self._is_ours():
            problem = f"{self._path} holds files that are not a build's"
            raise ToolError(problem, "empty it, or name another folder with --out")
        for name in sorted(names - {MARK, ".gitignore"}):
            self._remove(self._path / name)
        self._path.mkdir(parents=True, exist_ok=True)
        # From here on it can be seen that it is ours, whatever happens.
        self.finish({})
        self._write(Path(".gitignore"), b"*\n")

    def _is_ours(self) -> bool:
        try:
            found = json.loads((self._path / MARK).read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(found, dict) and found.get("made_by") == _MAKER

    def _remove(self, path: Path) -> None:
        """Remove what a build wrote; anything else is somebody's."""
        if path.is_symlink() or not (path / "base").is_dir() or not (path / "slot").is_dir():
            problem = f"{path} is not a build's"
            raise ToolError(problem, "move it away, or name another folder with --out")
        shutil.rmtree(path)

    def _write(self, name: Path, data: bytes) -> None:
        path = self._path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            problem = f"{path} cannot be written ({error.strerror})"
            raise ToolError(problem, "make room, or name another folder with --out") from error
