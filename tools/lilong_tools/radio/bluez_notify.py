"""Notifications of a characteristic: who gets them, as signals of Value or over a socket."""

from typing import Any

from bumble.gatt_client import CharacteristicProxy

from lilong_tools.radio.bluez_errors import (
    answering,
    failed,
    in_progress,
    not_permitted,
    not_supported,
)
from lilong_tools.radio.bluez_face import Call, Face
from lilong_tools.radio.bluez_parts import Parts
from lilong_tools.radio.bluez_pipe import Pipe

Proxy = CharacteristicProxy[bytes]


class Notifications:
    """The subscriptions of clients to one characteristic; they end with the link.

    The properties Notifying and NotifyAcquired of `face` are absent where they cannot be had.
    """

    def __init__(self, proxy: Proxy, face: Face, parts: Parts) -> None:
        """Take the characteristic of a link; nobody is subscribed."""
        self._proxy = proxy
        self._linked = True
        self._face, self._work, self._faults = face, parts.work, parts.faults
        self._clients: set[str] = set()
        self._pipe: Pipe | None = None

    def bind(self) -> None:
        """Belong to a new link; the characteristic is the same."""
        self._linked = True

    def unbind(self) -> None:
        """Lose the link: the socket closes, clients must ask again."""
        self._linked = False
        self._clients.clear()
        if self._face["Notifying"]:
            self._face.change({"Notifying": False})
        if self._pipe is not None:
            self._pipe.close()
            self._forget_pipe()

    def forget(self, client: str) -> None:
        """Do without a client that has left the bus."""
        if client in self._clients:
            self._work.start(self._leave(client))

    async def start(self, call: Call) -> tuple[Any, ...]:
        """Answer StartNotify."""
        if self._face["Notifying"] is None:
            raise not_supported()
        if self._pipe is not None:
            raise not_permitted("Notify acquired")
        if call.sender in self._clients:
            raise in_progress()
        self._clients.add(call.sender)
        if not self._face["Notifying"]:
            await self._subscribe()
            self._face.change({"Notifying": True})
        return ()

    async def stop(self, call: Call) -> tuple[Any, ...]:
        """Answer StopNotify."""
        if call.sender not in self._clients:
            raise failed("No notify session started")
        await self._leave(call.sender)
        return ()

    async def acquire(self, _: Call) -> tuple[Any, ...]:
        """Answer AcquireNotify."""
        if self._face["NotifyAcquired"] is None:
            raise not_supported()
        if self._pipe is not None:
            raise not_permitted("Notify acquired")
        if self._clients:
            raise in_progress()
        self._pipe = Pipe(lambda _: None, self._released)
        try:
            mtu = await self._subscribe()
        except BaseException:
            self._forget_pipe()
            raise
        self._face.change({"NotifyAcquired": True})
        return self._pipe.theirs, mtu

    async def _subscribe(self) -> int:
        """Ask the device for notifications; the MTU. BluezError, and nobody is subscribed."""
        if not self._linked:
            raise failed("Not connected")
        try:
            with answering():
                await self._proxy.subscribe(self._notified)
        except BaseException:
            self._clients.clear()
            raise
        return self._proxy.client.mtu

    async def _leave(self, client: str) -> None:
        self._clients.discard(client)
        if not self._clients and self._face["Notifying"]:
            self._face.change({"Notifying": False})
            await self._unsubscribe()

    async def _unsubscribe(self) -> None:
        if self._linked:
            with answering():
                await self._proxy.unsubscribe(self._notified)

    def _notified(self, value: bytes) -> None:
        if self._faults.notification_is_lost():
            return
        if self._pipe is not None:
            self._pipe.send(value)
        elif self._clients:
            self._face.change({"Value": value})

    def _released(self) -> None:
        self._forget_pipe()
        self._work.start(self._unsubscribe())

    def _forget_pipe(self) -> None:
        self._pipe = None
        self._face.change({"NotifyAcquired": False})
