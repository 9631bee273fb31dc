"""Finding a program: named by the environment, on PATH, in the cache, in Debian's archive."""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime.apt import AptError
from lilong_tools.runtime.archive import Archive, system_archive
from lilong_tools.runtime.bundle import launcher_path
from lilong_tools.runtime.cache import Cache, user_cache
from lilong_tools.runtime.program import Program, is_good, program_named
from lilong_tools.runtime.sources import SUITE


class Finder:
    """Where programs may be: this environment's variables and PATH, a cache, an archive."""

    def __init__(self, environment: Mapping[str, str], cache: Cache, archive: Archive) -> None:
        self._environment = environment
        self._cache = cache
        self._archive = archive

    def find(self, program: Program) -> Path:
        """Give the path of a program that was just seen to run, fetching it when it must be.

        It is the one named by LILONG_<NAME>, or one on PATH, or one from the archive in the
        cache. ProgramMissingError when there is none, or the named one is not good.
        """
        if named := self._environment.get(program.variable):
            return self._named(program, named)
        return self._on_path(program) or self._cached(program)

    def _named(self, program: Program, named: str) -> Path:
        path = Path(shutil.which(named, path=self._path()) or named).absolute()
        if is_good(program, path):
            return path
        problem = f"{program.variable} names {named}, which does not run as {program.title}"
        raise ProgramMissingError(problem, "correct the variable or unset it")

    def _on_path(self, program: Program) -> Path | None:
        found = shutil.which(program.name, path=self._path()) if program.on_path else None
        if found is None:
            return None
        if is_good(program, Path(found)):
            return Path(found).absolute()
        text = f"{found} is not {program.title}; looking further."
        logging.getLogger(__name__).info(text)
        return None

    def _cached(self, program: Program) -> Path:
        folder = self._cache.folder / SUITE / program.name
        launcher = launcher_path(folder, program.name)
        if is_good(program, launcher):
            return launcher
        self._fill(program, folder, launcher)
        if not is_good(program, launcher):
            problem = f"{program.name} was fetched to {folder} but does not run on this machine"
            raise ProgramMissingError(problem, _install(program))
        return launcher

    def _fill(self, program: Program, folder: Path, launcher: Path) -> None:
        """Fetch the program into the cache, unless another run has done so meanwhile."""
        try:
            with self._cache.locked() as scratch:
                if not is_good(program, launcher):
                    self._archive.fetch(program, scratch, folder)
        except AptError as error:
            raise ProgramMissingError(
                f"{program.name} is not installed and could not be fetched ({error})",
                f"{_install(program)}, or connect to the network once",
            ) from error
        except OSError as error:
            raise ProgramMissingError(
                f"{program.name} could not be put into the cache {self._cache.folder} ({error})",
                "give it room and make it writable, or name another folder in LILONG_CACHE",
            ) from error

    def _path(self) -> str:
        """Give PATH and the places of daemons, where an ordinary user's PATH does not lead."""
        own = self._environment.get("PATH", os.defpath)
        return os.pathsep.join([own, "/usr/local/sbin", "/usr/sbin"])


def find(name: str) -> Path:
    """Give the path of a program by its name on this machine; ProgramMissingError."""
    return Finder(os.environ, user_cache(), system_archive()).find(program_named(name))


def find_micropython() -> Path:
    """Give a MicroPython (unix port) of this machine's word size; ProgramMissingError."""
    return find("micropython")


def find_micropython32() -> Path:
    """Give a 32-bit MicroPython, whose objects have the size they have on the device."""
    return find("micropython32")


def find_mosquitto() -> Path:
    """Give the Mosquitto broker; ProgramMissingError."""
    return find("mosquitto")


def find_mosquitto_sub() -> Path:
    """Give Mosquitto's subscriber; ProgramMissingError."""
    return find("mosquitto_sub")


def find_dbus_daemon() -> Path:
    """Give the D-Bus daemon; ProgramMissingError."""
    return find("dbus-daemon")


def _install(program: Program) -> str:
    if program.on_path:
        return f"install it (on Debian 13 or newer: apt install {program.package})"
    return f"name one that runs here in {program.variable}"
