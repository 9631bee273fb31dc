import asyncio
import os
import signal
import stat
import subprocess
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lilong_protocol.serial import FrameReader
from lilong_tools.errors import NodeFailedError, NodeSettingsError
from lilong_tools.vnode import HEAP_KIB, Cable, VirtualNode, make_folder
from lilong_tools.vnode.folder import Firmware

EUI = "0123456789abcdef"
KEY = bytes(range(16))
PATIENCE_S = 20
HELLO = 1 << 5 | 0
"""First byte of a frame: version 1, type HELLO."""

# What every program of a test has: the line as the firmware opens it, and the stop file.
PREAMBLE = """
import os, sys, time
line = open(int(os.getenv("VNODE_UART")), "r+b")
def stopped():
    try:
        os.stat("stop")
        return True
    except OSError:
        return False
def note(text):
    with open("notes", "a") as file:
        file.write(text + chr(10))
"""
ECHO = """
note("boot " + os.getenv("VNODE_RESET_CAUSE") + " " + os.getenv("VNODE_EUI"))
while not stopped():
    data = line.read(64)
    if data:
        line.write(data.upper())
    time.sleep_ms(5)
"""

MakeNode = Callable[..., VirtualNode]


@pytest.fixture
async def make_node(tmp_path: Path, micropython: Path) -> AsyncIterator[MakeNode]:
    made: list[VirtualNode] = []

    def make(program: str, port: Cable | None = None) -> VirtualNode:
        folder = tmp_path / "node"
        make_folder(folder, {"eui": EUI}, KEY)
        (tmp_path / "main.py").write_text(PREAMBLE + program)
        firmware = Firmware(tmp_path / "main.py", (".frozen", str(tmp_path)))
        node = VirtualNode(folder, micropython, firmware=firmware, port=port)
        made.append(node)
        return node

    yield make
    for node in made:
        await node.close()


class Terminal:
    """The port as the gateway has it: opened by path, raw, not waiting."""

    def __init__(self, path: Path) -> None:
        self.end = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        # At once and without a flush, which would lose what the node has said already.
        tty.setraw(self.end, termios.TCSANOW)

    def send(self, data: bytes) -> None:
        os.write(self.end, data)

    async def receive(self, count: int) -> bytes:
        data = b""
        async with asyncio.timeout(PATIENCE_S):
            while len(data) < count:
                try:
                    data += os.read(self.end, count - len(data))
                except BlockingIOError:
                    await asyncio.sleep(0.005)
        return data

    def close(self) -> None:
        os.close(self.end)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def notes(node: VirtualNode) -> list[str]:
    path = node.folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def exchange(node: VirtualNode) -> None:
    terminal = Terminal(node.port.path)
    terminal.send(b"hello\x00\r\n")
    assert await terminal.receive(8) == b"HELLO\x00\r\n"
    terminal.close()


