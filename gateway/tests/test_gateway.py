import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pushed_node import Maker, PushedNode

from lilong_gateway.store.lock import FolderLock

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
KEY = bytes(range(16))

Eventually = Callable[[Callable[[], object]], Any]


class Box:
    """The gateway as its users run it: a process with a configuration file."""

    def __init__(self, folder: Path, broker_port: int, ports: list[str]) -> None:
        self.config = folder / "gateway.toml"
        self._status = folder / "status.json"
        self._log = folder / "log"
        keys = folder / "nodes.toml"
        keys.write_text(f'[keys]\n"{EUI.hex()}" = "{KEY.hex()}"\n', encoding="utf-8")
        keys.chmod(0o600)
        (folder / "data").mkdir(exist_ok=True)
        self.config.write_text(
            f"""
[gateway]
id = "g"
site = "s"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = {json.dumps(ports)}
scan_s = 0.1
[uplink]
host = "127.0.0.1"
port = {broker_port}
[status]
file = "status.json"
""",
            encoding="utf-8",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lilong_gateway", "run", "--config", str(self.config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        return self.process

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def status(self) -> dict[str, Any]:
        if not self._status.exists():
            return {"nodes": {}, "refused": {}, "uplink": {}, "store": {}, "keys": {}}
        return json.loads(self._status.read_text(encoding="utf-8"))

    def node(self) -> dict[str, Any]:
        return self.status()["nodes"].get(EUI.hex(), {})

    def offer(self, folder: Path) -> None:
        """Name the folder of updates."""
        text = self.config.read_text(encoding="utf-8")
        name = f'updates = "{folder}"\n[serial]'
        self.config.write_text(text.replace("[serial]", name), encoding="utf-8")

    def nodes(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lilong_gateway", "nodes", *words, "--config"]
        return subprocess.run([*command, self.config], capture_output=True, text=True, check=False)

    def keys(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lilong_gateway", "keys", *words, "--config"]
        return subprocess.run([*command, self.config], capture_output=True, text=True, check=False)

    def check(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lilong_gateway", "check", "--json", "--config"]
        return subprocess.run([*command, self.config], capture_output=True, text=True, check=False)


@pytest.fixture
def box(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []

    def make(*ports: str) -> Box:
        made.append(Box(tmp_path, free_port, list(ports)))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None:
            each.process.kill()
            each.process.wait()


async def test_readings_pass_from_a_node_to_a_broker_and_it_stops_when_told(
    make_node: Any,
    box: Callable[..., Box],
    free_port: int,
    plain_broker: Any,
    eventually: Eventually,
) -> None:
    plain_broker(free_port)
    node = make_node()
    node.fill(30)
    gateway = box(node.port)
    process = gateway.start()
    task = asyncio.create_task(node.run())
    await eventually(lambda: node.session.idle)
    await eventually(lambda: gateway.status()["uplink"].get("city", {}).get("confirmed") == 30)
    assert gateway.node()["readings"] == 60
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait) == 0
    assert gateway.status()["store"]["waiting"] == 0
    assert "Traceback" not in gateway.log
    task.cancel()


async def test_kill_9_loses_nothing_that_was_acknowledged(
    make_node: Any, box: Callable[..., Box], eventually: Eventually
) -> None:
    node = make_node()
    gateway = box(node.port)
    task = asyncio.create_task(node.run())
    for _ in range(2):
        process = gateway.start()
        node.fill(500)
        before = node.outbox.first(2)
        await eventually(lambda before=before: node.outbox.first(2) > before + 20)
        process.kill()
        process.wait()
    gateway.start()
    await eventually(lambda: node.session.idle)
    await eventually(lambda: gateway.status()["store"].get("last") == 1000)
    assert gateway.status()["store"]["waiting"] == 1000
    task.cancel()


async def test_a_node_with_a_wrong_key_is_refused_counted_and_logged_once(
    make_node: Any, box: Callable[..., Box], eventually: Eventually
) -> None:
    node = make_node(key=bytes(16))
    gateway = box(node.port)
    gateway.start()
    task = asyncio.create_task(node.run())
    await eventually(lambda: gateway.status()["refused"].get(EUI.hex(), {}).get("count", 0) > 1)
    assert gateway.status()["refused"][EUI.hex()]["reason"] == "wrong key"
    assert gateway.log.count("node refused") == 1
    task.cancel()


async def test_a_missing_port_takes_no_other_down_and_is_reported_once(
    make_node: Any, box: Callable[..., Box], tmp_path: Path, eventually: Eventually
) -> None:
    node = make_node()
    node.fill(3)
    gone = tmp_path / "tty"
    gateway = box(str(gone), node.port, "socket://127.0.0.1:1")
    gateway.start()
    task = asyncio.create_task(node.run())
    await eventually(lambda: node.session.idle)
    second = make_node(epoch=8)
    second.fill(3)
    gone.symlink_to(second.port)
    other = asyncio.create_task(second.run())
    await eventually(lambda: second.session.idle)
    assert gateway.log.count(f'name={gone} state="not there') == 1
    task.cancel()
    other.cancel()


async def test_a_key_is_rotated_and_the_old_one_removed_while_the_gateway_runs(
    make_node: Any, box: Callable[..., Box], tmp_path: Path, eventually: Eventually
) -> None:
    node = make_node()
    gateway = box(node.port)
    gateway.start()
    task = asyncio.create_task(node.run())
    node.fill(20)
    await eventually(lambda: gateway.node().get("key") == "current")
    assert gateway.keys("rotate", EUI.hex()).returncode == 0
    await eventually(lambda: node.keys.current != KEY)
    node.fill(20)
    await eventually(lambda: gateway.status()["keys"]["rotating"] == 1 and node.session.idle)
    await eventually(lambda: gateway.node()["key"] == "current")
    listed = gateway.keys("list").stdout
    assert f"{EUI.hex()}  rotated: the old key can go" in listed
    assert gateway.keys("tidy").stdout.startswith("the old keys of 1 node are removed")
    await eventually(lambda: gateway.status()["keys"]["rotating"] == 0)
    assert node.keys.current.hex() in (tmp_path / "nodes.toml").read_text()
    await eventually(lambda: gateway.status()["store"].get("last") == 40)
    assert gateway.log.count("session open") == 2
    assert node.keys.current.hex() not in gateway.log + listed
    task.cancel()


async def test_kill_9_amid_an_update_and_it_goes_on_where_the_node_is(
    make_node: Any, box: Callable[..., Box], tmp_path: Path, eventually: Eventually
) -> None:
    maker, files = Maker(), {"a.mpy": os.urandom(60_000), "b.mpy": b"b"}
    (tmp_path / "updates").mkdir()
    maker.bundle(tmp_path / "updates" / "7.lilong", 7, files)
    pushed = PushedNode(maker.public)
    node = make_node(answer=pushed.answer)
    pushed.restart = node.restart
    gateway = box(node.port)
    gateway.offer(tmp_path / "updates")
    task = asyncio.create_task(node.run())
    held = 0
    for _ in range(2):
        process = gateway.start()
        await eventually(lambda held=held: flash(pushed) > held + 5000)
        process.kill()
        process.wait()
        held = flash(pushed)
        assert pushed.sequence == 0
    gateway.start()
    await eventually(lambda: pushed.slot == files)
    await eventually(lambda: (gateway.node().get("runs") or {}).get("sequence") == 7)
    assert gateway.status()["downlink"]["bytes"] <= flash(pushed) - held + 960
    assert gateway.node()["push"] is None
    await eventually(lambda: "lilong 7" in gateway.nodes().stdout)
    assert "update 7 confirmed" in gateway.nodes().stdout
    task.cancel()


def flash(pushed: PushedNode) -> int:
    return sum(map(len, pushed._inbox.values()))


async def test_a_bad_key_file_is_told_and_changes_nothing_and_sighup_reads_it_again(
    make_node: Any, box: Callable[..., Box], tmp_path: Path, eventually: Eventually
) -> None:
    node = make_node()
    gateway = box(node.port)
    process = gateway.start()
    task = asyncio.create_task(node.run())
    await eventually(lambda: node.session.idle)
    file = tmp_path / "nodes.toml"
    good = file.read_text()
    file.write_text(good + "half a li")
    await eventually(lambda: gateway.status()["keys"]["failures"] == 1)
    assert "nodes.toml:3: not TOML" in gateway.status()["keys"]["trouble"]
    file.write_text(good)
    process.send_signal(signal.SIGHUP)
    await eventually(lambda: gateway.status()["keys"]["loads"] == 1)
    assert gateway.status()["keys"]["trouble"] == ""
    assert gateway.log.count("keys stay as they were") == 1
    node.fill(3)
    await eventually(lambda: node.session.idle)
    assert gateway.node()["sessions"] == 1
    task.cancel()


def findings(done: "subprocess.CompletedProcess[str]") -> dict[str, tuple[str, str]]:
    return {
        found["what"]: (found["verdict"], found["advice"]) for found in json.loads(done.stdout)
    }


def test_check_finds_what_a_run_needs(
    make_node: Any, box: Callable[..., Box], free_port: int
) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        done = box(make_node().port).check()
    assert done.returncode == 0
    assert {verdict for verdict, _ in findings(done).values()} <= {"ok", "warning"}


def test_check_says_what_is_missing_and_what_to_do(
    box: Callable[..., Box], tmp_path: Path
) -> None:
    gateway = box(str(tmp_path / "tty"))
    (tmp_path / "data").rmdir()
    done = gateway.check()
    found = findings(done)
    assert done.returncode == 1
    assert found["port"] == ("failed", "missing: not there; plug it in")
    assert found["data"][0] == "ok"
    assert found["data"][1].startswith("will be made; ")
    assert not (tmp_path / "data").exists()
    assert "cannot be reached (Connection refused)" in found["broker"][1]


def test_a_wrong_configuration_is_one_line_and_status_2(box: Callable[..., Box]) -> None:
    gateway = box("/dev/ttyX")
    text = gateway.config.read_text(encoding="utf-8")
    gateway.config.write_text(text.replace("scan_s", "scans"), encoding="utf-8")
    process = gateway.start()
    assert process.wait() == 2
    assert gateway.log == 'gateway.toml:10: serial.scans: unknown key; did you mean "scan_s"?\n'
    assert gateway.check().returncode == 2


def test_check_leaves_nothing_in_the_data_folder(box: Callable[..., Box], tmp_path: Path) -> None:
    assert findings(box("/dev/ttyX").check())["data"][0] == "ok"
    assert list((tmp_path / "data").iterdir()) == []


def test_check_tells_of_a_gateway_that_runs(box: Callable[..., Box], tmp_path: Path) -> None:
    gateway = box("/dev/ttyX")
    lock = FolderLock(tmp_path / "data")
    assert findings(gateway.check())["data"] == ("warning", "in use by a gateway that runs now")
    lock.close()


def test_a_file_where_the_data_folder_should_be_is_said_plainly(
    box: Callable[..., Box], tmp_path: Path
) -> None:
    gateway = box("/dev/ttyX")
    (tmp_path / "data").rmdir()
    (tmp_path / "data").write_text("", encoding="utf-8")
    advice = "is a file, not a folder; move it away, or name another folder as data"
    assert findings(gateway.check())["data"] == ("failed", advice)
    assert gateway.start().wait() == 1
    assert gateway.log.splitlines()[-1] == f"{tmp_path / 'data'}: {advice}"


@pytest.mark.parametrize("make", [Path.unlink, lambda file: file.chmod(0o644)])
def test_check_names_the_key_file_once(
    box: Callable[..., Box], tmp_path: Path, make: Callable[[Path], None]
) -> None:
    gateway = box("/dev/ttyX")
    make(tmp_path / "nodes.toml")
    command = [sys.executable, "-m", "lilong_gateway", "check", "--config", gateway.config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if " keys " in line]
    assert line.startswith("failed")
    assert line.count(str(tmp_path / "nodes.toml")) == 1
    assert done.returncode == 2
