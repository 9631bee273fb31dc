"""A TCP line between a gateway and a broker that a test can cut, freeze and slow down."""

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PUBACK = 4
_CHUNK = 4096


def free_ports() -> tuple[int, int]:
    """Two TCP ports of this machine that nobody uses: for a broker, and for a line to it."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


class Line:
    """Forwards from a port of this machine to another.

    cut is asked at each PUBACK that comes from the broker, by its number within the connection;
    True: neither it nor anything else passes, and both ends are hung up on. frozen: nothing passes
    and nothing ends. per_s: bytes that pass towards the broker in a second, 0: all.
    """

    def __init__(self, port: int) -> None:
        self.cut: Callable[[int], bool] = lambda _number: False
        self.cuts = 0
        self.connections = 0
        self.frozen = False
        self.per_s = 0
        self.passed_bytes = 0
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_CHUNK)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, near: asyncio.StreamReader, near_end: asyncio.StreamWriter) -> None:
        self.connections += 1
        ends = [near_end]
        try:
            far, far_end = await asyncio.open_connection("127.0.0.1", self._port)
            ends.append(far_end)
            ways = [self._up(near, far_end), self._down(far, near_end)]
            tasks = [asyncio.create_task(way) for way in ways]
            self._tasks |= set(tasks)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._tasks -= set(tasks)
        except OSError:
            pass
        finally:
            for end in ends:
                end.transport.abort()

    async def _up(self, near: asyncio.StreamReader, far_end: asyncio.StreamWriter) -> None:
        try:
            while data := await near.read(_CHUNK):
                await self._thaw()
                if self.per_s:
                    await asyncio.sleep(len(data) / self.per_s)
                self.passed_bytes += len(data)
                far_end.write(data)
                await far_end.drain()
        except OSError:
            return

    async def _down(self, far: asyncio.StreamReader, near_end: asyncio.StreamWriter) -> None:
        number = 0
        try:
            while True:
                packet = await _packet(far)
                await self._thaw()
                if packet[0] >> 4 == _PUBACK:
                    number += 1
                    if self.cut(number):
                        self.cuts += 1
                        return
                near_end.write(packet)
                await near_end.drain()
        except (OSError, asyncio.IncompleteReadError):
            return

    async def _thaw(self) -> None:
        while self.frozen:
            await asyncio.sleep(0.01)


async def _packet(reader: asyncio.StreamReader) -> bytes:
    data = await reader.readexactly(1)
    size = shift = 0
    while True:
        byte = await reader.readexactly(1)
        data += byte
        size |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return data + await reader.readexactly(size)
