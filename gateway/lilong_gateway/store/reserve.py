"""A file whose room is given up when the disk is full, so that deleting can go on."""

import os
from contextlib import suppress
from pathlib import Path

from lilong_gateway.store.database import free_bytes

_AGAIN = 3
"""It is taken again once the disk has so many times its size free."""


class Reserve:
    """Holds bytes of the disk beside the store; 0 bytes: none."""

    def __init__(self, file: Path, size_bytes: int) -> None:
        self._file = file
        self._bytes = size_bytes

    @property
    def held(self) -> bool:
        """Whether there is something to give up."""
        with suppress(OSError):
            return self._file.stat().st_size > 0
        return False

    @property
    def wanted(self) -> int:
        """How much room of the disk is to be left for it to be taken again."""
        return 0 if self.held else self._bytes

    def give(self) -> bool:
        """Give the room to whoever needs it; whether there was any."""
        held = self.held
        with suppress(OSError):
            self._file.unlink()
        return held

    def take(self) -> bool:
        """Take the room again if the disk has plenty of it; whether it was taken now."""
        if not self._bytes or self.held:
            return False
        if free_bytes(self._file.parent) < _AGAIN * self._bytes:
            return False
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(handle, 0, self._bytes)
        except OSError:
            self._file.unlink(missing_ok=True)
            return False
        finally:
            os.close(handle)
        return True
