import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime.archive import Archive
from lilong_tools.runtime.cache import Cache
from lilong_tools.runtime.finder import Finder
from lilong_tools.runtime.program import program_named, version_of
from lilong_tools.runtime.sources import Source, debian_sources

PATIENCE_S = 120
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def sources_in(folder: Path, **files: str) -> list[Source]:
    parts = folder / "sources.list.d"
    parts.mkdir()
    for name, text in files.items():
        (parts / name.replace("_", ".")).write_text(text)
    return debian_sources(folder, "bookworm")


def run(environment: Mapping[str, str], *programs: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LILONG_")}
    return subprocess.Popen(
        [sys.executable, "-m", "lilong_tools.runtime", *programs],
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def make_program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def finder(folder: Path, *, system: str = "debian", **environment: str) -> Finder:
    (folder / "apt").mkdir()
    archive = Archive({"ID": system, "VERSION_CODENAME": "bookworm"}, folder / "apt")
    return Finder(environment, Cache(folder / "cache"), archive)


def test_the_archive_is_found_among_deb822_stanzas_and_keeps_place_and_signer(
    tmp_path: Path,
) -> None:
    found = sources_in(
        tmp_path,
        debian_sources=f"""# See sources.list(5)
Types: deb deb-src
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
# the line between
Components: main contrib
Signed-By: {KEYRING}
Trusted: yes

Types: deb
URIs: https://mirror.example/security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}
""",
    )
    assert [source.for_suite("trixie").splitlines() for source in found] == [
        [
            "uris: https://mirror.example/debian",
            f"signed-by: {KEYRING}",
            "types: deb",
            "suites: trixie",
            "components: main",
            "targets: Packages",
        ]
    ]


def test_the_archive_is_found_in_one_line_form(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb https://old.example/debian bookworm main\n"
        "deb cdrom:[Debian 12]/ bookworm main\n"
        "deb-src https://mirror.example/debian bookworm main\n"
        "deb [ arch=amd64 signed-by=/a.gpg,/b.gpg trusted=yes ] https://mirror.example/debian"
        "  bookworm main contrib # ours\n"
    )
    (found,) = debian_sources(tmp_path, "bookworm")
    stanza = found.for_suite("trixie")
    assert "uris: https://mirror.example/debian\n" in stanza
    assert "signed-by: /a.gpg /b.gpg\n" in stanza
    assert "trusted" not in stanza


def test_what_is_switched_off_or_of_another_release_or_component_is_not_taken(
    tmp_path: Path,
) -> None:
    stanza = "Types: deb\nURIs: https://x.example\nSuites: {}\nComponents: {}\nEnabled: {}\n\n"
    found = sources_in(
        tmp_path,
        a_sources=stanza.format("bookworm", "main", "no"),
        b_sources=stanza.format("nodistro", "main", "yes"),
        c_sources=stanza.format("bookworm", "stable", "yes"),
        d_sources_disabled=stanza.format("bookworm", "main", "yes"),
    )
    assert found == []


def test_others_who_publish_for_this_release_come_after_debian(tmp_path: Path) -> None:
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {}\n"
    found = sources_in(
        tmp_path,
        a_sources=stanza.format("https://vendor.example", "bookworm", "/etc/apt/vendor.gpg"),
        b_list="deb https://unsaid.example bookworm main\n",
        c_sources=stanza.format("https://debian.example", "trixie", KEYRING),
    )
    places = [source.fields["uris"] for source in found]
    assert places == ["https://debian.example", "https://unsaid.example", "https://vendor.example"]


def test_a_key_inside_the_stanza_stays_whole(tmp_path: Path) -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END-----\n"
    text = f"Types: deb\nURIs: https://m.example\nSuites: bookworm\nComponents: main\n{key}"
    (found,) = sources_in(tmp_path, debian_sources=text)
    folded = "signed-by: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END-----\n"
    assert folded in found.for_suite("trixie")


def test_a_named_program_is_taken_as_it_is(tmp_path: Path, micropython: Path) -> None:
    named = finder(tmp_path, LILONG_MICROPYTHON=str(micropython), PATH="")
    assert named.find(program_named("micropython")) == micropython
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("named", ["/bin/true", "/nowhere/micropython", sys.executable])
def test_a_named_program_that_is_another_is_an_error_and_no_reason_to_fetch(
    tmp_path: Path, named: str
) -> None:
    program = program_named("micropython")
    with pytest.raises(ProgramMissingError, match=r"LILONG_MICROPYTHON names .*correct the var"):
        finder(tmp_path, LILONG_MICROPYTHON=named, PATH="").find(program)
    assert not (tmp_path / "cache").exists()


def test_a_new_enough_program_on_the_path_is_taken(tmp_path: Path) -> None:
    path = make_program(tmp_path / "bin" / "micropython", "echo version 1.22, 64 bits")
    assert finder(tmp_path, PATH=str(path.parent)).find(program_named("micropython")) == path


def test_an_old_program_on_the_path_is_passed_over(tmp_path: Path) -> None:
    path = make_program(tmp_path / "bin" / "micropython", "echo version 1.21, 64 bits")
    with pytest.raises(ProgramMissingError, match="this system is not Debian: install it"):
        finder(tmp_path, system="arch", PATH=str(path.parent)).find(program_named("micropython"))


def test_without_a_source_of_debian_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    if not Path("/usr/bin/dpkg").exists():
        pytest.skip("dpkg is not on this system")
    with pytest.raises(ProgramMissingError, match=r"apt install micropython\), or connect"):
        finder(tmp_path, PATH="").find(program_named("micropython"))


def test_without_network_and_cache_it_ends_in_one_sentence(tmp_path: Path) -> None:
    apt = make_program(tmp_path / "bin" / "apt-get", "echo 'E: Nobody answers' >&2", "exit 100")
    make_program(tmp_path / "bin" / "dpkg", "echo amd64")
    environment = {"PATH": str(apt.parent), "LILONG_CACHE": str(tmp_path / "cache")}
    with run(environment, "micropython32") as tried:
        output, complaint = tried.communicate(timeout=PATIENCE_S)
    assert tried.returncode == 1
    assert output == ""
    sentences = [line for line in complaint.splitlines() if not line.startswith("Fetching ")]
    assert len(sentences) == 1
    assert "LILONG_MICROPYTHON32" in sentences[0]


def test_a_folder_that_cannot_hold_the_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {"LILONG_CACHE": str(tmp_path / "file" / "cache")}
    with run(environment, "micropython32") as tried:
        _, complaint = tried.communicate(timeout=PATIENCE_S)
    assert tried.returncode == 1
    assert f"into the cache {tmp_path}/file/cache" in complaint
    assert "LILONG_CACHE" in complaint


def test_a_cache_survives_killed_and_concurrent_runs_and_is_repaired(tmp_path: Path) -> None:
    cache = tmp_path / "a cache"
    environment = {"LILONG_CACHE": str(cache)}
    with run(environment, "micropython32") as killed:
        deadline = time.monotonic() + PATIENCE_S
        while not list(cache.glob("scratch-*/*/state")):
            if killed.poll() is not None or time.monotonic() > deadline:
                pytest.skip("nothing to fetch from here")
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    launcher = filled(environment)
    assert not list(cache.glob("scratch-*"))
    for library in launcher.parent.glob("libc.so.*"):
        os.truncate(library, 1000)
    assert filled(environment) == launcher


def filled(environment: Mapping[str, str]) -> Path:
    """Let two runs fill one cache; what they both found."""
    with run(environment, "micropython32") as first, run(environment, "micropython32") as second:
        answers = [each.communicate(timeout=PATIENCE_S) for each in (first, second)]
    if "could not be fetched" in answers[0][1] + answers[1][1]:
        pytest.skip(answers[0][1])
    assert answers[0][0] == answers[1][0]
    launcher = Path(answers[0][0].rstrip("\n"))
    assert version_of(program_named("micropython32"), launcher) is not None
    return launcher


def test_mosquitto_and_its_subscriber_work_together(
    tmp_path: Path, mosquitto: Path, mosquitto_sub: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with subprocess.Popen([mosquitto, "-c", configuration], stderr=subprocess.PIPE) as broker:
        try:
            command = [mosquitto_sub, "-h", "127.0.0.1", "-p", str(port), "-C", "1", "-W", "20"]
            version = patiently([*command, "-t", "$SYS/broker/version"])
        finally:
            broker.terminate()
    assert version.startswith("mosquitto version ")


def patiently(command: list[Path | str]) -> str:
    """Run until the broker listens; what was printed."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.stdout
        time.sleep(0.05)
