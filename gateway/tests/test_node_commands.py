import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pushed_node import Maker

from lilong_gateway.__main__ import main
from lilong_gateway.downlink.retry import pending
from lilong_gateway.store import writer
from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Attempt, Report
from lilong_protocol import cbor

FIRST, SECOND, THIRD = (bytes.fromhex(f"0a1b2c3d4e5f607{number}") for number in range(3))
NOW_MS = 820_000_000_000
CONFIG = """\
[gateway]
id = "g"
site = "s"
data = "data"
[nodes]
keys = "nodes.toml"
updates = "updates"
configurations = "configurations"
[serial]
ports = ["/dev/ttyX*"]
[uplink]
host = "127.0.0.1"
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    keys = tmp_path / "nodes.toml"
    keys.touch(0o600)
    keys.write_text(f'[keys]\n"{FIRST.hex()}" = "{bytes(16).hex()}"\n')
    for name in ("data", "updates", "configurations"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def command(place: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `lilong-gateway ...`; gives exit status, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main([*words, "--config", str(place / "gateway.toml")])
        except SystemExit as error:
            status = int(str(error.code))
        return status, *capsys.readouterr()

    return run


def told(sequence: int, result: int = 0, *, recovery: bool = False) -> bytes:
    fields = (4, bytes(range(8)), "lilong", 1, sequence, False, result, sequence, recovery)
    return cbor.encode_sequence(fields)


def fill(place: Path) -> None:
    """Let three nodes be known: one well, one on which an update failed, one that says nothing."""
    database = Database(place / "data" / "store.db")
    failed = Attempt(SECOND, "update", bytes(8), 7, "failed", "it did not start", 1, NOW_MS)
    refused = Attempt(THIRD, "configuration", bytes(8), 2, "refused", "no", 0, None)
    writer.commit(
        database,
        [
            Report(FIRST, "lilong 1.4", told(7, 2), NOW_MS),
            Report(SECOND, "lilong 1.3", told(6, recovery=True), NOW_MS + 1000),
            failed,
            refused,
        ],
    )
    database.close()


def test_the_table_says_what_each_node_runs(place: Path, command: Command) -> None:
    fill(place)
    status, output, errors = command("nodes")
    assert (status, errors) == (0, "")
    header, *rows = [[cell for cell in line.split("  ") if cell] for line in output.splitlines()]
    assert [cell.strip() for cell in header] == [
        "node",
        "firmware",
        "sequence",
        "configuration",
        "last result",
        "last heard",
    ]
    first, second, third = [[cell.strip() for cell in row] for row in rows]
    at = "2025-12-25T17:46:40Z"
    what = "4 (00010203)"
    assert first == [FIRST.hex(), "lilong 1.4", "lilong 7", what, "update 7 confirmed", at]
    assert second[2:5] == [
        "lilong 6 in recovery",
        what,
        "update 7 failed: it did not start",
    ]
    assert third[4:] == ["configuration 2 refused: no", "never, with a clock"]


def test_what_is_printed_for_scripts_says_all(place: Path, command: Command) -> None:
    fill(place)
    first, second, _ = json.loads(command("nodes", "--json")[1])
    assert first["eui"] == FIRST.hex()
    assert first["heard_unix_ms"] == 1_766_684_800_000
    assert first["runs"]["sequence"] == 7
    assert first["runs"]["configuration_hash"] == bytes(range(8)).hex()
    assert second["attempts"][0]["outcome"] == "failed"


def test_a_gateway_that_never_ran_knows_no_node(command: Command) -> None:
    assert command("nodes", "--json")[:2] == (0, "[]\n")
    assert command("nodes")[1].startswith("node  firmware")


def test_a_retry_is_left_for_the_gateway_and_only_where_something_failed(
    place: Path, command: Command
) -> None:
    fill(place)
    status, output, errors = command("nodes", "retry", SECOND.hex(), FIRST.hex())
    assert status == 2
    assert output.startswith("1 node will be offered again")
    assert errors == f"{FIRST.hex()}: nothing was refused or has failed on this node\n"
    assert [eui for _, eui in pending(place / "data")] == [SECOND]
    assert command("nodes", "retry", "--all")[1].startswith("2 nodes")
    assert [eui for _, eui in pending(place / "data")] == [SECOND, THIRD]


@pytest.mark.parametrize(
    "words", [["retry"], ["retry", "12"], ["list", FIRST.hex()], ["--all"], ["fly"]]
)
def test_a_wrong_command_line_ends_with_status_2(command: Command, words: list[str]) -> None:
    assert command("nodes", *words)[0] == 2


def findings(output: str) -> list[tuple[str, str, str]]:
    return [
        (Path(found["where"]).name, found["verdict"], found["advice"])
        for found in json.loads(output)
        if found["what"] in {"updates", "configurations"}
    ]


def test_check_looks_at_all_that_lies_in_the_folders(place: Path, command: Command) -> None:
    fill(place)
    maker, updates, settings = Maker(), place / "updates", place / "configurations"
    maker.bundle(updates / "a.lilong", 7, {"a.mpy": b"a"})
    maker.bundle(updates / "b.lilong", 8, {"a.mpy": b"a"}, device_class="other")
    (updates / "c.lilong").write_bytes(b"PK")
    (settings / f"{FIRST.hex()}.json").write_text('{"version": 4}')
    (settings / f"{SECOND.hex()}.json").write_text('{"version": 4}')
    (settings / f"{THIRD.hex()}.json").write_text('{"secret')
    found = findings(command("check", "--json")[1])
    assert [entry[:2] for entry in found] == [
        ("a.lilong", "ok"),
        ("b.lilong", "warning"),
        ("c.lilong", "failed"),
        (f"{FIRST.hex()}.json", "ok"),
        (f"{SECOND.hex()}.json", "warning"),
        (f"{THIRD.hex()}.json", "failed"),
    ]
    advice = [entry[2] for entry in found]
    assert advice[0].startswith("lilong 1.0, sequence 7, ")
    assert advice[0].endswith("signature not checked")
    assert "no node of this class (lilong)" in advice[1]
    assert advice[2].startswith("is damaged or no bundle")
    assert "no key for this node" in advice[4]
    assert advice[5] == "is not JSON; correct it"


def test_check_verifies_signatures_when_keys_are_named(place: Path, command: Command) -> None:
    maker = Maker()
    (place / "update.pub").write_bytes(maker.public)
    text = CONFIG.replace("[serial]", 'update_keys = "update.pub"\n[serial]')
    (place / "gateway.toml").write_text(text)
    maker.bundle(place / "updates" / "a.lilong", 7, {"a.mpy": b"a"})
    Maker().bundle(place / "updates" / "b.lilong", 8, {"a.mpy": b"a"})
    good, bad, _ = findings(command("check", "--json")[1])
    assert good[1:] == (
        "ok",
        good[2].split(", signature")[0] + ", signature good",
    )
    assert bad[1] == "failed"
    assert "is not from here" in bad[2]


def test_check_says_that_a_folder_is_not_there(place: Path, command: Command) -> None:
    (place / "updates").rmdir()
    (name, verdict, advice), empty = findings(command("check", "--json")[1])
    assert (name, verdict) == ("updates", "failed")
    assert advice.startswith("cannot be read (No such file or directory)")
    assert empty == ("configurations", "ok", "no *.json")
