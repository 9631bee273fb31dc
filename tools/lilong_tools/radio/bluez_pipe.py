"""A characteristic's values over a socket instead of D-Bus (AcquireNotify, AcquireWrite)."""

import asyncio
import socket
from collections.abc import Callable

_LARGEST = 512


class Pipe:
    """One end of a SOCK_SEQPACKET pair; `theirs` is the descriptor of the other, for a client."""

    def __init__(self, heard: Callable[[bytes], None], closed: Callable[[], None]) -> None:
        """Open it; `heard` gets what the client writes, `closed` is called when it closed."""
        self._own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._own.settimeout(0)
        self._heard, self._closed = heard, closed
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._own, self._readable)
        self.theirs = theirs.detach()

    def send(self, value: bytes) -> bool:
        """Send a value; False when the client has no room for it, and it is lost."""
        try:
            self._own.send(value)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close this end; the client sees that it is over. Once is enough."""
        if self._own.fileno() >= 0:
            self._loop.remove_reader(self._own)
            self._own.close()

    def _readable(self) -> None:
        try:
            value = self._own.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            value = b""
        if value:
            self._heard(value)
            return
        self.close()
        self._closed()
