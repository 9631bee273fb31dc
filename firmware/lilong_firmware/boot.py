"""The number of this boot."""

from lilong_firmware.errors import StorageError
from lilong_firmware.files import read_file, replace_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

_MASK = const(0xFFFFFFFF)


def next_boot_id(path: str, random: "Callable[[int], bytes]") -> int:
    """Count the boot in the file and return its number, 32 bits.

    Where there is no usable count a random one begins, so that a node that lost its flash does
    not number its boots as it did before.
    """
    text = (read_file(path, 16) or b"").strip()
    drawn = int.from_bytes(random(4), "little")
    number = (int(text) + 1) & _MASK if text.isdigit() else drawn
    try:
        replace_file(path, str(number).encode())
    except StorageError:
        return drawn
    return number
