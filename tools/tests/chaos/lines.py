"""A node's end of its line: a pseudo-terminal, or a TCP port that a gateway calls."""

import asyncio
import os
import pty
import socket
import tty
from contextlib import suppress

_ROOM_BYTES = 2048


class Line:
    """Carries bytes while there is somebody; hear gets what comes, ready is called for more."""

    def __init__(self, hear, ready):
        self._hear = hear
        self._ready = ready
        self._fd = None
        self._waiting = b""
        self._loop = asyncio.get_running_loop()

    @property
    def room(self):
        return self._fd is not None and len(self._waiting) < _ROOM_BYTES

    def write(self, data):
        idle = not self._waiting
        self._waiting += data
        if idle:
            self._send()

    def forget(self):
        """Lose what has not left yet, as a node that dies does."""
        self._waiting = b""

    def _attach(self, fd):
        self._fd = fd
        self._waiting = b""
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)
        self._ready()

    def _detach(self):
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = None

    def _readable(self):
        try:
            data = os.read(self._fd, 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._hear(data)
        else:
            self._lost()

    def _lost(self):
        self._detach()

    def _send(self):
        try:
            sent = os.write(self._fd, self._waiting)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lost()
            return
        self._waiting = self._waiting[sent:]
        if self._waiting:
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self):
        self._loop.remove_writer(self._fd)
        self._send()
        self._ready()


class PtyLine(Line):
    """A serial port that appears at path."""

    def __init__(self, path, hear, ready):
        super().__init__(hear, ready)
        self.port = str(path)
        self._path = path
        self._slave = -1

    def plug(self):
        if self._fd is None:
            master, self._slave = pty.openpty()
            tty.setraw(self._slave)
            self._path.symlink_to(os.ttyname(self._slave))
            self._attach(master)

    def unplug(self):
        if self._fd is not None:
            master = self._fd
            self._detach()
            self._path.unlink()
            os.close(master)
            os.close(self._slave)


class TcpLine(Line):
    """A serial server with one place: who calls last has it."""

    def __init__(self, hear, ready):
        super().__init__(hear, ready)
        self._server = None
        self._peer = None
        self._place = ("127.0.0.1", 0)
        self.plug()
        self.port = f"socket://127.0.0.1:{self._place[1]}"

    def plug(self):
        if self._server is None:
            self._server = socket.create_server(self._place)
            self._place = self._server.getsockname()
            self._server.setblocking(False)
            self._loop.add_reader(self._server, self._accept)

    def unplug(self):
        if self._server is not None:
            self._loop.remove_reader(self._server)
            self._server.close()
            self._server = None
        self._lost()

    def _accept(self):
        with suppress(OSError):
            peer, _ = self._server.accept()
            self._lost()
            self._peer = peer
            self._attach(peer.fileno())

    def _lost(self):
        self._detach()
        if self._peer is not None:
            self._peer.close()
            self._peer = None
