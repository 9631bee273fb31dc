"""The values of a GATT server, with the sizes and the losses of MicroPython's (NimBLE)."""

import struct
from errno import EINVAL

from micropython import const
from uuids import UUID

_USUAL_BYTES = const(20)
_FIRST_HANDLE = const(19)
"""What lies below belongs to the services that every NimBLE has."""
_SERVICE = const(0)
_CHARACTERISTIC = const(1)
_DESCRIPTOR = const(2)
_SUBSCRIBABLE = const(0x0030)
"""The flags notify and indicate, which bring a client configuration descriptor with them."""


class Attribute:
    """One value in a buffer of fixed size."""

    def __init__(self) -> None:
        self._append = False
        self._buffer = bytearray(_USUAL_BYTES)
        self._used = 0

    def value(self) -> bytes:
        """Return what a remote device reads."""
        return bytes(memoryview(self._buffer)[: self._used])

    def resize(self, size: int, *, append: bool) -> None:
        """Make room for `size` bytes and empty it; what is written remotely is appended or not."""
        self._buffer = bytearray(size)
        self._used = 0
        self._append = append

    def read(self) -> bytes:
        """Return the value as its node reads it, which empties a buffer that is appended to."""
        value = self.value()
        if self._append:
            self._used = 0
        return value

    def write(self, data: "memoryview") -> None:
        """Replace the value by the node's; the buffer grows with it."""
        if len(data) > len(self._buffer):
            self._buffer = bytearray(len(data))
        self._buffer[: len(data)] = data
        self._used = len(data)

    def receive(self, data: "memoryview") -> None:
        """Take what was written remotely; bytes without room are lost without a word."""
        start = self._used if self._append else 0
        self._used = min(len(self._buffer), start + len(data))
        self._buffer[start : self._used] = data[: self._used - start]


class Table:
    """The attributes of all services, by their handles, and their description for the radio.

    The description has a record for each: `<u8 sort> <u16 handle> <u16 flags> <u8 length of the
    UUID> <UUID>`; a characteristic belongs to the service before it, a descriptor to the
    characteristic before it. ValueError for a definition that is none.
    """

    def __init__(self, services: "object") -> None:
        self._attributes = {}
        self._next = _FIRST_HANDLE
        self.description = bytearray()
        self.handles = tuple([self._service(uuid, members) for uuid, members in services])

    def find(self, handle: int) -> "Attribute | None":
        """Return the attribute of this handle, if there is one."""
        return self._attributes.get(handle)

    def at(self, handle: int) -> Attribute:
        """Return the attribute of this handle. OSError EINVAL."""
        found = self._attributes.get(handle)
        if found is None:
            raise OSError(EINVAL)
        return found

    def _service(self, uuid: UUID, characteristics: "object") -> "tuple[int, ...]":
        self._add(_SERVICE, 0, uuid)
        handles = []
        for characteristic in characteristics:
            if not 2 <= len(characteristic) <= 3:
                raise ValueError("invalid characteristic tuple")
            uuid, flags = characteristic[:2]
            # The declaration of a characteristic comes before its value.
            self._next += 1
            handles.append(self._add(_CHARACTERISTIC, flags, uuid))
            if flags & _SUBSCRIBABLE:
                self._next += 1
            for uuid, flags in characteristic[2] if len(characteristic) == 3 else ():
                handles.append(self._add(_DESCRIPTOR, flags, uuid))
        return tuple(handles)

    def _add(self, sort: int, flags: int, uuid: UUID) -> int:
        if not isinstance(uuid, UUID):
            raise ValueError("invalid UUID")  # noqa: TRY004 - as MicroPython
        handle = self._next
        self._next += 1
        digits = bytes(uuid)
        self.description.extend(struct.pack("<BHHB", sort, handle, flags, len(digits)) + digits)
        if sort != _SERVICE:
            self._attributes[handle] = Attribute()
        return handle
