"""Who holds a device open, as /proc tells."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def holders(port: str) -> list[str]:
    """Return "name (pid N)" of every other process we may look into that has port open."""
    target = os.path.realpath(port)
    return [
        f"{_name(process)} (pid {process.name})"
        for process in _processes()
        if target in _opened(process)
    ]


def _processes() -> Iterator[Path]:
    own = str(os.getpid())
    with suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != own:
                yield entry


def _opened(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                yield str(entry.readlink())


def _name(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return "a process"
