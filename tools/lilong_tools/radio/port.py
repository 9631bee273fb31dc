"""The HCI of a virtual controller, served to one other process as H4 (Core 5.4, Vol 4, Part A).

`tcp`: any loopback port; `unix:PATH`: a socket; `pty`: a serial device, for NimBLE's hosts.
"""

import asyncio
import contextlib
import os
import pty
import tty
from pathlib import Path
from typing import cast

from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from lilong_tools.errors import ToolError
from lilong_tools.radio.controller import RadioController

_LOOPBACK = "127.0.0.1"
_UNREAD_BYTES = 1 << 20
_READ_BYTES = 65536


class _Session(asyncio.Protocol):
    """One host on a socket; a controller loses its power when its host goes."""

    def __init__(self, port: "Port") -> None:
        self._port = port
        self._parser = PacketParser(port.controller)
        self._wire: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.WriteTransport", transport)
        self._port.attach(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except InvalidPacketError:
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._port.detach(self)

    def on_packet(self, packet: bytes) -> None:
        """Send it, unless the host has not read for long: then it is cut off."""
        if self._wire is None or self._wire.is_closing():
            return
        self._wire.write(packet)
        if self._wire.get_write_buffer_size() > _UNREAD_BYTES:
            self.abort()

    def abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()


class Port:
    """One controller and the place where a host finds it; `Air.serve` makes these."""

    def __init__(self, controller: RadioController, where: str) -> None:
        """Say where; nothing is open yet."""
        self.controller = controller
        self.path = ""
        self._where = where
        self._tcp_port = 0
        self._server: asyncio.Server | None = None
        self._serial: _Serial | None = None
        self._host: _Session | None = None

    @property
    def address(self) -> str:
        """What a Bumble host opens: `tcp-client:...`, `unix-client:...`, `serial:...`."""
        if self._where == "tcp":
            return f"tcp-client:{_LOOPBACK}:{self._tcp_port}"
        kind = "serial" if self._where == "pty" else "unix-client"
        return f"{kind}:{self.path}"

    async def open(self) -> None:
        """Serve; after `close` at the same place as before, but for a PTY."""
        loop = asyncio.get_running_loop()
        kind, _, path = self._where.partition(":")
        if kind == "tcp":
            self._server = await loop.create_server(self._session, _LOOPBACK, self._tcp_port)
            self._tcp_port = self._server.sockets[0].getsockname()[1]
        elif kind == "unix" and path:
            self.path = path
            self._server = await loop.create_unix_server(self._session, path)
        elif kind == "pty":
            self._serial = _Serial(self.controller)
            self.path = self._serial.path
        else:
            raise ToolError(f"{self._where} is no place for HCI", "give tcp, unix:PATH or pty")

    async def close(self) -> None:
        """Vanish, as an adapter that is pulled out: its host is cut off, its links go silent."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None
        if self._server is not None:
            self._server.close()
            self._server = None
            if self._where != "tcp":
                _remove(self.path)
        if self._host is not None:
            self._host.abort()
        self.controller.reset()

    def attach(self, session: _Session) -> None:
        """Take a host; there is one at a time, the newest."""
        if self._host is not None:
            self._host.abort()
            self.controller.reset()
        self._host = session
        self.controller.host = session

    def detach(self, session: _Session) -> None:
        """Hear that a host has gone."""
        if self._host is session:
            self._host = None
            self.controller.host = None
            self.controller.reset()

    def _session(self) -> _Session:
        return _Session(self)


class _Serial:
    """A PTY with H4 on it; what the host does not read in time is lost, as on a serial line."""

    def __init__(self, controller: RadioController) -> None:
        self._near, self._far = pty.openpty()
        for end in (self._near, self._far):
            tty.setraw(end)
        os.set_blocking(self._near, False)
        self.path = os.ttyname(self._far)
        self._parser = PacketParser(controller)
        self._controller = controller
        controller.host = self
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._near, self._read)

    def on_packet(self, packet: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._near, packet)

    def close(self) -> None:
        self._loop.remove_reader(self._near)
        self._controller.host = None
        os.close(self._near)
        os.close(self._far)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, InvalidPacketError):
            self._parser.feed_data(os.read(self._near, _READ_BYTES))


def _remove(path: str) -> None:
    """Remove a socket file; a server leaves its own behind."""
    Path(path).unlink(missing_ok=True)
