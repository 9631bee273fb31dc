"""The duty that does what a gateway asks for, one thing at a time."""

import asyncio

from lilong_firmware.errors import RefusedError, StorageError
from lilong_protocol.errors import DecodeError
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.request import BODY_LIMIT, DONE, FAILED, REFUSED, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from lilong_firmware.restart import Restart
    from lilong_firmware.supervision import Duty
    from lilong_protocol.node_events import Requested

    Method = Callable[[bytes], Coroutine[Any, Any, bytes]]
    Respond = Callable[[int, int, bytes], None]

LIMIT_MS = 120000
"""The longest that one request may take: a whole image is read back in less."""

_PATIENCE_S = const(5.0)


class Requests:
    """Each method takes a body and returns the payload of DONE.

    RefusedError and DecodeError are answered as REFUSED, StorageError and whatever else as FAILED:
    nothing that a gateway asks for ends the node. What has become of a request of a session that
    is over is told nobody.
    """

    def __init__(
        self,
        methods: "dict[int, Method]",
        respond: "Respond",
        restart: "Restart",
        wake: asyncio.Event,
        log: "Callable[[str], None]",
    ) -> None:
        self._methods = methods
        self._respond = respond
        self._restart = restart
        self._wake = wake
        self._log = log
        self._arrived = asyncio.Event()
        self._waiting: Requested | None = None
        self._current: Requested | None = None
        self.counters = {"failed": 0}

    def take(self, event: "Requested") -> None:
        """Let this be done next."""
        self._waiting = event
        self._arrived.set()

    def forget(self) -> None:
        """The session is over: nobody waits for an answer."""
        self._waiting = self._current = None

    async def run(self, duty: "Duty") -> None:
        """Do what was asked, for ever."""
        while True:
            duty.beat()
            event, self._waiting = self._waiting, None
            if event is None:
                await self._rest()
                continue
            self._current = event
            code, payload = await self._do(event)
            if self._current is event:
                self._respond(event.number, code, payload)
                self._wake.set()
            await self._restart.if_wanted()

    async def _rest(self) -> None:
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), _PATIENCE_S)
        except asyncio.TimeoutError:  # noqa: UP041 - no builtin of MicroPython
            return

    async def _do(self, event: "Requested") -> "tuple[int, bytes]":
        method = self._methods.get(event.method)
        if method is None:
            return UNKNOWN, b""
        try:
            return DONE, await method(event.body)
        except (RefusedError, DecodeError) as problem:
            return REFUSED, _words(problem)
        except StorageError as problem:
            self.counters["failed"] += 1
            return FAILED, _words(problem)
        except Exception as error:  # noqa: BLE001 - a gateway must not be able to end the node
            self.counters["failed"] += 1
            self._log("request " + str(event.method) + " failed: " + repr(error))
            return FAILED, repr(error).encode()[:BODY_LIMIT]


def _words(problem: Exception) -> bytes:
    return str(problem).encode()[:BODY_LIMIT]
