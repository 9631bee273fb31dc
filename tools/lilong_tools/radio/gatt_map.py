"""The GATT services of a peer, as Bumble finds them and bleak names them."""

from collections.abc import Callable, Collection

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bumble.core import UUID
from bumble.gatt_client import CharacteristicProxy, Client, ServiceProxy

from lilong_tools.radio.advertisement import uuid_text


async def discover(
    client: Client, wanted: Collection[str] | None, value_octets: Callable[[], int]
) -> BleakGATTServiceCollection:
    """Find all services, or the wanted alone; `value_octets` tells what one write may carry."""
    found = BleakGATTServiceCollection()
    for proxy in await client.discover_services():
        name = _text(proxy.uuid)
        if wanted is None or name in wanted:
            service = BleakGATTService(proxy, proxy.handle, name)
            found.add_service(service)
            await _add_characteristics(proxy, service, found, value_octets)
    return found


async def _add_characteristics(
    proxy: ServiceProxy,
    service: BleakGATTService,
    found: BleakGATTServiceCollection,
    value_octets: Callable[[], int],
) -> None:
    for each in await proxy.discover_characteristics():
        properties = list(gatt_char_props_to_strs(each.properties))
        characteristic = BleakGATTCharacteristic(
            each, each.handle, _text(each.uuid), properties, value_octets, service
        )
        found.add_characteristic(characteristic)
        await _add_descriptors(each, characteristic, found)


async def _add_descriptors(
    proxy: CharacteristicProxy[bytes],
    characteristic: BleakGATTCharacteristic,
    found: BleakGATTServiceCollection,
) -> None:
    found_descriptors = await proxy.discover_descriptors()
    proxy.descriptors_discovered = True  # Bumble would look again at each subscription
    for each in found_descriptors:
        descriptor = BleakGATTDescriptor(each, each.handle, _text(each.type), characteristic)
        found.add_descriptor(descriptor)


def _text(uuid: UUID) -> str:
    return uuid_text(bytes(uuid))
