"""GATT services as a virtual node defines them, in Bumble's terms."""

from collections.abc import Iterable
from typing import Protocol

from bumble.att import (
    ATT_READ_NOT_PERMITTED_ERROR,
    ATT_WRITE_NOT_PERMITTED_ERROR,
    ATT_Error,
    Attribute,
    AttributeValue,
)
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, Descriptor, Service

from lilong_tools.radio.frames import Record, Sort

_READ = 0x02
_WRITE = 0x04 | 0x08
_PROPERTIES = 0xFF


class Values(Protocol):
    """Who has the values: the node."""

    async def read(self, connection: Connection, handle: int) -> bytes:
        """Return a value; ATT_Error."""

    async def write(self, connection: Connection, handle: int, value: bytes) -> None:
        """Write a value and wait until the node has it; ATT_Error."""


class Services:
    """What a TABLE defines; every value is the node's."""

    def __init__(self, records: Iterable[Record], values: Values) -> None:
        """Build all of it."""
        self.attributes: dict[int, Attribute[bytes]] = {}
        self._values = values
        self._parts: list[tuple[Record, list[tuple[Record, list[Descriptor]]]]] = []
        for record in records:
            self._add(record)

    def build(self) -> list[Service]:
        """Return the services; they can be registered once."""
        return [
            Service(
                _uuid(record), [self._characteristic(one, ends) for one, ends in characteristics]
            )
            for record, characteristics in self._parts
        ]

    def _add(self, record: Record) -> None:
        if record.sort is Sort.SERVICE:
            self._parts.append((record, []))
            return
        characteristics = self._parts[-1][1]
        if record.sort is Sort.CHARACTERISTIC:
            characteristics.append((record, []))
            return
        descriptor = Descriptor(_uuid(record), _permissions(record), self._value(record))
        self.attributes[record.handle] = descriptor
        characteristics[-1][1].append(descriptor)

    def _characteristic(
        self, record: Record, descriptors: list[Descriptor]
    ) -> Characteristic[bytes]:
        characteristic: Characteristic[bytes] = Characteristic(
            _uuid(record),
            Characteristic.Properties(record.flags & _PROPERTIES),
            _permissions(record),
            self._value(record),
            descriptors,
        )
        self.attributes[record.handle] = characteristic
        return characteristic

    def _value(self, record: Record) -> AttributeValue[bytes]:
        """Return the value; Bumble does not look at permissions, and needs both functions."""

        async def read(connection: Connection) -> bytes:
            if not record.flags & _READ:
                raise ATT_Error(ATT_READ_NOT_PERMITTED_ERROR)
            return await self._values.read(connection, record.handle)

        async def write(connection: Connection, value: bytes) -> None:
            if not record.flags & _WRITE:
                raise ATT_Error(ATT_WRITE_NOT_PERMITTED_ERROR)
            await self._values.write(connection, record.handle, value)

        return AttributeValue(read, write)


def _uuid(record: Record) -> UUID:
    return UUID.from_bytes(record.uuid)


def _permissions(record: Record) -> Attribute.Permissions:
    permissions = Attribute.Permissions(0)
    if record.flags & _READ:
        permissions |= Attribute.Permissions.READABLE
    if record.flags & _WRITE:
        permissions |= Attribute.Permissions.WRITEABLE
    return permissions
