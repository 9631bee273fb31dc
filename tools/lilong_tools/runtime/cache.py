"""The cache folder of this user, outside the tree, for what was fetched once."""

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


class Cache:
    """A folder shared by all runs; whoever changes it holds its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[Path]:
        """Hold the lock and give an empty scratch folder; OSError when it cannot be written.

        Scratch folders of runs that were killed are removed; the system frees their lock.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            _wait_for(lock.fileno())
            for left_over in self.folder.glob("scratch-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.folder))
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


def user_cache() -> Cache:
    """Give the cache named by LILONG_CACHE, else the one in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("LILONG_CACHE"):
        return Cache(Path(own).absolute())
    shared = os.environ.get("XDG_CACHE_HOME")
    return Cache(Path(shared or Path("~/.cache").expanduser()).absolute() / "lilong")


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logging.getLogger(__name__).info("Waiting for another run that fills the cache.")
        fcntl.flock(lock, fcntl.LOCK_EX)
