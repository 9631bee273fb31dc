"""The connections of a virtual node's radio, and what it is asked and answers on them."""

import asyncio
from collections import deque
from collections.abc import Callable

from bumble.att import ATT_UNLIKELY_ERROR_ERROR, ATT_Error
from bumble.device import Connection

from lilong_tools.radio.frames import ToNode

Tell = Callable[[ToNode, int, bytes], None]
"""Sends the node a frame: kind, number of the connection, body."""


class Centrals:
    """The connections by their numbers; the values of the GATT server are the node's."""

    def __init__(self, tell: Tell) -> None:
        """Begin without any."""
        self._tell = tell
        self._connections: dict[int, Connection] = {}
        self._asked: dict[int, deque[asyncio.Future[bytes]]] = {}

    @property
    def empty(self) -> bool:
        """Whether there is no connection."""
        return not self._connections

    def add(self, connection: Connection) -> int:
        """Give a connection the lowest number that is free, and tell the node."""
        number = next(free for free in range(256) if free not in self._connections)
        self._connections[number] = connection
        self._asked[number] = deque()
        self._tell(ToNode.CONNECTED, number, _address(connection))
        return number

    def remove(self, number: int) -> None:
        """Forget a connection that has ended, and tell the node."""
        connection = self._connections.pop(number)
        for answer in self._asked.pop(number):
            _fail(answer, ATT_UNLIKELY_ERROR_ERROR)
        self._tell(ToNode.DISCONNECTED, number, _address(connection))

    def find(self, number: int) -> Connection | None:
        """Return the connection of this number, if there is one."""
        return self._connections.get(number)

    def number(self, connection: Connection) -> int | None:
        """Return the number of a connection, if it is still there."""
        return next((key for key, one in self._connections.items() if one is connection), None)

    async def read(self, connection: Connection, handle: int) -> bytes:
        """Ask the node for a value; ATT_Error."""
        return await self._ask(ToNode.READ, connection, handle.to_bytes(2, "little"))

    async def write(self, connection: Connection, handle: int, value: bytes) -> None:
        """Give the node a value and wait until it has it; ATT_Error."""
        await self.begin_write(connection, handle, value)

    def begin_write(
        self, connection: Connection, handle: int, value: bytes
    ) -> asyncio.Future[bytes]:
        """Give the node a value; what is returned is done, or fails, when it has answered."""
        return self._ask(ToNode.WRITE, connection, handle.to_bytes(2, "little") + value)

    def command(self, connection: Connection, handle: int, value: bytes) -> None:
        """Give the node a value that it does not answer."""
        number = self.number(connection)
        if number is not None:
            self._tell(ToNode.COMMAND, number, handle.to_bytes(2, "little") + value)

    def answer(self, number: int, error: int, value: bytes) -> None:
        """Take the node's answer to the oldest question of a connection."""
        waiting = self._asked.get(number)
        if not waiting:
            return
        answer = waiting.popleft()
        if error:
            _fail(answer, error)
        elif not answer.done():
            answer.set_result(value)

    def _ask(self, kind: ToNode, connection: Connection, body: bytes) -> asyncio.Future[bytes]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        number = self.number(connection)
        if number is None:
            _fail(answer, ATT_UNLIKELY_ERROR_ERROR)
        else:
            self._asked[number].append(answer)
            self._tell(kind, number, body)
        return answer


def _fail(answer: asyncio.Future[bytes], error: int) -> None:
    if not answer.done():
        answer.set_exception(ATT_Error(error))


def _address(connection: Connection) -> bytes:
    """Return the type and the bytes of the central's address, as MicroPython has them."""
    address = connection.peer_address
    return bytes((0 if address.is_public else 1,)) + bytes(address)[::-1]
