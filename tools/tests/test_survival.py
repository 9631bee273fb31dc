"""Everything is killed, pulled out and talked over at random; nothing may be lost or doubled.

LILONG_SURVIVAL_S sets how long (10 s), LILONG_SURVIVAL_SEED what happens (1).
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lilong_gateway.key_file import load_keys
from lilong_tools.city.address import Address
from lilong_tools.city.arrivals import Arrivals
from lilong_tools.demo.child import Child
from lilong_tools.demo.gateway import PREFIX, write_gateway
from lilong_tools.demo.plan import scenario_nodes
from lilong_tools.demo.progress import NodeProgress, Progress
from lilong_tools.demo.report import Report, account_for
from lilong_tools.vnode import VirtualNode, make_folder
from lilong_tools.vnode.cable import Cable
from lilong_tools.vnode.folder import installed_firmware

SPAN_S = float(os.environ.get("LILONG_SURVIVAL_S", "10"))
SEED = int(os.environ.get("LILONG_SURVIVAL_SEED", "1"))
PATIENCE_S = 90
NODES = 4
KILLED = ("gateway", "broker", "city")
KILLED_AMID_ROTATION = 4 * ("node", "gateway")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Street:
    """A gateway, Mosquitto without a memory, a city, and nodes behind cables of which one lies."""

    def __init__(self, folder: Path, micropython: Path, mosquitto: Path) -> None:
        port = free_port()
        tables = installed_firmware().program.parent / "lilong_firmware" / "scenarios"
        self.folder = folder
        self.plans = scenario_nodes(tables, NODES)
        config = write_gateway(folder, self.plans, Address("127.0.0.1", port), "cbor", "street")
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
        )
        conf = str(folder / "mosquitto.conf")
        self.children = {
            "broker": Child("broker", [str(mosquitto), "-c", conf], folder / "broker.log"),
            "gateway": self._program("gateway", "lilong_gateway", "run", "--config", str(config)),
            "city": self._program(
                "city",
                *("lilong_tools", "city", "--broker", f"127.0.0.1:{port}"),
                *("--db", str(folder / "city.db"), "--prefix", PREFIX),
            ),
        }
        self.nodes = [self._node(plan, micropython, plan.key) for plan in self.plans[:-1]]
        self.liar = self._node(self.plans[-1], micropython, bytes(16))
        self.progress = Progress(
            [NodeProgress(plan, folder / "nodes" / plan.label) for plan in self.plans[:-1]],
            Arrivals(folder / "city.db"),
            folder / "gateway.json",
        )
        self.tasks: list[asyncio.Task[None]] = []

    def _program(self, name: str, *words: str) -> Child:
        return Child(name, [sys.executable, "-m", *words], self.folder / f"{name}.log")

    def _node(self, plan, micropython: Path, key: bytes) -> VirtualNode:
        folder = self.folder / "nodes" / plan.label
        make_folder(folder, plan.settings, key)
        return VirtualNode(folder, micropython, port=Cable(folder / "tty"))

    async def open(self) -> None:
        for child in self.children.values():
            await child.start()
            self.tasks.append(asyncio.create_task(child.keep()))
        for node in (*self.nodes, self.liar):
            await node.start()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for node in (*self.nodes, self.liar):
            await node.close()
        for child in self.children.values():
            await child.end(5)

    def kill(self, name: str) -> None:
        process = self.children[name]._process
        if process is not None and process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)

    async def harm(self, chance: random.Random) -> None:
        """Do one thing that happens on a street."""
        node = chance.choice(self.nodes)
        match chance.randrange(5):
            case 0:
                self.kill(chance.choice(KILLED))
            case 1:
                await self.kill_for_a_moment(node, chance)
            case 2:
                await node.vanish()
                await asyncio.sleep(chance.random())
                await node.return_()
            case 3:
                node.port.inject(chance.randbytes(chance.randrange(1, 600)))
            case 4:
                node.port.inject(b"ets Jul 29 2019 12:21:46\r\nrst:0x1 (POWERON_RESET)\r\n")

    async def kill_for_a_moment(self, node: VirtualNode, chance: random.Random) -> None:
        await node.kill()
        await asyncio.sleep(chance.random() / 4)
        await node.start()

    async def keys(self, *words: str) -> str:
        """Run `lilong-gateway keys` and give what it says."""
        command = [sys.executable, "-m", "lilong_gateway", "keys", *words, "--config"]
        process = await asyncio.create_subprocess_exec(
            *command, str(self.folder / "gateway.toml"), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()

    async def rotate(self, chance: random.Random) -> None:
        """Give every node but the liar a new key, amid kills, and wait until all have it."""
        euis = {plan.eui for plan in self.plans[:-1]}
        await asyncio.sleep(2)  # a child that never lives so long is not started again
        await self.keys("rotate", *euis)
        for kind in KILLED_AMID_ROTATION:
            await asyncio.sleep(chance.random())
            if kind == "node":
                await self.kill_for_a_moment(chance.choice(self.nodes), chance)
            else:
                self.kill(kind)
        async with asyncio.timeout(PATIENCE_S):
            moved: set[str] = set()
            while not euis <= moved:
                await asyncio.sleep(0.5)
                states = json.loads(await self.keys("list", "--json"))
                moved = {one["eui"] for one in states if one["state"].startswith("rotated")}
        await self.keys("tidy")

    async def drain(self) -> None:
        """Ask all nodes to hand over what they have; wait until it has arrived."""
        for node in self.nodes:
            (node.folder / "stop").touch()
        async with asyncio.timeout(PATIENCE_S):
            while not self.progress.complete:
                self.progress.update()
                await asyncio.sleep(0.2)

    def report(self) -> Report:
        nodes = [
            SimpleNamespace(plan=plan, folder=self.folder / "nodes" / plan.label)
            for plan in self.plans[:-1]
        ]
        return account_for(nodes, Arrivals(self.folder / "city.db"), 0)


@pytest.fixture
async def street(tmp_path: Path, micropython: Path, mosquitto: Path) -> AsyncIterator[Street]:
    street = Street(tmp_path, micropython, mosquitto)
    await street.open()
    yield street
    await street.close()


@pytest.mark.timeout(SPAN_S + 2 * PATIENCE_S)
async def test_whatever_is_killed_pulled_out_or_talked_over_nothing_is_lost(
    street: Street,
) -> None:
    chance = random.Random(SEED)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(2)
    end = loop.time() + SPAN_S
    harms = 0
    while loop.time() < end:
        await street.harm(chance)
        harms += 1
        await asyncio.sleep(chance.random())
    await street.drain()
    report = street.report()
    print(json.dumps({"harms": harms, **report.as_dict()}))
    assert harms >= SPAN_S / 4
    assert report.account.faultless
    assert report.account.delivered > 0
    assert report.account.sampled == (
        report.account.delivered + report.account.unsealed + report.account.lost
    )


@pytest.mark.timeout(4 * PATIENCE_S)
async def test_keys_are_rotated_twice_amid_kills_and_nothing_is_lost(street: Street) -> None:
    chance = random.Random(SEED)
    seen = [load_keys(street.folder / "nodes.toml")]
    for _ in range(2):
        await street.rotate(chance)
        seen.append(load_keys(street.folder / "nodes.toml"))
    for node, plan in zip(street.nodes, street.plans, strict=False):
        rings = [ring(bytes.fromhex(plan.eui)) for ring in seen]
        assert len(set(rings)) == 3
        assert (node.folder / "key.bin").read_bytes() == b"".join(rings[-1])
    await street.drain()
    report = street.report()
    assert report.account.faultless
    assert report.account.delivered > 0
    assert report.account.sampled == (
        report.account.delivered + report.account.unsealed + report.account.lost
    )
    log = (street.folder / "gateway.log").read_text()
    assert log.count("node has its new key") > 0
    assert not any(key.hex() in log for ring in seen for eui in ring.euis for key in ring(eui))


async def test_a_liar_is_refused_and_named_and_disturbs_nobody(street: Street) -> None:
    status = street.folder / "gateway.json"
    eui = street.plans[-1].eui
    async with asyncio.timeout(PATIENCE_S):
        while eui not in (json.loads(status.read_text())["refused"] if status.exists() else ()):
            await asyncio.sleep(0.1)
    await street.drain()
    report = street.report()
    assert report.account.faultless
    assert report.account.delivered > 0
    log = (street.folder / "gateway.log").read_text()
    assert "wrong key" in log
    assert street.plans[-1].key.hex() not in log
    assert not list(Arrivals(street.folder / "city.db").packs(eui))
