import argparse
import csv
import io
import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lilong_gateway.errors import StoreError
from lilong_gateway.store import reader, writer
from lilong_gateway.store.compact import copy_of
from lilong_gateway.store.database import Database
from lilong_gateway.store.lock import FolderLock
from lilong_gateway.store.records import Arrival, Attempt, Description, Notice, Slot
from lilong_gateway.store.traces import find_traces
from lilong_gateway.store_commands import add_store_commands
from lilong_protocol.block_encoder import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor

A = bytes.fromhex("0a1b2c3d4e5f6071")
B = bytes.fromhex("0a1b2c3d4e5f6072")
NOW_MS = 820_000_000_000
UNIX_S = 946_684_800
BODY = encode_descriptor(
    1, [Channel(0, "temp", "Cel", -1, 0, 0, "t"), Channel(1, "heart", "beat/min", 0, 0, 3, "p")]
)
CONFIG = """
[gateway]
id = "gw-1"
site = "demo"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = ["/dev/ttyUSB*"]
[uplink]
host = "127.0.0.1"
"""

Run = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def call(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        commands = add_store_commands(parser)
        for command in commands:
            command.add_argument("--config", type=Path)
        given = parser.parse_args([*arguments, "--config", str(folder / "gateway.toml")])
        return int(given.act(given))

    return call


def batch(eui: bytes, seq: int, channel: int) -> Arrival:
    first = 820_000_000 + 100 * seq + 7 * (eui == B)
    item = encode_series(channel, [first, first + 1, first + 5], [200 + seq, -5, 1 << 40])
    return Arrival(Slot(eui, 7, 2, seq), item, 3, None, 0, NOW_MS, (channel,))


@pytest.fixture
def file(folder: Path) -> Path:
    file = folder / "data" / "store.db"
    database = Database(file)
    for eui in (A, B):
        described = Description(eui, 1, NOW_MS, 1, b"hash" + eui, 1, BODY, b"key of " + eui)
        writer.commit(database, [described])
        writer.commit(database, [batch(eui, seq, seq % 2) for seq in range(40)])
        writer.commit(database, [Notice(eui, b"key", 5, 1, 50, True, NOW_MS, -60, "hci0")])
        writer.commit(database, [Attempt(eui, "update", eui, 1, "failed", "why", 1, NOW_MS)])
    database.close()
    return file


def test_a_sound_store_passes_the_check_also_beside_a_gateway(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = FolderLock(file.parent)
    database = Database(file)
    assert run("check") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert any("batches" in line and "80: each is what was written" in line for line in lines)
    writer.commit(database, [batch(A, 40, 0)])
    database.close()
    lock.close()
    assert run("check", "--json") == 0
    findings = json.loads(capsys.readouterr().out)
    assert {one["what"] for one in findings} >= {"pages", "batches", "nodes", "size", "autonomy"}


@pytest.mark.parametrize(
    ("spoil_it", "what"),
    [
        ("UPDATE batch SET item = x'00' WHERE pos = 5", "batches"),
        ("UPDATE stream SET next = next + 1", "streams"),
        ("UPDATE descriptor SET body = x'00'", "descriptors"),
        ("DELETE FROM node WHERE id = 2", "nodes"),
        ("UPDATE cursor SET done = 999", "cursor"),
    ],
)
def test_what_is_wrong_is_found_each_with_advice(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str], spoil_it: str, what: str
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(spoil_it)
    assert run("check", "--json") == 1
    failed = [one for one in json.loads(capsys.readouterr().out) if one["verdict"] == "failed"]
    assert what in {one["what"] for one in failed}
    assert all("gateway" in one["advice"] for one in failed)


def test_a_page_that_rotted_is_found(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(file.read_bytes())
    data[-2048:] = b"\xff" * 2048
    file.write_bytes(data)
    assert run("check") == 1
    assert "restart the gateway" in capsys.readouterr().out


def test_an_export_has_every_digit_of_what_may_be_shown(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["channel"] for row in rows} == {"temp"}
    assert len(rows) == 2 * 20 * 3
    assert rows[2] == {
        "time": str(820_000_005 + UNIX_S), "node": A.hex(), "stream": "2",
        "batch": "00000007.2.0", "channel": "temp", "unit": "Cel", "value": "109951162777.6",
        "quality": "synced", "one_in": "1",
    }  # fmt: skip
    assert run("export", "--format", "jsonl") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [str(line["value"]) for line in lines[:2]] == ["20.0", "-0.5"]
    assert len(lines) == len(rows)


def test_an_export_narrows_by_node_channel_time_and_class(
    run: Run, file: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder / "out.csv"
    arguments = ["--node", B.hex(), "--channel", "he*", "--classes", "P0,P3"]
    assert run("export", *arguments, "--output", str(target)) == 0
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    assert {(row["node"], row["channel"]) for row in rows} == {(B.hex(), "heart")}
    assert len(rows) == 20 * 3
    with pytest.raises(StoreError, match=r"out.csv: File exists; name a new file"):
        run("export", "--output", str(target))
    assert run("export", "--from", "2025-12-25T17:46:41Z", "--to", "2025-12-25T17:46:45Z") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["time"] for row in rows} == {str(820_000_001 + UNIX_S)}


def test_a_senml_export_is_one_pack(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "--format", "senml", "--node", A.hex()) == 0
    pack = json.loads(capsys.readouterr().out)
    assert len(pack) == 20 * 3
    assert sum("bn" in record for record in pack) == 20
    assert run("export", "--format", "senml", "--node", "ff" * 8) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_raw_export_gives_batches_as_they_came_and_only_knowingly(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("export", "--raw")
    assert "--classes P0,P1,P2,P3" in capsys.readouterr().err
    assert run("export", "--raw", "--classes", "P0,P1,P2,P3") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 80
    assert bytes.fromhex(lines[3]["item"]) == batch(A, 3, 1).item


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "--from", "yesterday"], "yesterday is no time; write it as"),
        (["export", "--classes", "P4"], "P4 is no class; name some of P0,P1,P2,P3"),
        (["export", "--format", "xml"], "invalid choice"),
        (["wipe", "--node", "12"], "12 is no EUI-64"),
        (["wipe", "--yes"], "one of the arguments --node --all is required"),
    ],
)
def test_bad_input_is_one_clear_line(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit):
        run(*arguments)
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_terminal_sees_how_far_an_export_is(file: Path, folder: Path) -> None:
    leader, follower = pty.openpty()
    code = (
        "import argparse, pathlib, sys; from lilong_gateway.store_commands import *\n"
        "parser = argparse.ArgumentParser(); add_store_commands(parser)\n"
        "given = parser.parse_args(['export'])\n"
        "given.config = pathlib.Path(sys.argv[1]); given.act(given)"
    )
    command = [sys.executable, "-c", code, str(folder / "gateway.toml")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, check=True)
    shown = os.read(leader, 4096)
    os.close(leader)
    os.close(follower)
    assert done.stdout.startswith(b"time,node,")
    assert b"exporting [####" in shown


