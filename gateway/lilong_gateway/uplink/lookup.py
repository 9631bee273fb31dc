"""Names of brokers -> addresses, without ever waiting for a name server that hangs."""

import asyncio
import socket
from collections.abc import Callable

from lilong_gateway.blocking import in_thread
from lilong_gateway.errors import UplinkLostError

Find = Callable[[str, int], object]
_LONGEST_S = 3600.0
"""When a thread that hangs is given up, and another one begun."""


def find(host: str, port: int) -> object:
    """Ask the system; OSError, UnicodeError for what cannot be a name."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Lookup:
    """One sink's: at most one thread is held up, however often it is asked."""

    def __init__(self, find: Find = find) -> None:
        self._find = find
        self._running: asyncio.Task[object] | None = None

    async def resolve(self, host: str, port: int, timeout_s: float) -> None:
        """Return once the name has an address; UplinkLostError."""
        if self._running is None:
            self._running = asyncio.create_task(
                in_thread(lambda: self._find(host, port), _LONGEST_S)
            )
        try:
            done, _ = await asyncio.wait({self._running}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._running.cancel()
            self._running = None
            raise
        if not done:
            raise UplinkLostError(f"no name server tells where {host} is", reached=False)
        finished, self._running = self._running, None
        error = finished.exception()
        if error is not None:
            raise UplinkLostError(f"{host}: {error}", reached=False) from error
