"""Python packages that a bench measures against: fetched by pip, by hash, into the user's cache.

They are no part of this project's environment: whoever runs one adds the folder to the path of a
process of its own.
"""

import hashlib
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lilong_tools.errors import ProgramMissingError
from lilong_tools.leash import leashed
from lilong_tools.runtime.cache import Cache, user_cache

_TIMEOUT_S = 300
_MARK = "ERROR: "


@dataclass(frozen=True)
class Peer:
    """A package by its name; requirements is a file of pip's, with the hash of every wheel."""

    name: str
    requirements: Path


def thingsboard_gateway() -> Peer:
    """Give ThingsBoard IoT Gateway, whose storage needs no other package."""
    return Peer("thingsboard-gateway", Path(__file__).with_name("thingsboard_gateway.txt"))


class Wheels:
    """Packages in a cache; options are those that pip is given besides."""

    def __init__(self, cache: Cache, options: tuple[str, ...] = ()) -> None:
        self._cache = cache
        self._options = options

    def find(self, peer: Peer) -> Path:
        """Give the folder that holds the package, fetching it when it must be.

        ProgramMissingError when it cannot be fetched or the cache not be written.
        """
        digest = hashlib.sha256(peer.requirements.read_bytes()).hexdigest()
        folder = self._cache.folder / "wheels" / f"{peer.name}-{digest[:12]}"
        if folder.is_dir():
            return folder
        try:
            self._fill(peer, folder)
        except OSError as error:
            raise ProgramMissingError(
                f"{peer.name} could not be put into the cache {self._cache.folder} ({error})",
                "give it room and make it writable, or name another folder in LILONG_CACHE",
            ) from error
        return folder

    def _fill(self, peer: Peer, folder: Path) -> None:
        """Fetch the package, unless another run has done so meanwhile; it appears whole."""
        with self._cache.locked() as scratch:
            if folder.is_dir():
                return
            logging.getLogger(__name__).info("Fetching %s, about 1 MB.", peer.name)
            made = scratch / "wheels"
            self._install(peer, made)
            folder.parent.mkdir(parents=True, exist_ok=True)
            made.rename(folder)

    def _install(self, peer: Peer, folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        words = ["install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        words += ["--no-compile", "--target", str(folder), *self._options]
        try:
            done = subprocess.run(
                leashed([*pip, *words, "--requirement", str(peer.requirements)]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _missing(peer, f"pip did not end within {_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise _missing(peer, _reason(done.stdout.decode("utf-8", "replace")))


def find_thingsboard_gateway() -> Path:
    """Give the folder that holds ThingsBoard IoT Gateway; ProgramMissingError."""
    return Wheels(user_cache()).find(thingsboard_gateway())


def _missing(peer: Peer, reason: str) -> ProgramMissingError:
    problem = f"{peer.name} could not be fetched ({reason})"
    return ProgramMissingError(problem, "connect to the network once")


def _reason(text: str) -> str:
    """Find the first complaint in what pip printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(_MARK):
            return line.removeprefix(_MARK)
    return lines[-1] if lines else "pip failed without a word"
