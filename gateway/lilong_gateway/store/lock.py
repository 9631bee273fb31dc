"""One gateway per data folder."""

import fcntl
import os
from pathlib import Path

from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.store.database import translated

_NAME = "gateway.lock"


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder; leaves no file behind. OSError."""
    try:
        fd = os.open(folder / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def in_use(folder: Path) -> str:
    """Say that another gateway has the folder, and what to do."""
    return f"{folder}: in use by another gateway; stop it or choose another folder"


class FolderLock:
    """Holds a data folder for this process until closed or killed."""

    def __init__(self, folder: Path) -> None:
        """StoreUnavailableError if another process holds it or the folder cannot be written."""
        file = folder / _NAME
        with translated(file):
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                raise StoreUnavailableError(in_use(folder)) from None

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)
