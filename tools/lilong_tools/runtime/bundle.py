"""A program of another Debian release in a folder of its own, with the libraries it needs."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lilong_tools.runtime.apt import AptError, unpack


def bundle(packages: Iterable[Path], command: str, name: str, scratch: Path, final: Path) -> None:
    """Make the folder `final`: the command, its libraries, and the launcher `name`.

    The folder appears whole or not at all, in the place of a former one. AptError when the
    packages do not hold the command or one of its libraries, or the machine cannot run it.
    """
    root = scratch / "root"
    for package in packages:
        unpack(package, root)
    made = scratch / "bundle"
    made.mkdir()
    loader = _only(root.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"), "the loader of libc6")
    binary = _only(root.glob(f"usr/*bin/{command}"), f"the program {command}")
    for path in [loader, *_libraries(loader, binary), binary]:
        shutil.copy(path, made / path.name)
    launcher = made / f"run-{name}"
    launcher.write_text(_script(final, loader.name, binary.name), "utf-8")
    launcher.chmod(0o755)
    _replace(made, final, scratch / "former")


def launcher_path(final: Path, name: str) -> Path:
    """Give the path of the launcher `name` in the folder made by `bundle`."""
    return final / f"run-{name}"


def _script(final: Path, loader: str, binary: str) -> str:
    """Write the launcher: the bundled loader runs the program on the bundled libraries."""
    words = [str(final / loader), "--library-path", str(final), str(final / binary)]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def _libraries(loader: Path, binary: Path) -> list[Path]:
    """Ask the loader which libraries the program loads; each must come from beside the loader."""
    where = ["--inhibit-cache", "--library-path", str(loader.parent)]
    command = [str(loader), *where, "--list", str(binary)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"{binary.name} of another architecture does not run on this machine ({error})"
        raise AptError(reason) from error
    found = {Path(path) for path in re.findall(r"=> (/\S.*?) \(0x", done.stdout)}
    found.discard(loader)
    strangers = [path for path in found if path.parent != loader.parent]
    if done.returncode != 0 or not found or strangers or "not found" in done.stdout:
        reason = f"the packages lack libraries of {binary.name}"
        raise AptError(reason)
    return sorted(found)


def _only(paths: Iterable[Path], what: str) -> Path:
    found = list(paths)
    if len(found) != 1:
        reason = f"{what} was found {len(found)} times in the packages"
        raise AptError(reason)
    return found[0]


def _replace(made: Path, final: Path, former: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(former)
    made.rename(final)
