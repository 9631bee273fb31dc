"""Why the node starts: what its last boot left behind, and what the chip says."""

import io
import struct
import sys
from binascii import crc32

from lilong_firmware.errors import StorageError
from lilong_firmware.files import read_file, remove_file, replace_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Protocol

    class Memory(Protocol):
        """A few bytes that survive every reset but the loss of power; see Board."""

        def retained(self) -> bytes:
            """Return what was kept, anything after a loss of power."""

        def retain(self, data: bytes) -> None:
            """Keep these bytes."""


POWER = 1
HARD = 2
WATCHDOG = 3
DUTY_FAILED = 16
"""Reset cause beyond machine's 1..5: an unexpected error of a duty."""
DUTY_STALLED = 17
"""A duty made no progress for longer than it may."""
PLANNED = 18
"""Somebody asked for it."""
UPDATED = 19
"""To run another firmware."""
CONFIGURED = 20
"""To take another configuration."""
PANIC = 21
"""The interpreter or the system below it failed: a hard reset that this node did not ask for."""
DIPPED = 22
"""The supply failed for so short a time that the retained memory outlived it: a brownout."""
CLOCK_WRONG = 23
"""The time was far ahead of the gateway's."""

_MAGIC = const(b"LN")
_RECORD = const("<2sBBI")
_RECORD_BYTES = const(8)
_RUNNING = const(0)
_NOTES_BYTES = const(2048)
_NOTE_BYTES = const(700)
_EARLY_MS = const(60000)


class CrashNotes:
    """Two small files: the last crashes as text, and the cause of the reset that is under way.

    The cause is kept in the retained memory too, if there is one: a full or broken flash does
    not take it away, and there it also tells that the node was running when it stopped.
    """

    def __init__(self, notes_path: str, cause_path: str, memory: "Memory | None" = None) -> None:
        self._notes_path = notes_path
        self._cause_path = cause_path
        self._memory = memory
        self.cause: int | None = None
        """Why the last boot ended, None when it did not end by our own hand."""
        self.early = 0
        """How many boots in a row ended within a minute by our own hand."""
        self._ran = memory is None
        self._recall()
        words = (read_file(cause_path, 32) or b"").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
            self.cause = int(words[0])
            self.early = int(words[1])
            remove_file(cause_path)
        self._retain(_RUNNING, self.early)

    def explain(self, hardware: int) -> int:
        """Return the reset cause for the next HELLO; `hardware` is what machine says.

        A hard reset is a panic when this node was running and wrote no cause before it.
        """
        if self.cause is not None:
            return self.cause
        if hardware == HARD and self._ran:
            return PANIC
        if hardware == POWER and self._ran and self._memory is not None:
            return DIPPED
        return hardware

    @property
    def code(self) -> int:
        """A number for the last crash, 0 for none: 16 bits of the CRC-32 of its last line.

        The same error has the same number on every node; its text is in the file.
        """
        newest = (read_file(self._notes_path, _NOTES_BYTES) or b"").split(b"\n\n")[0]
        line = newest.strip().split(b"\n")[-1].strip()
        # What comes before the error's own words differs from crash to crash.
        line = line[line.find(b" ms: ") + 5 :] if b" ms: " in line else line
        return (crc32(line) & 0xFFFF or 1) if line else 0

    def plan(self, cause: int) -> None:
        """Keep the cause of a reset that is no failure."""
        self._keep(cause, 0)

    def write(self, cause: int, duty: str, uptime_ms: int, text: str) -> None:
        """Keep the cause and a note of at most 700 bytes; what flash refuses is lost."""
        early = self.early + 1 if uptime_ms < _EARLY_MS else 0
        note = duty + " at " + str(uptime_ms) + " ms: " + text.strip()
        self._keep(cause, early)
        kept = read_file(self._notes_path, _NOTES_BYTES) or b""
        try:
            notes = note.encode()[:_NOTE_BYTES] + b"\n\n" + kept
            replace_file(self._notes_path, notes[:_NOTES_BYTES])
        except StorageError:
            self.early = early

    def _keep(self, cause: int, early: int) -> None:
        self._retain(cause, early)
        try:
            replace_file(self._cause_path, (str(cause) + " " + str(early)).encode())
        except StorageError:
            self.early = early

    def _recall(self) -> None:
        """Take what the retained memory still holds of the boot before."""
        data = b"" if self._memory is None else self._memory.retained()[:_RECORD_BYTES]
        if len(data) < _RECORD_BYTES:
            return
        magic, cause, early, check = struct.unpack(_RECORD, data)
        if magic != _MAGIC or crc32(data[:4]) != check:
            return
        self._ran = True
        if cause != _RUNNING:
            self.cause = cause
            self.early = early

    def _retain(self, cause: int, early: int) -> None:
        if self._memory is not None:
            head = _MAGIC + bytes([cause, min(early, 255)])
            self._memory.retain(head + struct.pack("<I", crc32(head)))


def describe(error: Exception) -> str:
    """Return the traceback, or the error where the interpreter cannot print it."""
    show = getattr(sys, "print_exception", None)
    if show is None:
        return repr(error)
    text = io.StringIO()
    show(error, text)
    return text.getvalue()
