"""Debian packages without root: the machine's own apt with a state of its own."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.leash import leashed
from lilong_tools.runtime.sources import SUITE, Source

_APT_TIMEOUT_S = 900

# Everything the machine's configuration says about reaching the archive (proxy, transport,
# login) stays in force; what is replaced is where apt keeps its state, and what it would do
# to the machine. The verification of signatures is said again, in case it was switched off.
_CONFIGURATION = """
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Update::Error-Mode "any";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Debug::NoLocking "true";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/cache/archives";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{folder}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::extended_states "{folder}/state/extended_states";
Dir::State::lists "{folder}/state/lists";
Dir::State::status "/dev/null";
quiet "1";
"""

# apt gives up root for the download, to a user who cannot see a private folder.
_AS_ROOT = 'APT::Sandbox::User "root";\n'


class AptError(Exception):
    """apt did not do it; the text is its own first reason."""


def machine_architecture() -> str:
    """Give Debian's name of this machine's architecture; AptError without dpkg."""
    return _output(["dpkg", "--print-architecture"]).strip()


def download(
    source: Source, packages: Sequence[str], architecture: str, folder: Path
) -> list[Path]:
    """Fetch the packages and all they depend on into `folder`; the files, verified by apt.

    AptError when the archive cannot be reached, is not signed by the source's key, or lacks one.
    """
    for part in ("cache/archives/partial", "state/lists/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "debian.sources").write_text(source.for_suite(SUITE), "utf-8")
    text = _CONFIGURATION.format(architecture=architecture, folder=folder)
    (folder / "apt.conf").write_text(text + (_AS_ROOT if os.geteuid() == 0 else ""), "utf-8")
    apt = ["apt-get", f"--config-file={folder / 'apt.conf'}"]
    _output([*apt, "update"])
    _output([*apt, "install", "--download-only", *packages])
    return sorted((folder / "cache/archives").glob("*.deb"))


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package's files into `folder`; AptError when it is damaged."""
    _output(["dpkg-deb", "--extract", str(package), str(folder)])


def _output(command: list[str]) -> str:
    """Run apt or dpkg; what it printed, or AptError."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            leashed(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_APT_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"{command[0]} did not end within {_APT_TIMEOUT_S} s"
        raise AptError(reason) from None
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise AptError(_reason(text, command[0]))
    return text


def _reason(text: str, program: str) -> str:
    """Find the first complaint in what apt or dpkg printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marks = ("E: ", "dpkg-deb: error: ")
    for line in lines:
        for mark in marks:
            if line.startswith(mark):
                return line.removeprefix(mark)
    return lines[-1] if lines else f"{program} failed without a word"
