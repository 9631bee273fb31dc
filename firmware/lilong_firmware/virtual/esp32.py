"""`esp32` of a virtual node: partitions for images, as files of the current folder.

VNODE_PARTITION_BYTES gives the node two of that size, `ota_0` and `ota_1`; without it there is one
partition, as in MicroPython's usual table. `otadata` says which one is started and in which
state it is: `new` becomes `pending` when the bootloader starts it first, and `aborted` when it
does so again; then the other one is started. That is what ESP-IDF documents for
CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE. A process counts as one start, made when it first asks
for a partition.
"""

import os

_BLOCK = 4096
_SIZES = "VNODE_PARTITION_BYTES"
_DATA = "otadata"
_LABELS = ("ota_0", "ota_1")
_MAGIC = 0xE9
_NOT_FOUND = 2
_IO = 5
_INVALID_IMAGE = -0x1503


class Partition:
    """A partition with the methods of esp32.Partition that an update needs."""

    BOOT = 0
    RUNNING = 1
    TYPE_DATA = 1

    _started = ""

    def __init__(self, which: "int | str") -> None:
        if which == Partition.RUNNING:
            which = Partition._running()
        self._label = str(which)

    @staticmethod
    def find(_kind: int, **_wanted: str) -> "list[Partition]":
        """Return the partitions of data that are as wanted: the journal lies in files here."""
        return []

    def info(self) -> "tuple[int, int, int, int, str, bool]":
        """Return type, subtype, address, size in bytes, label, whether it is encrypted."""
        return 0, 0x10, 0x10000, _size(), self._label, False

    def get_next_update(self) -> "Partition":
        """Return the other one; OSError ENOENT when there is none."""
        if not _size():
            raise OSError(_NOT_FOUND)
        return Partition(_LABELS[self._label == _LABELS[0]])

    def readblocks(self, block: int, buffer: bytearray) -> None:
        """Read whole blocks."""
        view = memoryview(buffer)
        with open(self._label, "r+b") as file:
            file.seek(block * _BLOCK)
            count = file.readinto(buffer) or 0
        for index in range(count, len(buffer)):
            view[index] = 0xFF

    def writeblocks(self, block: int, buffer: bytes) -> None:
        """Erase whole blocks and write them."""
        if len(buffer) % _BLOCK or block * _BLOCK + len(buffer) > _size():
            raise OSError(_IO)
        try:
            file = open(self._label, "r+b")  # noqa: SIM115 - closed below, on either way
        except OSError:
            file = open(self._label, "w+b")  # noqa: SIM115
        with file:
            file.seek(block * _BLOCK)
            file.write(buffer)

    def set_boot(self) -> None:
        """Start this one from the next reset on; OSError when it holds no image."""
        first = bytearray(_BLOCK)
        try:
            self.readblocks(0, first)
        except OSError:
            raise OSError(_INVALID_IMAGE)
        if first[0] != _MAGIC:
            raise OSError(_INVALID_IMAGE)
        _write(self._label + " new")

    @classmethod
    def mark_app_valid_cancel_rollback(cls) -> None:
        """Stay with the one that runs."""
        label, state = _read()
        if label == cls._running() and state == "pending":
            _write(label + " valid")

    @classmethod
    def _running(cls) -> str:
        if not cls._started:
            cls._started = _start() if _size() else "factory"
        return cls._started


def _start() -> str:
    """Choose as the bootloader does, once."""
    label, state = _read()
    if state == "new":
        _write(label + " pending")
    elif state == "pending":
        label = _LABELS[label == _LABELS[0]]
        _write(label + " valid")
    return label


def _size() -> int:
    return int(os.getenv(_SIZES) or 0)


def _read() -> "tuple[str, str]":
    try:
        with open(_DATA) as file:
            label, state = file.read().split()
    except (OSError, ValueError):
        return _LABELS[0], "valid"
    return label, state


def _write(words: str) -> None:
    with open(_DATA + ".new", "w") as file:
        file.write(words)
    os.rename(_DATA + ".new", _DATA)
