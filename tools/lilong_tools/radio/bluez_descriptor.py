"""org.bluez.GattDescriptor1: the values of a characteristic's descriptors."""

from typing import Any

from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR as CONFIGURATION
from bumble.gatt_client import Client, DescriptorProxy

from lilong_tools.radio.bluez_errors import answering, failed, not_permitted
from lilong_tools.radio.bluez_face import Call, Face, Method

_SIGNATURES = {"UUID": "s", "Characteristic": "o", "Value": "ay", "Flags": "as"}


class RemoteDescriptor:
    """A descriptor of a device; without a link its methods fail with "Not connected".

    The one that switches notifications on (2902) is bluetoothd's own to write.
    """

    def __init__(self, proxy: DescriptorProxy, uuid: str, characteristic: str) -> None:
        """Describe a descriptor that was just discovered; `characteristic` is a path."""
        self._proxy = proxy
        self._linked = True
        self._own = proxy.type == CONFIGURATION
        values = {"UUID": uuid, "Characteristic": characteristic, "Flags": []}
        methods = {
            "ReadValue": Method("a{sv}", "ay", self._read),
            "WriteValue": Method("aya{sv}", "", self._write),
        }
        self.face = Face("org.bluez.GattDescriptor1", _SIGNATURES, values, methods)

    def bind(self, client: Client) -> None:
        """Belong to a new link of the same device."""
        self._proxy.client = client
        self._linked = True

    def unbind(self) -> None:
        """Lose the link."""
        self._linked = False

    async def _read(self, call: Call) -> tuple[Any, ...]:
        (options,) = call.body
        with answering():
            value = bytes(await self._bound().read_value())[options.get("offset", 0) :]
        self.face.change({"Value": value})
        return (value,)

    async def _write(self, call: Call) -> tuple[Any, ...]:
        value, _ = call.body
        if self._own:
            raise not_permitted("Write not permitted")
        with answering():
            await self._bound().write_value(value, with_response=True)
        return ()

    def _bound(self) -> DescriptorProxy:
        if not self._linked:
            raise failed("Not connected")
        return self._proxy
