"""Counts what batches cost a flash: in the journal, and as one file each on LittleFS.

usage: journal_wear.py [BATCHES]; prints one JSON object. For MicroPython, whose LittleFS it uses.
"""

import json
import os
import sys

from lilong_firmware.area import SECTOR_BYTES
from lilong_firmware.files import remove_file, replace_file
from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal
from lilong_firmware.virtual.nor import Chance, Nor
from lilong_protocol.frame import DATA_STREAM

_SECTORS = 32
_ON_THEIR_WAY = 8
_USUAL_BYTES = 110
_SIZES = (60, _USUAL_BYTES, 240, 480)
_FILE_OVERHEAD = 27
_FEW = 500


class Costs:
    """Erases and programmed bytes, from its making on."""

    def __init__(self, flash: Nor) -> None:
        self._flash = flash
        self._erases = flash.erases
        self._bytes = flash.programmed_bytes

    def of(self, batches: int, item_bytes: int) -> "tuple[float, float]":
        """Return erases a batch, and bytes programmed for each byte of an item."""
        erases = (self._flash.erases - self._erases) / batches
        return erases, (self._flash.programmed_bytes - self._bytes) / (batches * item_bytes)


def running(batches: int, size: int) -> "tuple[float, float]":
    """Return what batches cost that a gateway takes soon, once the flash has been round."""
    flash = Nor(_SECTORS)
    return _run(flash, Journal(flash, Chance(1).bytes), batches, size)


def on_files(batches: int, size: int) -> "tuple[float, float]":
    """Return what the same costs where the journal has no partition but files on LittleFS."""
    flash = Nor(3 * _SECTORS, strict=False)
    os.VfsLfs2.mkfs(flash)
    os.mount(os.VfsLfs2(flash), "/files")
    files = FileFlash("/files/journal", _SECTORS * SECTOR_BYTES)
    found = _run(flash, Journal(files, Chance(1).bytes), batches, size)
    files.close()
    os.umount("/files")
    return found


def _run(flash: Nor, journal: Journal, batches: int, size: int) -> "tuple[float, float]":
    item = bytes(size)
    costs = Costs(flash)
    for count in range(2 * batches):
        if count == batches:
            costs = Costs(flash)
        seq = journal.append(DATA_STREAM, item)
        journal.acknowledged(DATA_STREAM, seq + 1 - _ON_THEIR_WAY)
    return costs.of(batches, size)


def full(batches: int, size: int) -> "tuple[float, float]":
    """Return what batches cost when no gateway has taken any for a long time."""
    flash = Nor(_SECTORS)
    journal = Journal(flash, Chance(1).bytes)
    item = bytes(size)
    while journal.counters["dropped"] < batches:
        journal.append(DATA_STREAM, item)
    costs = Costs(flash)
    for _ in range(batches):
        journal.append(DATA_STREAM, item)
    return costs.of(batches, size)


def file_each(batches: int, size: int) -> "tuple[float, float]":
    """Return what the same costs on LittleFS, one file a batch, written aside and renamed."""
    flash = Nor(_SECTORS, strict=False)
    os.VfsLfs2.mkfs(flash)
    os.mount(os.VfsLfs2(flash), "/peer")
    data = bytes(size + _FILE_OVERHEAD)
    costs = Costs(flash)
    for seq in range(batches):
        replace_file("/peer/2-%08x" % seq, data)
        remove_file("/peer/2-%08x" % (seq - _ON_THEIR_WAY))
    os.umount("/peer")
    return costs.of(batches, size)


def main(batches: int = 1000) -> None:
    """Measure and print."""
    found: dict[str, object] = {}
    measured = (("journal", running), ("journal_full", full), ("journal_peer", file_each))
    for name, measure in measured:
        of_sizes = [measure(batches, size) for size in _SIZES]
        usual = of_sizes[_SIZES.index(_USUAL_BYTES)]
        found[name + "_erases_per_batch"], found[name + "_write_amplification"] = usual
        for index, word in enumerate(("_erases", "_write_amplification")):
            found[name + word + "_by_item_bytes"] = [each[index] for each in of_sizes]
    costs = on_files(min(batches, _FEW), _USUAL_BYTES)
    found["journal_files_erases_per_batch"], found["journal_files_write_amplification"] = costs
    found["journal_item_bytes"] = _SIZES
    print(json.dumps(found))


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:]])
