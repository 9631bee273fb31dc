"""Small copies in NVS: each a blob of the content and its CRC-32, little endian.

Part of the base: it imports nothing of lilong.
"""

import struct
from binascii import crc32

# The type checker's name; the constant of lilong_protocol is not to be had here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Nvs(Protocol):
        """esp32.NVS of one namespace; MicroPython has no `/` in signatures."""

        def get_i32(self, __key: str) -> int:  # noqa: PYI063
            """Return a number; OSError when there is none."""

        def set_i32(self, __key: str, __value: int) -> None:  # noqa: PYI063
            """Note a number."""

        def get_blob(self, __key: str, __buffer: bytearray) -> int:  # noqa: PYI063
            """Fill the buffer, return the length; OSError when there is none or it is longer."""

        def set_blob(self, __key: str, __value: bytes) -> None:  # noqa: PYI063
            """Note bytes."""

        def erase_key(self, __key: str) -> None:  # noqa: PYI063
            """Forget; OSError when there is none."""

        def commit(self) -> None:
            """Make it durable."""


NAMESPACE = "lilong"

_CRC_LAYOUT = "<I"
_CRC_BYTES = 4


class Copies:
    """What `nvs` holds (None: there is no NVS to be had); names have at most 15 characters."""

    def __init__(self, nvs: "Nvs | None", say: "Callable[[str], None]") -> None:
        self._nvs = nvs
        self._say = say

    def get(self, name: str, limit: int) -> "bytes | None":
        """Return the content, None when it is missing, damaged or longer than `limit` bytes."""
        if self._nvs is None:
            return None
        buffer = bytearray(limit + _CRC_BYTES)
        try:
            size = self._nvs.get_blob(name, buffer)
        except OSError:
            return None
        end = max(size - _CRC_BYTES, 0)
        data = bytes(memoryview(buffer)[:end])
        check = bytes(memoryview(buffer)[end:size])
        return data if check == struct.pack(_CRC_LAYOUT, crc32(data)) else None

    def put(self, name: str, data: bytes) -> bool:
        """Make it durable; False when NVS refuses."""
        if self._nvs is None:
            return False
        try:
            self._nvs.set_blob(name, data + struct.pack(_CRC_LAYOUT, crc32(data)))
            self._nvs.commit()
        except OSError as error:
            self._say("NVS refused " + name + ": " + repr(error))
            return False
        return True

    def count(self, name: str) -> int:
        """Return a number, 0 when there is none."""
        if self._nvs is None:
            return 0
        try:
            return self._nvs.get_i32(name)
        except OSError:
            return 0

    def note_count(self, name: str, value: int) -> bool:
        """Make a number durable; False when NVS refuses."""
        if value == self.count(name):
            return True
        if self._nvs is None:
            return False
        try:
            self._nvs.set_i32(name, value)
            self._nvs.commit()
        except OSError as error:
            self._say("NVS refused " + name + ": " + repr(error))
            return False
        return True

    def drop(self, name: str) -> None:
        """Forget it, if it was there."""
        if self._nvs is None:
            return
        try:
            self._nvs.erase_key(name)
            self._nvs.commit()
        except OSError:
            return
