"""Programs fetched from the Debian archive that this machine itself is fed from."""

import logging
import platform
from collections.abc import Mapping
from pathlib import Path

from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime.apt import AptError, download, machine_architecture
from lilong_tools.runtime.bundle import bundle
from lilong_tools.runtime.program import Program
from lilong_tools.runtime.sources import SUITE, debian_sources


class Archive:
    """What os-release(5) says of this system, and its apt folder (/etc/apt)."""

    def __init__(self, release: Mapping[str, str], apt_folder: Path) -> None:
        self._release = release
        self._apt_folder = apt_folder

    def fetch(self, program: Program, scratch: Path, folder: Path) -> None:
        """Put the program and its libraries into `folder`, from the first source that has it.

        ProgramMissingError when this machine has no such archive, AptError when it fails.
        """
        if self._release.get("ID") != "debian":
            problem = f"{program.title} is not on PATH and this system is not Debian"
            raise ProgramMissingError(problem, f"install it, or name it in {program.variable}")
        architecture = _architecture(program)
        codename = self._release.get("VERSION_CODENAME", SUITE)
        failure = AptError("no source in /etc/apt is the Debian archive")
        for number, source in enumerate(debian_sources(self._apt_folder, codename)):
            _say(f"Fetching {program.name} ({architecture}) from Debian {SUITE}, about 20 MB.")
            place = scratch / str(number)
            try:
                packages = download(source, [program.package], architecture, place)
                bundle(packages, program.command, program.name, place, folder)
            except AptError as error:
                failure = error
            else:
                _say(f"{program.name} is in {folder}.")
                return
        raise failure


def system_archive() -> Archive:
    """Give the archive of this system; one that has nothing when it is not Debian."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return Archive(release, Path("/etc/apt"))


def _architecture(program: Program) -> str:
    """Give Debian's name of the architecture to fetch; ProgramMissingError when none runs here."""
    own = machine_architecture()
    if program.architecture in {None, own}:
        return own
    if (own, program.architecture) == ("amd64", "i386"):
        return "i386"
    problem = f"{program.name} needs an {program.architecture} or amd64 machine, this one is {own}"
    raise ProgramMissingError(problem, f"name one that runs here in {program.variable}")


def _say(text: str) -> None:
    logging.getLogger(__name__).info(text)
