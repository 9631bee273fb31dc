"""A TCP proxy between the gateway and its broker, which does what networks do."""

import asyncio
import socket
import struct
from contextlib import suppress

PASS, DELAY, SWALLOW, REFUSE = "pass", "delay", "swallow", "refuse"
_ABRUPT = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on port and carries bytes to the broker's port, as `manner` says.

    A connection that has been swallowed once stays so: nothing comes of it, not even its end.
    """

    def __init__(self, port, target):
        self.port = port
        self.manner = PASS
        self.delay_s = 0.0
        self.cut_after = None
        """Bytes towards the broker after which the next connection to carry them is reset."""
        self._target = target
        self._server = None
        self._pairs = set()
        self._tasks = set()

    async def open(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._greet, "127.0.0.1", self.port)

    async def close(self):
        await self.refuse()
        self.cut()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refuse(self):
        """Listen no more; connections live on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self, *, abruptly=False):
        """End every connection."""
        for pair in [*self._pairs]:
            self._end(pair, abruptly)

    def swallow(self):
        """Let no byte through any more, and tell nobody."""
        for pair in self._pairs:
            pair.swallowed = True
        self.manner = SWALLOW

    async def _greet(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        pair = _Pair(writer)
        self._pairs.add(pair)
        pair.swallowed = self.manner == SWALLOW
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):  # cancelled by close()
                await self._carry(pair, reader, writer)
        finally:
            self._end(pair, abruptly=False)
            self._tasks.discard(task)

    async def _carry(self, pair, reader, writer):
        far_reader, pair.far = await asyncio.open_connection("127.0.0.1", self._target)
        inward = asyncio.create_task(self._pump(pair, far_reader, writer, outward=False))
        try:
            await self._pump(pair, reader, pair.far, outward=True)
        finally:
            inward.cancel()
            with suppress(OSError, EOFError, asyncio.CancelledError):
                await inward

    async def _pump(self, pair, reader, writer, *, outward):
        while data := await reader.read(2048):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if pair.swallowed:
                continue
            if outward and self._is_cut(data, writer):
                self._end(pair, abruptly=True)
                return
            writer.write(data)
            await writer.drain()
        if pair.swallowed:
            await asyncio.Event().wait()
        self._end(pair, abruptly=False)

    def _is_cut(self, data, writer):
        if self.cut_after is None:
            return False
        self.cut_after -= len(data)
        if self.cut_after > 0:
            return False
        writer.write(data[: self.cut_after])
        self.cut_after = None
        return True

    def _end(self, pair, abruptly):
        self._pairs.discard(pair)
        for writer in (pair.near, pair.far):
            if writer is None:
                continue
            peer = writer.get_extra_info("socket")
            if abruptly and peer is not None and peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
                writer.transport.abort()
            else:
                writer.close()


class _Pair:
    def __init__(self, near):
        self.near = near
        self.far = None
        self.swallowed = False
