"""Why the node reset itself, kept in flash for the next boot to tell."""

import io
import sys

from lilong_firmware.errors import StorageError
from lilong_firmware.files import read_file, remove_file, replace_file
from lilong_protocol.portable import const

DUTY_FAILED = 16
"""Reset cause beyond machine's 1..5: an unexpected error of a duty."""
DUTY_STALLED = 17
"""A duty made no progress for longer than it may."""

_NOTES_BYTES = const(2048)
_NOTE_BYTES = const(700)
_EARLY_MS = const(60000)


class CrashNotes:
    """Two small files: the last crashes as text, and the cause of the reset that is under way."""

    def __init__(self, notes_path: str, cause_path: str) -> None:
        self._notes_path = notes_path
        self._cause_path = cause_path
        self.cause: int | None = None
        """Why the last boot ended, None when it did not end by our own hand."""
        self.early = 0
        """How many boots in a row ended within a minute by our own hand."""
        words = (read_file(cause_path, 32) or b"").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
            self.cause = int(words[0])
            self.early = int(words[1])
            remove_file(cause_path)

    def write(self, cause: int, duty: str, uptime_ms: int, text: str) -> None:
        """Keep the cause and a note of at most 700 bytes; what flash refuses is lost."""
        early = self.early + 1 if uptime_ms < _EARLY_MS else 0
        note = duty + " at " + str(uptime_ms) + " ms: " + text.strip()
        kept = read_file(self._notes_path, _NOTES_BYTES) or b""
        try:
            replace_file(self._cause_path, (str(cause) + " " + str(early)).encode())
            notes = note.encode()[:_NOTE_BYTES] + b"\n\n" + kept
            replace_file(self._notes_path, notes[:_NOTES_BYTES])
        except StorageError:
            self.early = early


def describe(error: Exception) -> str:
    """Return the traceback, or the error where the interpreter cannot print it."""
    show = getattr(sys, "print_exception", None)
    if show is None:
        return repr(error)
    text = io.StringIO()
    show(error, text)
    return text.getvalue()
