"""The boot state in one small file, the old or the new one after a power cut.

Little endian: "LLB1", confirmed slot, slot on trial, tries of it, early ends in a row, last result
(a byte each), highest confirmed sequence, sequences of the base and the slots a and b, sequences
of the trial and of the last result (four bytes each), label of the partition on trial (16 bytes),
CRC-32 of all that.
"""

import os
import struct
from binascii import crc32

BASE = 0
"""Slot: the application that is frozen into the image. 1 and 2 are the folders a and b."""
NO_TRIAL = 255

NOTHING = 0
"""Result: no update was ever tried."""
TRYING = 1
CONFIRMED = 2
ROLLED_BACK = 3
"""No gateway heard the new version in all its tries."""
UNUSABLE = 4
"""The new version could not be imported."""

_PATH = "boot.bin"
_MAGIC = b"LLB1"
_LAYOUT = "<4s5B6I16s"
_CRC_LAYOUT = "<I"


class BootState:
    """What the file holds. A damaged or absent file is the state of a node without updates."""

    def __init__(self, path: str = _PATH) -> None:
        self._path = path
        self.damaged = False
        self._set(
            struct.pack(_LAYOUT, _MAGIC, BASE, NO_TRIAL, 0, 0, NOTHING, 0, 0, 0, 0, 0, 0, b"")
        )
        self.load()

    def load(self) -> None:
        """Take what the file holds; what it cannot give stays as it is."""
        try:
            with open(self._path, "rb") as file:
                data = file.read(struct.calcsize(_LAYOUT) + 5)
        except OSError:
            return
        body = data[:-4]
        self.damaged = not _is_sound(body, data[-4:])
        if not self.damaged:
            self._set(body)

    def save(self) -> bool:
        """Make the present state durable; False, and the former one is back, if flash refuses."""
        data = struct.pack(
            _LAYOUT,
            _MAGIC,
            self.confirmed,
            self.trial,
            self.tries,
            self.failures,
            self.result,
            self.highest,
            *self.sequences,
            self.trial_sequence,
            self.result_sequence,
            self.label,
        )
        try:
            with open(self._path + ".new", "wb") as file:
                complete = file.write(data + struct.pack(_CRC_LAYOUT, crc32(data))) > len(data)
            if complete:
                os.rename(self._path + ".new", self._path)
                return True
        except OSError:
            complete = False
        self.load()
        return False

    def _set(self, body: bytes) -> None:
        fields = struct.unpack(_LAYOUT, body)
        self.confirmed, self.trial, self.tries, self.failures, self.result = fields[1:6]
        self.highest = fields[6]
        """Highest sequence that was ever confirmed; an update must be above it."""
        self.sequences = list(fields[7:10])
        self.trial_sequence, self.result_sequence = fields[10:12]
        self.label = fields[12].rstrip(b"\x00")
        """Partition that the bootloader is to start for the trial; empty for a folder."""


def _is_sound(body: bytes, check: bytes) -> bool:
    if len(body) != struct.calcsize(_LAYOUT) or struct.pack(_CRC_LAYOUT, crc32(body)) != check:
        return False
    fields = struct.unpack(_LAYOUT, body)
    return fields[0] == _MAGIC and fields[1] < 3 and (fields[2] < 3 or fields[2] == NO_TRIAL)
