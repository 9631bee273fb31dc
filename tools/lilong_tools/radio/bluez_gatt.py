"""The GATT objects of a device on the bus: services and all below them, by their handles."""

from bumble.gatt import GATT_GENERIC_ACCESS_SERVICE
from bumble.gatt_client import Client, DescriptorProxy, ServiceProxy

from lilong_tools.radio.bluez_advert import uuid_text
from lilong_tools.radio.bluez_characteristic import RemoteCharacteristic
from lilong_tools.radio.bluez_descriptor import RemoteDescriptor
from lilong_tools.radio.bluez_face import Face
from lilong_tools.radio.bluez_notify import Proxy
from lilong_tools.radio.bluez_parts import Parts

_SERVICE = {"UUID": "s", "Device": "o", "Primary": "b", "Includes": "ao"}


class Table:
    """The attributes of one device.

    They stay when the link is lost, and belong to the next one from its beginning.
    """

    def __init__(self, path: str, parts: Parts) -> None:
        """Make an empty table of the device at `path`."""
        self._path, self._parts = path, parts
        self._layout: list[tuple[int, str]] = []
        self._paths: list[str] = []
        self._characteristics: list[RemoteCharacteristic] = []
        self._descriptors: list[RemoteDescriptor] = []

    def bind(self, client: Client) -> None:
        """Belong to a new link; what was known of the device can be used at once."""
        for each in self._attributes:
            each.bind(client)

    def show(self, services: list[ServiceProxy]) -> list[str]:
        """Put what was discovered on the bus, unless it is there; the UUIDs of the services.

        bluetoothd keeps the Generic Access service (1800) to itself.
        """
        shown = [each for each in services if each.uuid != GATT_GENERIC_ACCESS_SERVICE]
        layout = [(each.handle, _uuid(each)) for each in _all(shown)]
        if layout != self._layout:
            self.clear()
            self._layout = layout
            for service in shown:
                self._show_service(service)
        return [_uuid(service) for service in shown]

    def set_mtu(self, mtu: int) -> None:
        """Tell of the link's MTU."""
        for each in self._characteristics:
            each.set_mtu(mtu)

    def unbind(self) -> None:
        """Lose the link."""
        for each in self._attributes:
            each.unbind()

    def forget(self, client: str) -> None:
        """Do without a client that has left the bus."""
        for each in self._characteristics:
            each.forget(client)

    def clear(self) -> None:
        """Take everything off the bus."""
        self.unbind()
        for path in reversed(self._paths):
            self._parts.tree.remove(path)
        self._paths.clear()
        self._layout.clear()
        self._characteristics.clear()
        self._descriptors.clear()

    @property
    def _attributes(self) -> tuple[RemoteCharacteristic | RemoteDescriptor, ...]:
        return (*self._characteristics, *self._descriptors)

    def _show_service(self, service: ServiceProxy) -> None:
        path = f"{self._path}/service{service.handle:04x}"
        values = {"UUID": _uuid(service), "Device": self._path, "Primary": True, "Includes": []}
        self._add(path, Face("org.bluez.GattService1", _SERVICE, values))
        for proxy in service.characteristics:
            self._show_characteristic(proxy, path)

    def _show_characteristic(self, proxy: Proxy, service: str) -> None:
        """Show it under the handle of its declaration, which comes before that of its value."""
        path = f"{service}/char{proxy.handle - 1:04x}"
        made = RemoteCharacteristic(proxy, _uuid(proxy), service, self._parts)
        self._characteristics.append(made)
        self._add(path, made.face)
        for proxy_below in proxy.descriptors:
            below = RemoteDescriptor(proxy_below, _uuid(proxy_below), path)
            self._descriptors.append(below)
            self._add(f"{path}/desc{proxy_below.handle:04x}", below.face)

    def _add(self, path: str, face: Face) -> None:
        self._paths.append(path)
        self._parts.tree.add(path, face)


def _all(services: list[ServiceProxy]) -> list[ServiceProxy | Proxy | DescriptorProxy]:
    found: list[ServiceProxy | Proxy | DescriptorProxy] = []
    for service in services:
        found.append(service)
        for characteristic in service.characteristics:
            found += [characteristic, *characteristic.descriptors]
    return found


def _uuid(attribute: ServiceProxy | Proxy | DescriptorProxy) -> str:
    kind = attribute.type if isinstance(attribute, DescriptorProxy) else attribute.uuid
    return uuid_text(kind.to_bytes())
