"""The radio: one GATT service, and what is on the air. The only module that imports bluetooth.

MicroPython calls `_take` for what happens, on some chips from a task of the Bluetooth stack at
any moment. It stores that, bounded, and decides nothing; `deliver` passes it on in a task.
"""

import asyncio
from errno import ENOMEM

import bluetooth

from lilong_protocol.advert import DOWN, SERVICE, UP, scan_response
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any, Protocol

    class Listener(Protocol):
        """Who hears what happens, in the order in which it did."""

        def connected(self, handle: int) -> None:
            """A central has come."""

        def disconnected(self, handle: int) -> None:
            """A central has gone, or never quite came."""

        def resized(self, handle: int, mtu: int) -> None:
            """The ATT_MTU of a connection is another one."""

        def written(self, handle: int, data: bytes) -> None:
            """A central has written: one value, or several joined ones."""


MTU = 247

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_MTU_EXCHANGED = const(21)
_FLAG_WRITE_NO_RESPONSE = const(0x04)
_FLAG_WRITE = const(0x08)
_FLAG_NOTIFY = const(0x10)
_UNREAD_BYTES = const(1024)
_SLOTS = const(64)
# Kept free of what is written, for those who come and go.
_SPARE_SLOTS = const(16)


class Radio:
    """Active from the start, for good. OSError when the chip's radio cannot be used.

    `_take` writes the places `_put` and `_arrived_bytes`, the tasks write `_got` and
    `_heard_bytes`: neither has to wait for the other.
    """

    def __init__(self, eui: bytes) -> None:
        self.lost = 0
        """Writes without room, and events that could not be taken."""
        self._flag = asyncio.ThreadSafeFlag()
        self._slots: list[Any] = [None] * _SLOTS
        self._put = 0
        self._got = 0
        self._arrived_bytes = 0
        self._heard_bytes = 0
        self._down = -1
        self._response = scan_response(eui)
        self._ble = _stack()
        self._ble.active(True)  # noqa: FBT003 - it takes no names
        self._ble.config(mtu=MTU, gap_name=b"lilong " + eui[6:].hex().encode())
        self._ble.irq(self._take)
        up = (bluetooth.UUID(UP), _FLAG_NOTIFY)
        down = (bluetooth.UUID(DOWN), _FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE)
        services = ((bluetooth.UUID(SERVICE), (up, down)),)
        ((self._up, self._down),) = self._ble.gatts_register_services(services)
        self._ble.gatts_set_buffer(self._down, _UNREAD_BYTES, True)  # noqa: FBT003

    async def wait(self, timeout_s: float) -> None:
        """Return when something has happened, or after that time."""
        try:
            await asyncio.wait_for(self._flag.wait(), timeout_s)
        except asyncio.TimeoutError:  # noqa: UP041 - no builtin of MicroPython
            return

    def deliver(self, listener: "Listener") -> None:
        """Tell of all that has happened since."""
        while self._got != self._put:
            event, handle, value = self._slots[self._got]
            self._slots[self._got] = None
            self._got = (self._got + 1) % _SLOTS
            if event == _IRQ_CENTRAL_CONNECT:
                listener.connected(handle)
            elif event == _IRQ_CENTRAL_DISCONNECT:
                listener.disconnected(handle)
            elif event == _IRQ_MTU_EXCHANGED:
                listener.resized(handle, value)
            else:
                self._heard_bytes += len(value)
                listener.written(handle, value)

    def notify(self, handle: int, value: bytes) -> "bool | None":
        """Send a value; False: not now, for want of room; None: the radio refuses it."""
        try:
            self._ble.gatts_notify(handle, self._up, value)
        except OSError as error:
            return False if error.args[0] == ENOMEM else None
        return True

    def disconnect(self, handle: int) -> bool:
        """End a connection; False when there is none."""
        try:
            return bool(self._ble.gap_disconnect(handle))
        except OSError:
            return False

    def advertise(self, interval_ms: int, data: bytes, *, connectable: bool) -> bool:
        """Say this from now on in place of all else; False when the radio refuses."""
        try:
            self._ble.gap_advertise(
                1000 * interval_ms, data, resp_data=self._response, connectable=connectable
            )
        except OSError:
            return False
        return True

    def silence(self) -> bool:
        """Advertise nothing; False when the radio refuses."""
        try:
            self._ble.gap_advertise(None)
        except OSError:
            return False
        return True

    # What the stack calls

    def _take(self, event: int, data: "Any") -> None:
        """Store an event; an exception would switch off all further ones."""
        try:
            self._store(event, data)
        except Exception:  # noqa: BLE001 - see above
            self.lost += 1
        self._flag.set()

    def _store(self, event: int, data: "Any") -> None:
        value = None
        room = (self._got - self._put - 1) % _SLOTS
        if event == _IRQ_GATTS_WRITE:
            # Read here, where the stack cannot write into it meanwhile. Where events come late,
            # the first one brings what several have written.
            value = self._ble.gatts_read(self._down) if data[1] == self._down else b""
            if not value:
                return
            unread = self._arrived_bytes - self._heard_bytes + len(value)
            if room <= _SPARE_SLOTS or unread > _UNREAD_BYTES:
                self.lost += 1
                return
            self._arrived_bytes += len(value)
        elif event == _IRQ_CENTRAL_CONNECT:
            # What the one before has left there is nothing of this one's.
            self._ble.gatts_read(self._down)
        elif event == _IRQ_MTU_EXCHANGED:
            value = data[1]
        elif event != _IRQ_CENTRAL_DISCONNECT:
            return
        if room == 0:
            self.lost += 1
            return
        self._slots[self._put] = (event, data[0], value)
        self._put = (self._put + 1) % _SLOTS


def _stack() -> "Any":
    """Return the Bluetooth stack; what its type stubs say of handles is not so."""
    return bluetooth.BLE()
