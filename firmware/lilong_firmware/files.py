"""Small files that are either the old or the new content after a power cut."""

import os

from lilong_firmware.errors import StorageError
from lilong_protocol.portable import const

NEW_SUFFIX = ".new"
"""Ends the name of a file that was being written; worthless after a reset."""

_SIZE = const(6)


def read_file(path: str, limit: int = 4096) -> "bytes | None":
    """Return at most `limit` bytes of a file, None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            # MicroPython reserves all that is asked for, before it reads.
            return file.read(min(limit, file_size(path)))
    except OSError:
        return None


def replace_file(path: str, data: bytes) -> None:
    """Make `data` the content of the file, at once or not at all.

    The content is durable when the file is closed (LittleFS) and takes its name by one rename.
    StorageError when the file system refuses; the old content is then still there.
    """
    new_path = path + NEW_SUFFIX
    try:
        with open(new_path, "wb") as file:
            complete = file.write(data) == len(data)
        if complete:
            os.rename(new_path, path)
            return
    except OSError as error:
        remove_file(new_path)
        raise StorageError(path + ": " + str(error))
    remove_file(new_path)
    raise StorageError(path + ": written short")


def remove_file(path: str) -> bool:
    """Remove a file; False when that was not possible or there was none."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True


def file_size(path: str) -> int:
    """Return the size in bytes, 0 when there is no such file."""
    try:
        return int(os.stat(path)[_SIZE])
    except OSError:
        return 0


def make_folder(path: str) -> bool:
    """Make a folder unless it is there; False when that was not possible."""
    try:
        os.mkdir(path)
    except OSError:
        try:
            os.listdir(path)
        except OSError:
            return False
    return True


def file_exists(path: str) -> bool:
    """Whether there is something of that name."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
