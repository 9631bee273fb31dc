import asyncio
import time
from pathlib import Path

import pytest

from lilong_tools.vnode import VirtualNode, make_folder
from lilong_tools.vnode.folder import Firmware

EUI = "0123456789abcdef"
SHIM = Path(__file__).parents[1] / "lilong_firmware" / "virtual"
SLEEPY = """
import machine, os, time
with open("notes", "a") as file:
    file.write(str(machine.reset_cause()) + chr(10))
if "stop" not in os.listdir():
    machine.deepsleep({timeout_ms})
"""


@pytest.fixture
async def make_node(tmp_path, micropython):
    made = []

    def make(timeout_ms):
        folder = tmp_path / "node"
        make_folder(folder, {"eui": EUI}, bytes(16))
        program = tmp_path / "main.py"
        program.write_text(SLEEPY.format(timeout_ms=timeout_ms))
        firmware = Firmware(program, (str(SHIM), ".frozen"))
        made.append(VirtualNode(folder, micropython, firmware=firmware))
        return made[0]

    yield make
    for node in made:
        await node.close()


def notes(node):
    path = node.folder / "notes"
    return path.read_text().split() if path.exists() else []


async def noted(node, count):
    async with asyncio.timeout(20):
        while len(notes(node)) < count or node.pid is not None:
            await asyncio.sleep(0.01)


async def test_a_node_in_deep_sleep_starts_again_after_the_time_it_asked_for(make_node):
    node = make_node(300)
    begun_s = time.monotonic()
    await node.start()
    await noted(node, 4)
    assert notes(node)[:4] == ["1", "4", "4", "4"]
    assert time.monotonic() - begun_s >= 0.9
    assert node.running


async def test_a_node_in_deep_sleep_can_be_asked_to_end(make_node):
    node = make_node(3_600_000)
    await node.start()
    await noted(node, 1)
    assert node.running
    await node.stop(timeout_s=20)
    assert notes(node) == ["1", "4"]
    assert not node.running


async def test_a_node_in_deep_sleep_loses_its_power_at_once(make_node):
    node = make_node(3_600_000)
    await node.start()
    await noted(node, 1)
    async with asyncio.timeout(20):
        await node.kill()
    assert not node.running
    await node.start()
    await noted(node, 2)
    assert notes(node) == ["1", "1"]
