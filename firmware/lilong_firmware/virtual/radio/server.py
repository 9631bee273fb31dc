"""Connections of a virtual node's radio, and the GATT server behind them, as NimBLE's."""

import struct
from errno import EALREADY, EINVAL, ENOMEM, ENOTCONN

from attributes import Table
from micropython import const

_E2BIG = const(7)
_EBUSY = const(16)
_NOT_READABLE = const(-9)
"""NimBLE's own EAPP, which is passed on as a negative number."""
_NO_CONNECTION = const(0xFFFF)
_SERVICES = const(8)
_BUFFERS = const(12)
_SMALLEST_MTU = const(23)
_NO_RESOURCES = const(0x11)
"""The ATT error Insufficient Resources."""

_TABLE = const(4)
_HANG_UP = const(7)
_NOTIFY = const(8)
_INDICATE = const(9)
_WRITTEN = const(10)
_VALUE = const(11)
_CONNECTED = const(32)
_DISCONNECTED = const(33)
_MTU_AGREED = const(34)
_WRITE = const(35)
_READ = const(36)
_TAKEN = const(37)
_CONFIRMED = const(38)
_SUBSCRIBED = const(39)
_COMMAND = const(40)

_CENTRAL_CONNECT = const(1)
_CENTRAL_DISCONNECT = const(2)
_GATTS_WRITE = const(3)
_GATTS_READ_REQUEST = const(4)
_GATTS_INDICATE_DONE = const(20)
_MTU_EXCHANGED = const(21)


class _Link:
    """A connection to a central."""

    def __init__(self) -> None:
        self.mtu = _SMALLEST_MTU
        self.ending = False
        self.subscriptions = {}


class Server:
    """What a node's program and its centrals do to the values, and to each other.

    `bridge` sends frames to the radio; `tell` calls the program's handler with an event and its
    data, and returns what that returned.
    """

    def __init__(self, bridge: "object", tell: "object") -> None:
        self.links = {}
        self._bridge = bridge
        self._tell = tell
        self._table = Table(())
        self._outstanding = 0

    def register(self, services: "object") -> "tuple[tuple[int, ...], ...]":
        """Replace all services; return the handles of their values. OSError EBUSY, E2BIG."""
        if self.links:
            raise OSError(_EBUSY)
        if len(services) > _SERVICES:
            raise OSError(_E2BIG)
        self._table = Table(services)
        self._bridge.send(_TABLE, 0, self._table.description)
        return self._table.handles

    def read(self, handle: int) -> bytes:
        """Return a value as the program reads it; of no attribute, none."""
        attribute = self._table.find(handle)
        return b"" if attribute is None else attribute.read()

    def write(self, handle: int, data: bytes, *, send_update: bool) -> int:
        """Set a value; if asked to, tell those who have subscribed. OSError EINVAL."""
        self._table.at(handle).write(memoryview(data))
        for connection in sorted(self.links) if send_update else ():
            self._update(connection, handle)
        return len(data)

    def resize(self, handle: int, size: int, *, append: bool) -> None:
        """Give a value room. OSError EINVAL."""
        self._table.at(handle).resize(size, append=append)

    def notify(self, connection: int, handle: int, data: "bytes | None") -> None:
        """Send a notification. OSError ENOMEM, ENOTCONN, EINVAL."""
        self._send(_NOTIFY, connection, handle, data)

    def indicate(self, connection: int, handle: int, data: "bytes | None") -> None:
        """Send an indication; an event tells the end of it. OSError as of `notify`."""
        self._send(_INDICATE, connection, handle, data)

    def hang_up(self, connection: int) -> bool:
        """Begin to end a connection; False if there is none. OSError EALREADY."""
        link = self.links.get(connection)
        if link is None:
            return False
        if link.ending:
            raise OSError(EALREADY)
        link.ending = True
        self._bridge.send(_HANG_UP, connection)
        return True

    def take(self, kind: int, connection: int, body: bytes) -> None:
        """Take a frame of the radio."""
        if kind == _TAKEN:
            self._outstanding -= struct.unpack("<H", body)[0]
        elif kind == _CONNECTED:
            self.links[connection] = _Link()
            self._tell_peer(_CENTRAL_CONNECT, connection, body)
        elif connection not in self.links:
            return
        elif kind == _DISCONNECTED:
            del self.links[connection]
            self._tell_peer(_CENTRAL_DISCONNECT, connection, body)
        else:
            self._take_att(kind, connection, body)

    def _take_att(self, kind: int, connection: int, body: bytes) -> None:
        (word,) = struct.unpack_from("<H", body)
        if kind in {_WRITE, _READ}:
            self._answer(kind, connection, word, body)
        elif kind == _COMMAND:
            self._receive(connection, word, body)
        elif kind == _MTU_AGREED:
            self.links[connection].mtu = word
            self._tell(_MTU_EXCHANGED, (connection, word))
        elif kind == _CONFIRMED:
            self._tell(_GATTS_INDICATE_DONE, (connection, word, body[2]))
        elif kind == _SUBSCRIBED:
            self.links[connection].subscriptions[word] = body[2]

    def _answer(self, kind: int, connection: int, handle: int, body: bytes) -> None:
        """Do what is asked for, unless notifications have all the buffers: it takes one, too."""
        status = _NO_RESOURCES if self._outstanding >= _BUFFERS else 0
        value = b""
        if kind == _READ:
            if not status:
                status, value = self._readable(connection, handle)
            self._bridge.send(_VALUE, connection, bytes((status,)) + value)
            return
        if not status:
            self._receive(connection, handle, body)
        self._bridge.send(_WRITTEN, connection, bytes((status,)))

    def _tell_peer(self, event: int, connection: int, body: bytes) -> None:
        address = bytearray(body[1:])
        self._tell(event, (connection, body[0], memoryview(address)))
        # As on the device, the memory is another's as soon as the handler has returned.
        address[:] = b"\xa5" * len(address)

    def _receive(self, connection: int, handle: int, body: bytes) -> None:
        attribute = self._table.find(handle)
        if attribute is not None:
            attribute.receive(memoryview(body)[2:])
            self._tell(_GATTS_WRITE, (connection, handle))

    def _readable(self, connection: int, handle: int) -> "tuple[int, bytes]":
        """Ask the program; return the ATT error it answers with, or 0 and the value."""
        answer = self._tell(_GATTS_READ_REQUEST, (connection, handle))
        if isinstance(answer, int) and answer:
            return int(answer), b""
        attribute = self._table.find(handle)
        return (1, b"") if attribute is None else (0, attribute.value())

    def _send(self, kind: int, connection: int, handle: int, data: "bytes | None") -> None:
        if self._outstanding >= _BUFFERS:
            raise OSError(ENOMEM)
        if handle == 0:
            raise OSError(EINVAL)
        if data is None:
            status, data = self._readable(_NO_CONNECTION, handle)
            if status:
                raise OSError(_NOT_READABLE)
        link = self.links.get(connection)
        if link is None:
            raise OSError(ENOTCONN)
        self._outstanding += 1
        body = struct.pack("<H", handle) + bytes(memoryview(data)[: link.mtu - 3])
        self._bridge.send(kind, connection, body)

    def _update(self, connection: int, handle: int) -> None:
        wanted = self.links[connection].subscriptions.get(handle, 0)
        if not wanted:
            return
        try:
            self._send(_NOTIFY if wanted & 1 else _INDICATE, connection, handle, None)
        except OSError:
            # NimBLE is silent about it, too.
            return
