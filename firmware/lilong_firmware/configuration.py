"""settings.json as one object with version and hash: staged, checked, swapped, and taken back.

Beside it lie `settings.old`, what was in force before, and `settings.state`: the state, how many
boots have tried the new one, and its hash, as one line of text.
"""

import os
from binascii import hexlify
from hashlib import sha256

from lilong_firmware.errors import StorageError
from lilong_firmware.files import file_exists, read_file, replace_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = 0
"""State: nothing was ever pushed."""
TRYING = 1
KEPT = 2
REVERTED = 3
"""With what was pushed last the node found no gateway."""

HASH_BYTES = 8

FILE_LIMIT = 16384
"""Bytes of the longest file."""

_TRIES = const(3)
_STATE_LIMIT = const(64)


class Configuration:
    """The file at `path` and its history. It is made before the settings are read."""

    def __init__(self, path: str, log: "Callable[[str], None]") -> None:
        stem = path.rsplit(".", 1)[0]
        self.path = path
        self._old_path = stem + ".old"
        self._state_path = stem + ".state"
        self._log = log
        self.digest = _digest(path)
        self.state, self._tries, self._tried = self._read()
        self._begin()

    @property
    def trying(self) -> bool:
        """Whether the configuration has yet to find a gateway."""
        return self.state == TRYING

    def keep(self) -> bool:
        """Stay with the new one: a gateway was found; False when flash refused to note that."""
        return self._note(KEPT, 0, self.digest)

    def revert(self) -> bool:
        """Go back to the one before, from the next boot on; False when flash refused."""
        self._log("no gateway with the new configuration: back to the one before")
        if not self._note(REVERTED, 0, self.digest):
            return False
        return self._swap_back()

    def swap(self, staged_path: str, digest: bytes) -> None:
        """Put a checked file in force, from the next boot on; StorageError: nothing changed."""
        replace_file(self._old_path, read_file(self.path, FILE_LIMIT) or b"")
        if not self._note(TRYING, 0, digest):
            raise StorageError(self._state_path + " could not be written")
        try:
            os.rename(staged_path, self.path)
        except OSError as error:
            raise StorageError(self.path + ": " + str(error))

    def _begin(self) -> None:
        """Count the boot of a new one, and finish what a power cut has left half done."""
        if self._tried != self.digest:
            # The swap never came about, or a person has written the file since.
            self.state = REVERTED if self.state == REVERTED else NOTHING
        elif self.state == REVERTED:
            self._swap_back()
        elif self.state == TRYING and self._tries >= _TRIES:
            self.revert()
        elif self.state == TRYING:
            self._note(TRYING, self._tries + 1, self.digest)

    def _swap_back(self) -> bool:
        if not file_exists(self._old_path):
            return True
        try:
            os.rename(self._old_path, self.path)
        except OSError as error:
            self._log(self.path + ": " + str(error))
            return False
        self.digest = _digest(self.path)
        return True

    def _note(self, state: int, tries: int, digest: bytes) -> bool:
        words = str(state) + " " + str(tries) + " " + hexlify(digest).decode()
        try:
            replace_file(self._state_path, words.encode())
        except StorageError as error:
            self._log(str(error))
            return False
        self.state, self._tries, self._tried = state, tries, digest
        return True

    def _read(self) -> "tuple[int, int, bytes]":
        words = (read_file(self._state_path, _STATE_LIMIT) or b"").split()
        if len(words) != 3 or words[0] not in {b"1", b"2", b"3"} or not words[1].isdigit():
            return NOTHING, 0, b""
        # As text, so that a damaged file is nothing worse than another hash.
        held = self.digest if words[2] == hexlify(self.digest) else words[2]
        return int(words[0]), int(words[1]), held


def _digest(path: str) -> bytes:
    """Return the first 8 bytes of the file's SHA-256; of no file those of nothing."""
    digest = sha256()
    piece = bytearray(512)
    view = memoryview(piece)
    try:
        with open(path, "rb") as file:
            count = file.readinto(piece)
            while count:
                digest.update(view[:count])
                count = file.readinto(piece)
    except OSError:
        return sha256(b"").digest()[:HASH_BYTES]
    return digest.digest()[:HASH_BYTES]