def test_the_folder_holds_settings_and_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    make_folder(tmp_path / "node", {"eui": EUI, "report_ms": 5}, KEY)
    key = tmp_path / "node" / "key.bin"
    assert key.read_bytes() == KEY
    assert stat.S_IMODE(key.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert '"report_ms": 5' in (tmp_path / "node" / "settings.json").read_text()


@pytest.mark.parametrize(("eui", "key"), [("0123", KEY), (EUI.upper(), KEY), (EUI, b"short")])
def test_a_wrong_eui_or_key_is_refused_before_anything_is_written(
    tmp_path: Path, eui: str, key: bytes
) -> None:
    with pytest.raises(NodeSettingsError, match="give 16"):
        make_folder(tmp_path / "node", {"eui": eui}, key)
    assert not (tmp_path / "node").exists()


async def test_bytes_pass_unchanged_between_the_port_and_the_node(make_node: MakeNode) -> None:
    node = make_node(ECHO)
    await node.start()
    await exchange(node)
    assert notes(node) == [f"boot 1 {EUI}"]


async def test_a_stop_is_an_orderly_end_and_the_next_start_is_not_stopped(
    make_node: MakeNode,
) -> None:
    node = make_node(ECHO)
    await node.start()
    await node.stop(PATIENCE_S)
    assert not node.running
    await node.start()
    await exchange(node)


async def test_a_node_that_does_not_stop_is_killed_and_reported(make_node: MakeNode) -> None:
    node = make_node("note('up')\nwhile True: time.sleep_ms(5)")
    await node.start()
    pid = node.pid
    assert pid is not None
    await until(lambda: notes(node) == ["up"])
    with pytest.raises(NodeFailedError, match=r"did not end within 0\.2 s"):
        await node.stop(0.2)
    assert not is_alive(pid)


async def test_a_killed_node_starts_again_on_the_same_port_which_stayed_open(
    make_node: MakeNode,
) -> None:
    node = make_node(ECHO)
    await node.start()
    await until(lambda: len(notes(node)) == 1)
    terminal = Terminal(node.port.path)
    await node.kill()
    assert not node.running
    await node.start()
    await until(lambda: len(notes(node)) == 2)
    terminal.send(b"again")
    assert await terminal.receive(5) == b"AGAIN"
    terminal.close()


async def test_a_reset_starts_the_node_again_and_says_the_cause(make_node: MakeNode) -> None:
    program = "note(os.getenv('VNODE_RESET_CAUSE'))\nif os.getenv('VNODE_RESET_CAUSE') == '1':"
    node = make_node(f"{program}\n    sys.exit(75)\n" + ECHO)
    await node.start()
    await until(lambda: len(notes(node)) == 3)
    assert notes(node) == ["1", "2", f"boot 2 {EUI}"]
    assert node.boots == 2


async def test_a_watchdog_bite_is_a_reset_with_its_own_cause(make_node: MakeNode) -> None:
    node = make_node(ECHO)
    await node.start()
    await until(lambda: len(notes(node)) == 1)
    assert node.pid is not None
    os.kill(node.pid, signal.SIGALRM)
    await until(lambda: len(notes(node)) == 2)
    assert notes(node)[1] == f"boot 3 {EUI}"


async def test_a_node_killed_while_it_resets_stays_down(make_node: MakeNode) -> None:
    node = make_node("note('boot')\nsys.exit(75)")
    await node.start()
    await until(lambda: len(notes(node)) >= 2)
    await node.kill()
    boots = node.boots
    assert not node.running
    await asyncio.sleep(0.2)
    assert node.boots == boots


async def test_a_node_that_fails_says_its_last_words(make_node: MakeNode) -> None:
    node = make_node("raise ValueError('the sensor melted')")
    await node.start()
    with pytest.raises(NodeFailedError, match=r"status 1.*ValueError: the sensor melted"):
        await node.wait()


async def test_the_heap_is_that_of_a_device(make_node: MakeNode) -> None:
    node = make_node(
        "import gc\nnote(str(gc.mem_alloc() + gc.mem_free()))\nnote(str(sys.maxsize))"
    )
    await node.start()
    await node.wait()
    size, largest = map(int, notes(node))
    words = 1 if largest == 2**31 - 1 else 2
    given = HEAP_KIB * 1024 * words
    assert 0.9 * given < size <= given


async def test_a_port_that_vanishes_takes_its_node_along_and_both_return(
    make_node: MakeNode,
) -> None:
    node = make_node(ECHO)
    await node.start()
    await until(lambda: len(notes(node)) == 1)
    terminal = Terminal(node.port.path)
    await node.vanish()
    assert not node.port.path.is_symlink()
    assert not node.running
    with pytest.raises(OSError, match="Input/output error"):
        os.write(terminal.end, b"x")
    terminal.close()
    await node.return_()
    await exchange(node)
    assert notes(node) == [f"boot 1 {EUI}"] * 2


async def test_a_node_behind_a_cable_lives_on_while_the_port_is_away(
    make_node: MakeNode, tmp_path: Path
) -> None:
    node = make_node(ECHO, Cable(tmp_path / "cable"))
    await node.start()
    await exchange(node)
    await node.vanish()
    assert node.running
    assert not node.port.path.is_symlink()
    await node.return_()
    await exchange(node)
    assert notes(node) == [f"boot 1 {EUI}"]


async def test_a_cable_carries_more_than_its_buffers_hold_without_loss(
    make_node: MakeNode, tmp_path: Path
) -> None:
    node = make_node(
        "sent = 0\nwhile sent < 300_000:\n"
        "    n = line.write(bytes([sent // 251 % 251]) * min(251 - sent % 251, 300_000 - sent))\n"
        "    if n: sent += n\n    else: time.sleep_ms(1)\n",
        Cable(tmp_path / "cable"),
    )
    await node.start()
    terminal = Terminal(node.port.path)
    data = await terminal.receive(300_000)
    terminal.close()
    assert data == bytes(position // 251 % 251 for position in range(300_000))


async def test_foreign_bytes_reach_the_gateway_between_those_of_the_node(
    make_node: MakeNode,
) -> None:
    node = make_node(ECHO)
    await node.start()
    terminal = Terminal(node.port.path)
    node.port.inject(b"\xffgarbage")
    assert await terminal.receive(8) == b"\xffgarbage"
    terminal.close()
    await exchange(node)


RIVER = {
    "eui": EUI,
    "scenario": "river",
    "report_ms": 100,
    "batch_readings": 60,
    "batch_ms": 2000,
    "sensor": {"kind": "river"},
    "channels": [
        {
            "number": 0,
            "name": "level",
            "unit": "m",
            "exponent": -3,
            "time_exponent": -3,
            "privacy": 0,
            "quantity": "water level",
        }
    ],
}


@pytest.mark.parametrize("interpreter", ["micropython", "micropython32"])
async def test_the_firmware_starts_in_the_heap_of_a_device_and_greets(
    tmp_path: Path, request: pytest.FixtureRequest, interpreter: str
) -> None:
    make_folder(tmp_path / "node", RIVER, KEY)
    reader = FrameReader()
    frames: list[bytes] = []
    async with VirtualNode(tmp_path / "node", request.getfixturevalue(interpreter)) as node:
        terminal = Terminal(node.port.path)
        while not frames:
            assert node.running, node.log.read_text()
            frames += reader.feed(await terminal.receive(1))
        terminal.close()
    assert frames[0][0] == HELLO


PARENT = """
import asyncio, sys
from pathlib import Path
from lilong_tools.vnode import VirtualNode
from lilong_tools.vnode.folder import Firmware
async def main():
    program = Path(sys.argv[3])
    firmware = Firmware(program, (".frozen",))
    node = VirtualNode(Path(sys.argv[1]), Path(sys.argv[2]), firmware=firmware)
    await node.start()
    while not (node.folder / "notes").exists():
        await asyncio.sleep(0.01)
    print(node.pid, flush=True)
    if sys.argv[4] == "leave":
        sys.exit(3)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["leave", "kill"])
def test_no_node_outlives_its_harness(tmp_path: Path, micropython: Path, end: str) -> None:
    make_folder(tmp_path / "node", {"eui": EUI}, KEY)
    program = tmp_path / "main.py"
    program.write_text(PREAMBLE + ECHO)
    command = [sys.executable, "-c", PARENT, tmp_path / "node", micropython, program, end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end == "kill":
            assert is_alive(pid)
            parent.kill()
        parent.wait(PATIENCE_S)
    asyncio.run(until(lambda: not is_alive(pid)))


LOCATE = """
import sys
from lilong_tools.vnode.folder import installed_firmware
firmware = installed_firmware()
assert "lilong_firmware" not in sys.modules
print(firmware.program, firmware.micropypath, sep=chr(10))
"""


def test_the_firmware_is_found_without_being_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOCATE], capture_output=True, text=True, check=True
    )
    program, search = done.stdout.splitlines()
    shim, frozen, protocol, firmware = search.split(":")
    assert Path(program) == Path(firmware, "main.py")
    assert Path(shim) == Path(firmware, "lilong_firmware", "virtual")
    assert frozen == ".frozen"
    assert Path(protocol, "lilong_protocol").is_dir()
