import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lilong_gateway.__main__ import main
from lilong_gateway.key_file import load_keys
from lilong_gateway.keys import key_id
from lilong_gateway.store import writer
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Arrival, Description, Slot

FIRST, SECOND, THIRD, STRANGER = (f"0a1b2c3d4e5f607{number}" for number in range(4))
KEY, OLD, NEW = ("0011223344556677889900112233445" + digit for digit in "123")
FILE = f"""\
# lane 5
[keys]
# house 1
"{FIRST}" = "{KEY}"  # attic
"{SECOND.upper()}" = ["{KEY}"]

"{THIRD}" = [
  "{OLD}",  # from the factory
  "{NEW}",
]
"""
CONFIG = """\
[gateway]
id = "g"
site = "s"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = ["/dev/ttyX"]
[uplink]
host = "127.0.0.1"
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    file = tmp_path / "nodes.toml"
    file.touch(0o600)
    file.write_text(FILE)
    return file


@pytest.fixture
def command(file: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `lilong-gateway keys ...`; gives exit status, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(["keys", *words, "--config", str(file.with_name("gateway.toml"))])
        except SystemExit as error:
            status = int(str(error.code))
        return status, *capsys.readouterr()

    return run


def keys_of(file: Path, eui: str) -> list[str]:
    return [key.hex() for key in load_keys(file)(bytes.fromhex(eui))]


def describe(file: Path, eui: str, key: str) -> None:
    """Let the store know that a node was heard under a key."""
    data = file.with_name("data")
    data.mkdir(exist_ok=True)
    database = Database(data / "store.db")
    node = bytes.fromhex(eui)
    proven = key_id(bytes.fromhex(key))
    description = Description(node, 1, None, 0, b"hash", 1, b"d", proven)
    writer.commit(
        database, [description, Arrival(Slot(node, 1, 2, 0), b"", 1, None, 0, 820_000_000_000)]
    )
    database.close()


def test_rotation_adds_a_key_and_leaves_all_else_as_it_was(file: Path, command: Command) -> None:
    status, output, errors = command("rotate", FIRST.upper(), SECOND)
    assert (status, errors) == (0, "")
    assert output.startswith("2 nodes will move to a new key")
    (old, new), (other_old, other_new) = keys_of(file, FIRST), keys_of(file, SECOND)
    assert (old, other_old) == (KEY, KEY)
    assert new != other_new
    text = file.read_text()
    before = text.replace(f'["{KEY}", "{new}"]', f'"{KEY}"').replace(f', "{other_new}"', "")
    assert before == FILE
    assert KEY not in output
    assert new not in output


def test_rotation_refuses_a_node_on_its_way_and_a_stranger_and_serves_the_others(
    file: Path, command: Command
) -> None:
    status, output, errors = command("rotate", THIRD, FIRST, STRANGER)
    assert status == 2
    assert errors.splitlines() == [
        f"nodes.toml: {THIRD}: has two keys already; run keys tidy once it has moved",
        f"nodes.toml: {STRANGER}: no node of this name has a key",
    ]
    assert output.startswith("1 node will move")
    assert [len(keys_of(file, eui)) for eui in (FIRST, SECOND, THIRD)] == [2, 1, 2]


def test_rotation_of_all_leaves_out_those_on_their_way(file: Path, command: Command) -> None:
    status, output, errors = command("rotate", "--all")
    assert (status, errors) == (0, "")
    assert output.splitlines()[0] == "1 node with two keys, or revoked, left as before"
    assert keys_of(file, THIRD) == [OLD, NEW]
    assert load_keys(file).rotating == 3


def test_every_rotation_draws_another_key(file: Path, command: Command) -> None:
    drawn = set()
    for _ in range(5):
        command("rotate", FIRST)
        drawn.add(keys_of(file, FIRST)[1])
        file.write_text(FILE)
    assert len(drawn) == 5


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_mode_and_owner_stay(file: Path, command: Command, mode: int) -> None:
    file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(file, 12_345, 12_346)
    before = file.stat()
    command("rotate", FIRST)
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert after[0] == before[0]
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


def test_a_link_to_the_file_stays_a_link(file: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = file.rename(tmp_path / "elsewhere" / "keys")
    file.symlink_to(real)
    command("rotate", FIRST)
    assert file.is_symlink()
    assert len(keys_of(real, FIRST)) == 2


def test_tidying_removes_old_keys_of_nodes_that_have_moved_and_no_others(
    file: Path, command: Command
) -> None:
    command("rotate", FIRST, SECOND)
    describe(file, THIRD, NEW)
    describe(file, FIRST, KEY)
    status, output, _ = command("tidy")
    assert status == 0
    assert output.splitlines() == [
        "the old keys of 1 node are removed",
        "2 nodes still to move, as far as this gateway knows",
    ]
    assert keys_of(file, THIRD) == [NEW]
    assert [len(keys_of(file, eui)) for eui in (FIRST, SECOND)] == [2, 2]
    assert f'"{THIRD}" = "{NEW}"' in file.read_text()


def test_a_node_is_revoked_with_a_reason_and_restored(file: Path, command: Command) -> None:
    assert command("revoke", FIRST, "--reason", "seen on a market")[0] == 0
    assert command("revoke", SECOND)[0] == 0
    keys = load_keys(file)
    assert keys.revoked[bytes.fromhex(FIRST)] == "seen on a market"
    assert re.fullmatch(r"since \d{4}-\d\d-\d\d", keys.revoked[bytes.fromhex(SECOND)])
    assert file.read_text().startswith(FILE)
    status, _, errors = command("revoke", FIRST, STRANGER)
    assert status == 2
    assert f"{FIRST}: is revoked already" in errors
    assert f"{STRANGER}: no node of this name has a key" in errors
    assert command("rotate", FIRST)[2] == f"nodes.toml: {FIRST}: is revoked; restore it first\n"
    assert command("restore", FIRST)[0] == 0
    assert keys_of(file, FIRST) == [KEY]
    assert command("restore", FIRST)[0] == 2


def test_a_list_says_how_far_each_node_is_and_shows_no_key(file: Path, command: Command) -> None:
    command("revoke", SECOND, "--reason", "stolen")
    describe(file, FIRST, KEY)
    describe(file, THIRD, OLD)
    status, output, _ = command("list")
    assert status == 0
    assert [line.split("  ")[1] for line in output.splitlines()] == [
        "one key",
        "revoked",
        "rotating: still on the old key",
    ]
    first, second, _ = output.splitlines()
    assert first.endswith("last batch 2025-12-25T17:46:40Z")
    assert second.endswith("never heard  (stolen)")
    describe(file, THIRD, NEW)
    states = {found["eui"]: found for found in json.loads(command("list", "--json")[1])}
    assert states[THIRD]["state"] == "rotated: the old key can go"
    assert states[THIRD]["heard_unix_ms"] == 1_766_684_800_000
    assert not states[SECOND]["heard"]
    assert not any(key in output for key in (KEY, OLD, NEW))


@pytest.mark.parametrize("words", [["rotate"], ["rotate", "12"], ["revoke"], ["rotate", KEY]])
def test_a_wrong_command_line_ends_with_status_2(
    file: Path, command: Command, words: list[str]
) -> None:
    status, _, errors = command(*words)
    assert status == 2
    assert KEY not in errors
    assert file.read_text() == FILE


@pytest.mark.parametrize("action", ["list", "tidy", "rotate --all"])
def test_a_bad_file_is_one_line_and_stays(file: Path, command: Command, action: str) -> None:
    file.write_text(FILE + f'"{STRANGER}" = "{KEY[1:]}"\n')
    bad = file.read_bytes()
    status, output, errors = command(*action.split())
    assert (status, output) == (2, "")
    assert errors.startswith(f"nodes.toml:11: keys.{STRANGER}: not a key")
    assert errors.count("\n") == 1
    assert file.read_bytes() == bad


def test_a_file_that_is_missing_is_one_line(file: Path, command: Command) -> None:
    file.unlink()
    status, _, errors = command("rotate", "--all")
    assert status == 2
    assert errors.startswith(f"{file}: No such file")


def test_two_commands_do_not_change_the_file_at_once(file: Path, command: Command) -> None:
    handle = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    status, _, errors = command("rotate", FIRST)
    os.close(handle)
    assert status == 2
    assert "another program is changing it" in errors
    assert file.read_text() == FILE


def test_a_damaged_store_is_said_in_one_line(file: Path, command: Command) -> None:
    file.with_name("data").mkdir()
    file.with_name("data").joinpath("store.db").write_bytes(b"x" * 4096)
    status, _, errors = command("list")
    assert status == 1
    assert "file is not a database" in errors
    assert errors.count("\n") == 1


def test_kill_9_of_a_rotation_leaves_the_old_file_or_the_new_one(
    file: Path, tmp_path: Path
) -> None:
    euis = [f"{number:016x}" for number in range(300)]
    text = "[keys]\n" + "".join(f'"{eui}" = "{KEY}"  # {eui}\n' for eui in euis)
    chance = random.Random(5)
    outcomes = []
    span_s = 0.0
    for run in range(14):
        file.write_text(text)
        before = traces(file)
        began_s = time.monotonic()
        process = rotation(file)
        if run == 0:
            process.wait()
            span_s = time.monotonic() - began_s
        elif run % 2:
            time.sleep(span_s * (0.3 + 0.7 * chance.random()))
        else:
            while process.poll() is None and traces(file) == before:
                pass
            time.sleep(chance.random() / 500)
        process.send_signal(signal.SIGKILL)
        process.wait()
        keys = load_keys(file)
        assert len(keys) == 300
        assert keys.rotating in {0, 300}
        assert file.stat().st_mode & 0o777 == 0o600
        outcomes.append(keys.rotating)
    assert outcomes[0] == 300
    assert 0 in outcomes
    file.write_text(text)
    assert rotation(file).wait() == 0
    assert not list(tmp_path.glob(".nodes*"))


def traces(file: Path) -> tuple[object, ...]:
    """What a command that writes leaves at once."""
    status = file.stat()
    names = sorted(path.name for path in file.parent.iterdir())
    return names, status.st_mtime_ns, status.st_size


def rotation(file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lilong_gateway", "keys", "rotate", "--all", "--config"]
    config = str(file.with_name("gateway.toml"))
    return subprocess.Popen([*command, config], stdout=subprocess.DEVNULL)
