"""The node's two key slots in one small file, the old or the new one after a power cut.

As it is provisioned the file holds the 16 bytes of the key. While a new key waits for its proof
it holds the key in force, the next one and the CRC-32 of both, little endian.
"""

import struct
from binascii import crc32

from lilong_firmware.errors import SettingsError, StorageError
from lilong_firmware.files import read_file, replace_file
from lilong_protocol.node_keys import KEY_BYTES, NodeKeys
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

_CRC_BYTES = const(4)


def read_keys(path: str, changed: "Callable[[], None] | None" = None) -> NodeKeys:
    """Return the node's keys; SettingsError when there are none.

    `changed` is called when the file holds others.
    """
    data = read_file(path, 2 * KEY_BYTES + _CRC_BYTES + 1)
    if data is None:
        raise SettingsError(path, "cannot be read; provision the node")
    pair = data[:-_CRC_BYTES]
    if len(data) == KEY_BYTES:
        current, following = data, None
    elif len(pair) == 2 * KEY_BYTES and struct.unpack("<I", data[-_CRC_BYTES:])[0] == crc32(pair):
        current, following = pair[:KEY_BYTES], pair[KEY_BYTES:]
    else:
        raise SettingsError(path, "must hold 16 bytes; provision the node again")
    return NodeKeys(current, following, _Saver(path, changed).save)


class _Saver:
    """Writes the slots of one file."""

    def __init__(self, path: str, changed: "Callable[[], None] | None") -> None:
        self._path = path
        self._changed = changed

    def save(self, current: bytes, following: "bytes | None") -> bool:
        """Make both slots durable at once; False when flash refused."""
        data = current
        if following is not None:
            pair = current + following
            data = pair + struct.pack("<I", crc32(pair))
        try:
            replace_file(self._path, data)
        except StorageError:
            return False
        if self._changed is not None:
            self._changed()
        return True
