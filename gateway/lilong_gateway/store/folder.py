"""The folder of the store: made when it is not there, and what stands in its way said plainly."""

import os
from pathlib import Path

from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.store.database import translated


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there; StoreUnavailableError."""
    obstacle = nearest(folder)
    if not obstacle.is_dir():
        raise StoreUnavailableError(in_the_way(obstacle))
    with translated(folder):
        folder.mkdir(parents=True, exist_ok=True)


def nearest(folder: Path) -> Path:
    """Return the folder itself, or the first above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def in_the_way(obstacle: Path) -> str:
    """Say what is wrong and what to do."""
    return f"{obstacle}: is a file, not a folder; move it away, or name another folder as data"
