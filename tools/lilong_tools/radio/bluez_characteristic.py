"""org.bluez.GattCharacteristic1: values read, written and notified."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bumble.gatt import Characteristic
from bumble.gatt_client import Client

from lilong_tools.radio.bluez_errors import (
    answering,
    failed,
    in_progress,
    not_permitted,
    not_supported,
)
from lilong_tools.radio.bluez_face import Call, Face, Method
from lilong_tools.radio.bluez_notify import Notifications, Proxy
from lilong_tools.radio.bluez_parts import Parts
from lilong_tools.radio.bluez_pipe import Pipe

_ATT_HEADER = 3
_SIGNATURES = {
    "UUID": "s",
    "Service": "o",
    "Value": "ay",
    "Notifying": "b",
    "Flags": "as",
    "WriteAcquired": "b",
    "NotifyAcquired": "b",
    "MTU": "q",
}
_Can = Characteristic.Properties
_FLAGS = {
    _Can.READ: "read",
    _Can.WRITE_WITHOUT_RESPONSE: "write-without-response",
    _Can.WRITE: "write",
    _Can.NOTIFY: "notify",
    _Can.INDICATE: "indicate",
}


class RemoteCharacteristic:
    """A characteristic of a device; without a link its methods fail with "Not connected".

    One read and one write request at a time: another is answered InProgress.
    """

    def __init__(self, proxy: Proxy, uuid: str, service: str, parts: Parts) -> None:
        """Describe a characteristic that was just discovered; `service` is a path."""
        self._proxy = proxy
        self._linked = True
        self._work = parts.work
        self._busy: set[str] = set()
        self._pipe: Pipe | None = None
        can = proxy.properties
        values = {
            "UUID": uuid,
            "Service": service,
            "Flags": [name for bit, name in _FLAGS.items() if can & bit],
            "Notifying": False if can & (_Can.NOTIFY | _Can.INDICATE) else None,
            "NotifyAcquired": False if can & _Can.NOTIFY else None,
            "WriteAcquired": False if can & _Can.WRITE_WITHOUT_RESPONSE else None,
            "MTU": proxy.client.mtu,
        }
        self.face = Face("org.bluez.GattCharacteristic1", _SIGNATURES, values)
        self._notifications = Notifications(proxy, self.face, parts)
        self.face.methods = {
            "ReadValue": Method("a{sv}", "ay", self._read),
            "WriteValue": Method("aya{sv}", "", self._write),
            "AcquireWrite": Method("a{sv}", "hq", self._acquire_write),
            "StartNotify": Method("", "", self._notifications.start),
            "StopNotify": Method("", "", self._notifications.stop),
            "AcquireNotify": Method("a{sv}", "hq", self._notifications.acquire),
        }

    def bind(self, client: Client) -> None:
        """Belong to a new link of the same device."""
        self._proxy.client = client
        self._linked = True
        self._notifications.bind()

    def set_mtu(self, mtu: int) -> None:
        """Tell of the link's MTU, if it is another."""
        if mtu != self.face["MTU"]:
            self.face.change({"MTU": mtu})

    def unbind(self) -> None:
        """Lose the link."""
        self._linked = False
        self._notifications.unbind()
        if self._pipe is not None:
            self._pipe.close()
            self._released()

    def forget(self, client: str) -> None:
        """Do without a client that has left the bus."""
        self._notifications.forget(client)

    async def _read(self, call: Call) -> tuple[Any, ...]:
        """Read; the value also comes as a signal, as if it had been notified."""
        (options,) = call.body
        with self._alone("read") as proxy, answering():
            value = bytes(await proxy.read_value())[options.get("offset", 0) :]
        self.face.change({"Value": value})
        return (value,)

    async def _write(self, call: Call) -> tuple[Any, ...]:
        """Write as the option `type` says: request (a long one in pieces) or command."""
        value, options = call.body
        flags = self.face["Flags"]
        if self._pipe is not None:
            raise not_permitted("Write acquired")
        kind = options.get("type") or ("request" if "write" in flags else "command")
        if kind == "request":
            with self._alone("write") as proxy, answering():
                await proxy.write_value(value, with_response=True)
        elif "write-without-response" in flags:
            await self._command(value)
        else:
            raise not_supported()
        return ()

    async def _command(self, value: bytes) -> None:
        proxy = self._bound()
        if len(value) > proxy.client.mtu - _ATT_HEADER:
            raise failed("Failed to initiate write")
        await proxy.write_value(value, with_response=False)

    async def _acquire_write(self, _: Call) -> tuple[Any, ...]:
        proxy = self._bound()
        if self.face["WriteAcquired"] is None:
            raise not_supported()
        if self._pipe is not None:
            raise not_permitted("Write acquired")
        self._pipe = Pipe(lambda value: self._work.start(self._command(value)), self._released)
        self.face.change({"WriteAcquired": True})
        return self._pipe.theirs, proxy.client.mtu

    def _released(self) -> None:
        self._pipe = None
        self.face.change({"WriteAcquired": False})

    def _bound(self) -> Proxy:
        if not self._linked:
            raise failed("Not connected")
        return self._proxy

    @contextlib.contextmanager
    def _alone(self, kind: str) -> Iterator[Proxy]:
        """Hold the link for one request of this kind; BluezError when one is under way."""
        proxy = self._bound()
        if kind in self._busy:
            raise in_progress()
        self._busy.add(kind)
        try:
            yield proxy
        finally:
            self._busy.discard(kind)
