"""One gateway per data folder."""

import fcntl
import os
from pathlib import Path

from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.store.database import translated


class FolderLock:
    """Holds a data folder for this process until closed or killed."""

    def __init__(self, folder: Path) -> None:
        """StoreUnavailableError if another process holds it or the folder cannot be written."""
        file = folder / "gateway.lock"
        with translated(file):
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                problem = f"{folder}: in use by another gateway; stop it or choose another folder"
                raise StoreUnavailableError(problem) from None

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)