def contents(file: Path) -> list[tuple[object, ...]]:
    database = Database(file)
    try:
        rows = reader.rows_after(database, 0, 1000).rows
        return [(row.slot, row.item, row.descriptor) for row in rows]
    finally:
        database.close()


def test_compact_gives_room_back_and_keeps_everything(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database(file)
    for start in range(0, 4000, 400):
        numbers = range(start, start + 400)
        items = [Arrival(Slot(A, 9, 2, seq), b"i" * 200, 1, None, 0, 1) for seq in numbers]
        writer.commit(database, items)
    database.connection.execute("DELETE FROM batch WHERE epoch = 9")
    store_id = database.store_id
    database.close()
    before, size = contents(file), file.stat().st_size
    assert run("compact") == 0
    told = capsys.readouterr().out.split()
    assert int(told[-6]) > 4 * int(told[-3])
    assert file.stat().st_size < size // 4
    assert contents(file) == before
    database = Database(file)
    assert (database.store_id, database.number("page_size")) == (store_id, 2048)
    assert writer.commit(database, [batch(A, 3, 1), batch(A, 77, 1)]).duplicates == 1
    database.close()
    assert run("check") == 0


@pytest.mark.parametrize("command", [["compact"], ["wipe", "--all", "--yes"]])
def test_a_running_gateway_is_left_in_peace(run: Run, file: Path, command: list[str]) -> None:
    lock = FolderLock(file.parent)
    with pytest.raises(StoreError, match=r"a gateway runs; stop it, then store .* again"):
        run(*command)
    lock.close()
    assert len(contents(file)) == 80


def test_a_copy_that_was_never_finished_goes_and_harms_nothing(run: Run, file: Path) -> None:
    copy_of(file).write_bytes(b"half")
    assert run("compact") == 0
    assert not copy_of(file).exists()
    assert len(contents(file)) == 80


def test_wiping_a_node_leaves_no_byte_of_it_and_the_others_whole(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aside = file.with_name("store.damaged-1.db")
    aside.write_bytes(b"before" + A + b"after")
    before = [entry for entry in contents(file) if entry[0][0] == B]  # type: ignore[index]
    items = [batch(A, seq, seq % 2).item for seq in range(40)]
    shared = {batch(B, seq, seq % 2).item for seq in range(40)}
    assert find_traces([file], [A])
    with pytest.raises(StoreError, match="this deletes all about 1 nodes for good; say --yes"):
        run("wipe", "--node", A.hex())
    assert len(contents(file)) == 80
    assert run("wipe", "--node", A.hex(), "--yes", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["found"], report["sought"] > 0) == (0, True)
    assert report["rows"]["batches"] == 40
    assert report["rows"]["notices"] == report["rows"]["attempts"] == 1
    assert report["files"] == [str(aside)]
    assert not aside.exists()
    assert find_traces(file.parent.glob("store*"), [A, b"key of " + A]) == {}
    assert find_traces(file.parent.glob("store*"), set(items) - shared) == {}
    assert contents(file) == before


def test_wiping_everything_leaves_nothing(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.with_name("store.damaged-1.db").write_bytes(b"x")
    assert run("wipe", "--all", "--yes") == 0
    told = capsys.readouterr().out
    assert "overwritten and deleted" in told
    assert "nothing of it found" in told
    assert list(file.parent.glob("store*")) == []


def test_a_node_that_is_not_held_is_said_to_be_so(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("wipe", "--node", "ff" * 8, "--yes") == 2
    assert "ffffffffffffffff: nothing was held of it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["check"], ["export"], ["compact"], ["wipe", "--all", "--yes"]]
)
def test_without_a_store_it_says_so(run: Run, folder: Path, command: list[str]) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        run(*command)
