"""Serial ports, and TCP in their place (socket://host:port); the only importer of pyserial."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import serial

from lilong_gateway.blocking import in_thread
from lilong_gateway.errors import (
    LinkBusyError,
    LinkError,
    LinkLostError,
    LinkMissingError,
    LinkRefusedError,
)
from lilong_gateway.links.holders import holders

OPEN_TIMEOUT_S = 10.0
"""An unreachable socket:// host keeps pyserial for 5 s; a name server may take longer."""

_CLOSE_TIMEOUT_S = 5.0
_READ_BYTES = 4096
_KEPT_BYTES = 8192
"""Against a peer that talks faster than we listen: beyond it nothing more is read."""
_WRITE_BYTES = 8192
_SILENT_S = 30
"""A TCP peer that acknowledges nothing for so long is gone."""

_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK, errno.ETXTBSY}
_MISSING = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTDIR, errno.EIO}


class SerialLink:
    """A Link over a file descriptor of pyserial's; made by open_serial."""

    def __init__(self, port: str, line: serial.SerialBase, on_change: Callable[[], None]) -> None:
        self.port = port
        self._line = line
        self._fd: int = line.fileno()
        self._socket: socket.socket | None = getattr(line, "_socket", None)
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._sending = bytearray()
        self._lost: str | None = None
        self._loop.add_reader(self._fd, self._readable)
        self._listening = True

    @property
    def room(self) -> int:
        """Bytes that write still takes."""
        return 0 if self._lost is not None else _WRITE_BYTES - len(self._sending)

    def read(self) -> bytes:
        """Return what has come; LinkLostError once all of it was read and the line is gone."""
        data = bytes(self._received)
        self._received.clear()
        if not data and self._lost is not None:
            raise LinkLostError(self.port, self._lost)
        if not self._listening and self._lost is None:
            self._loop.add_reader(self._fd, self._readable)
            self._listening = True
        return data

    def write(self, data: bytes) -> None:
        """Queue data and send what the line takes at once; LinkLostError."""
        if self._lost is not None:
            raise LinkLostError(self.port, self._lost)
        if len(data) > self.room:
            raise LinkLostError(self.port, "does not take what is sent")
        idle = not self._sending
        self._sending += data
        if idle:
            self._send()

    async def close(self) -> None:
        """Let the port go; pyserial's own waiting happens in a thread."""
        self._leave("closed")
        if self._socket is not None:
            self._socket.close()  # pyserial forgets to when the peer has gone first
        with suppress(TimeoutError, OSError):
            await in_thread(self._line.close, _CLOSE_TIMEOUT_S)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._leave(error.strerror or "read error")
        else:
            if data:
                self._take(data)
            else:
                self._leave("hung up")
        self._on_change()

    def _take(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= _KEPT_BYTES:
            self._loop.remove_reader(self._fd)
            self._listening = False

    def _send(self) -> None:
        try:
            sent = os.write(self._fd, self._sending)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._leave(error.strerror or "write error")
            self._on_change()
            return
        del self._sending[:sent]
        if self._sending:
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._fd)
        self._send()
        self._on_change()

    def _leave(self, reason: str) -> None:
        """Stop watching the descriptor; the port itself stays ours until close."""
        if self._lost is None:
            self._lost = reason
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)


async def open_serial(port: str, baud: int, on_change: Callable[[], None]) -> SerialLink:
    """Open a port exclusively; LinkMissing, LinkBusy or LinkRefusedError says why not."""
    try:
        line = await in_thread(lambda: _open(port, baud), OPEN_TIMEOUT_S, _close)
    except TimeoutError:
        raise LinkMissingError(port, f"no answer within {OPEN_TIMEOUT_S:g} s") from None
    return SerialLink(port, line, on_change)


def probe_serial(port: str, baud: int) -> None:
    """Open a port and let it go; waits up to some seconds. LinkError says why not."""
    _close(_open(port, baud))


def _open(port: str, baud: int) -> serial.SerialBase:
    remote = "://" in port
    try:
        line = serial.serial_for_url(port, baudrate=baud, timeout=0, do_not_open=True)
        line.exclusive = None if remote else True
        line.open()
    except (serial.SerialException, OSError, ValueError) as error:
        raise _ours(port, error) from error
    if remote:
        _notice_silence(line)
    return line


def _close(line: serial.SerialBase) -> None:
    with suppress(OSError):
        line.close()


def _notice_silence(line: serial.SerialBase) -> None:
    """Let the system find out that a TCP peer has gone without a word."""
    with suppress(OSError), socket.socket(fileno=os.dup(line.fileno())) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENT_S)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_S * 1000)


def _ours(port: str, error: Exception) -> LinkError:
    if "://" in port:
        return LinkMissingError(port, "cannot be reached; check the address and the far end")
    number = getattr(error, "errno", None)
    if number in _BUSY:
        return _busy(port)
    if number in _MISSING or not Path(port).exists():
        return LinkMissingError(port, "not there; plug it in")
    if number in {errno.EACCES, errno.EPERM}:
        problem = "no permission; add this user to the port's group (often: dialout)"
        return LinkRefusedError(port, problem)
    return LinkRefusedError(port, f"not usable as a serial port: {error}")


def _busy(port: str) -> LinkBusyError:
    found = ", ".join(holders(port))
    if not found:
        return LinkBusyError(port, "held by another program; stop it")
    return LinkBusyError(port, f"held by {found}; stop it", found)
