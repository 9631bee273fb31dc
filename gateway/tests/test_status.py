import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.clock import Clock
from lilong_gateway.config import load_config
from lilong_gateway.health.pulse import Pulse, Pulses
from lilong_gateway.keys import KeyRing
from lilong_gateway.parts import Parts
from lilong_gateway.status import Report

TASKS = Path("/proc/self/task")
EUI = bytes.fromhex("0a1b2c3d4e5f6071")


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    (tmp_path / "gateway.toml").write_text(
        """
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
[status]
file = "status.json"
""",
        encoding="utf-8",
    )
    config = load_config(tmp_path / "gateway.toml")
    clock = Clock()
    keys = KeyRing({EUI: [bytes(16)]}, {bytes(8): "sold"})
    built = Parts(config, keys, clock, Pulses(20.0, clock.steady_ms), dict)
    yield built
    await built.store.close()


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("count", [0, 1, 230])
async def test_the_file_is_json_with_every_node_in_it(
    parts: Parts, tmp_path: Path, count: int
) -> None:
    for number in range(count):
        parts.roster.node(number.to_bytes(8, "big")).port = 'odd "port"\n'
    await parts.report.report()
    told = status(tmp_path)
    assert len(told["nodes"]) == count
    assert told["gateway"] == "g"
    assert told["store"]["waiting"] == 0
    assert told["store"]["id"]
    assert told["uplink"]["city"]["connected"] is None
    if count:
        assert told["nodes"]["0" * 16]["key"] == "revoked"
        assert told["nodes"]["0" * 16]["port"] == 'odd "port"\n'


async def test_others_have_their_turn_while_many_nodes_are_written(parts: Parts) -> None:
    for number in range(1000):
        parts.roster.node(number.to_bytes(8, "big"))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    text = await parts.report._text()
    assert turns >= 1000 / 50
    assert len(json.loads(text)["nodes"]) == 1000
    task.cancel()


async def test_a_disk_that_does_not_answer_is_waited_for_once(
    parts: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "status.json"
    beside = tmp_path / ".status.json.new"
    os.mkfifo(beside)  # opening it for writing waits until somebody reads
    report = Report(parts, file, Pulse(), write_s=0.1)
    before = len(list(TASKS.iterdir()))
    for _ in range(20):
        await report.report()
    assert len(list(TASKS.iterdir())) <= before + 4
    assert caplog.text.count("written=False") == 1
    end = os.open(beside, os.O_RDONLY | os.O_NONBLOCK)
    while b"}}" not in await asyncio.to_thread(read, end):
        await asyncio.sleep(0.01)
    os.close(end)


def read(end: int) -> bytes:
    try:
        return os.read(end, 65_536)
    except BlockingIOError:
        return b""


async def test_every_duty_has_a_pulse(parts: Parts, eventually: Callable[..., Any]) -> None:
    names = {beat.duty for beat in parts.pulses.beats(0)}
    duties = {name for name, _ in parts.uplinks.duties()}
    assert duties <= names
    assert {"ingest", "stations", "keys", "downlink", "housekeeping", "status"} <= names
    task = asyncio.create_task(parts.stations.run())
    await eventually(lambda: "station /dev/ttyX" in {beat.duty for beat in parts.pulses.beats(0)})
    task.cancel()
    await asyncio.wait([task])
