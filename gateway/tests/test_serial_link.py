import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lilong_gateway.errors import LinkBusyError, LinkLostError, LinkMissingError, LinkRefusedError
from lilong_gateway.links.serial import SerialLink, open_serial

HOLD = """
import serial, sys
port = serial.Serial(sys.argv[1], exclusive=True)
print("open", flush=True)
input()
"""


class Line:
    """A link and the event it tells changes by."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def open(self, port: str) -> SerialLink:
        return await open_serial(port, 115_200, self.changed.set)

    async def read(self, link: SerialLink, size: int) -> bytes:
        data = b""
        async with asyncio.timeout(10):
            while len(data) < size:
                self.changed.clear()
                data += link.read()
                if len(data) < size:
                    await self.changed.wait()
        return data


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    yield master, name
    with suppress(OSError):
        os.close(master)


async def test_bytes_pass_both_ways_unchanged(terminal: tuple[int, str]) -> None:
    master, name = terminal
    line = Line()
    link = await line.open(name)
    every = bytes(range(256))
    os.write(master, every)
    assert await line.read(link, 256) == every
    link.write(every)
    assert os.read(master, 1000) == every
    await link.close()


async def test_a_line_that_takes_nothing_fills_a_bounded_buffer_and_goes_on_later(
    terminal: tuple[int, str],
) -> None:
    master, name = terminal
    line = Line()
    link = await line.open(name)
    sent = 0
    while link.room >= 1024:
        link.write(b"x" * 1024)
        sent += 1024
    with pytest.raises(LinkLostError, match="does not take"):
        link.write(b"x" * 10_000)
    received = 0
    async with asyncio.timeout(10):
        while received < sent:
            with suppress(BlockingIOError):
                received += len(os.read(master, 65_536))
            await asyncio.sleep(0)
    assert received == sent
    assert link.room > 1024
    await link.close()


async def test_a_flood_is_left_in_the_line_until_it_is_read(terminal: tuple[int, str]) -> None:
    master, name = terminal
    line = Line()
    link = await line.open(name)
    sent = 0
    for _ in range(2000):
        with suppress(BlockingIOError):
            sent += os.write(master, b"y" * 1000)
        await asyncio.sleep(0)
    first = link.read()
    assert len(first) < 70_000
    assert sent > len(first)
    assert len(await line.read(link, sent - len(first))) == sent - len(first)
    await link.close()


async def test_a_port_that_vanishes_is_lost_after_its_last_bytes_were_read(
    terminal: tuple[int, str],
) -> None:
    master, name = terminal
    line = Line()
    link = await line.open(name)
    os.write(master, b"last")
    assert await line.read(link, 4) == b"last"
    os.close(master)
    with pytest.raises(LinkLostError):
        await line.read(link, 1)
    assert link.room == 0
    await link.close()


async def test_a_port_that_returns_is_opened_again(terminal: tuple[int, str]) -> None:
    master, name = terminal
    line = Line()
    for text in (b"one", b"two"):
        link = await line.open(name)
        os.write(master, text)
        assert await line.read(link, 3) == text
        await link.close()


async def test_a_busy_port_names_its_holder(terminal: tuple[int, str]) -> None:
    _, name = terminal
    command = [sys.executable, "-c", HOLD, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LinkBusyError) as caught:
            await Line().open(name)
        holder.communicate(b"\n")
    assert f"(pid {holder.pid})" in caught.value.holder


async def test_an_absent_port_is_missing_and_a_plain_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinkMissingError, match="not there"):
        await Line().open(str(tmp_path / "tty"))
    (tmp_path / "file").touch()
    with pytest.raises(LinkRefusedError, match="not usable"):
        await Line().open(str(tmp_path / "file"))


async def test_a_socket_takes_the_place_of_a_port() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line()
    link = await line.open(f"socket://127.0.0.1:{port}")
    assert link._socket is not None
    link.write(b"ping")
    assert await line.read(link, 4) == b"ping"
    with pytest.raises(LinkLostError, match="hung up"):
        await line.read(link, 1)
    await link.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(LinkMissingError, match="cannot be reached"):
        await line.open(f"socket://127.0.0.1:{port}")
