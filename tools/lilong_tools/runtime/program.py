"""The programs by name: where to look for them, and how to know a good one."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROBE_TIMEOUT_S = 20
_SAY_VERSION = """
import sys
print("version %d.%d," % sys.implementation[1][:2], 64 if sys.maxsize >> 31 else 32, "bits")
"""


@dataclass(frozen=True)
class Program:
    """A program: its name here, its file and package in Debian, how to tell a good one."""

    name: str
    command: str
    package: str
    oldest: tuple[int, int]
    probe: tuple[str, ...]
    pattern: str
    """Finds major and minor version in what the probe prints; no match: not this program."""
    architecture: str | None = None
    """Debian's name of the only architecture that will do; None for this machine's own."""

    @property
    def variable(self) -> str:
        """The environment variable which names this program's path and comes before all else."""
        return f"LILONG_{self.name.upper().replace('-', '_')}"

    @property
    def on_path(self) -> bool:
        """Whether one found on PATH may be taken (of another architecture there is none)."""
        return self.architecture is None

    @property
    def title(self) -> str:
        """The program and its oldest version, for a sentence."""
        major, minor = self.oldest
        return f"{self.name} >= {major}.{minor}"


def program_named(name: str) -> Program:
    """Give the program of that name; KeyError when there is none."""
    return {program.name: program for program in _programs()}[name]


def program_names() -> list[str]:
    """Give the names of all programs, the one that is always needed first."""
    return [program.name for program in _programs()]


def version_of(program: Program, path: Path) -> tuple[int, int] | None:
    """Run the probe; None when `path` does not run or is another program."""
    try:
        done = subprocess.run(
            [path, *program.probe],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_TIMEOUT_S,
            env={**os.environ, "MICROPYPATH": ".frozen"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(program.pattern, done.stdout.decode("utf-8", "replace"))
    return (int(found[1]), int(found[2])) if found else None


def is_good(program: Program, path: Path) -> bool:
    """Whether `path` is this program, runs here and is new enough."""
    version = version_of(program, path)
    return version is not None and version >= program.oldest


def _programs() -> tuple[Program, ...]:
    bits = r"version (\d+)\.(\d+), \d\d bits"
    bits32 = r"version (\d+)\.(\d+), 32 bits"
    oldest = (1, 22)
    probe = ("-c", _SAY_VERSION)
    return (
        Program("micropython", "micropython", "micropython", oldest, probe, bits),
        Program("micropython32", "micropython", "micropython", oldest, probe, bits32, "i386"),
        _mosquitto("mosquitto", "mosquitto", "-h"),
        _mosquitto("mosquitto_sub", "mosquitto-clients", "--help"),
        _dbus_daemon(),
    )


def _mosquitto(name: str, package: str, option: str) -> Program:
    return Program(name, name, package, (2, 0), (option,), rf"{name} version (\d+)\.(\d+)")


def _dbus_daemon() -> Program:
    name, pattern = "dbus-daemon", r"D-Bus Message Bus Daemon (\d+)\.(\d+)"
    return Program(name, name, name, (1, 12), ("--version",), pattern)
