"""Gets a file system under the node, whatever state the flash is in.

Part of the base: it imports nothing of lilong.
"""

import os
from binascii import hexlify

from ramdisk import RamDisk

# The type checker's name; the constant of lilong_protocol is not to be had here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from keepsakes import Keepsakes

_TRIES = 3
"""Boots in a row that find no usable file system before it is made anew."""
_ATTEMPTS = 2
_NO_SPACE = (28, 36)
"""LittleFS says ENAMETOOLONG when there is no room for a new file's name."""
_SHOWN_BYTES = 48
_PROBE = "probe.new"
_PROBE_BYTES = 256
"""More than LittleFS keeps in a folder: it must find a free block, and reads all for that."""
_INBOX = "inbox"


class Storage:
    """The LittleFS on `flash`, a block device, mounted at `folder`, which ends in a slash.

    `vfs` is MicroPython's module of that name; `kept` has the copies of what must not be lost.
    """

    def __init__(
        self,
        flash: "Any",
        vfs: "Any",
        kept: "Keepsakes",
        folder: str,
        say: "Callable[[str], None]",
    ) -> None:
        self._flash = flash
        self._vfs = vfs
        self._kept = kept
        self._folder = folder
        self._root = folder[:-1] or "/"
        self._say = say

    def open(self, *, hung: bool, quick: bool) -> bool:
        """Mount and mend it; False to reset and try again, which is counted in NVS.

        `hung`: the watchdog ended the last boot, so what hangs in here is counted beforehand;
        `quick`: this is a wake-up from deep sleep, nothing is written as long as all is well.
        """
        failures = self._kept.failures
        counted = hung and self._kept.note_failures(failures + 1)
        if counted and failures + 1 >= _TRIES:
            self._make("it hangs")
            return True
        problem = self._attempt(quick)
        if problem is None:
            self._kept.note_failures(0)
            return True
        failures += 1
        self._say("no file system: " + repr(problem) + ", boot " + str(failures))
        if failures < _TRIES and not self._is_blank() and self._kept.note_failures(failures):
            return False
        self._make(repr(problem))
        return True

    def open_in_memory(self) -> None:
        """Mount a file system that lasts until the reset, with what NVS holds."""
        self._say("files are in memory, until the next reset")
        disk = RamDisk()
        self._vfs.VfsLfs2.mkfs(disk)
        self._use(disk, quick=False)

    def _attempt(self, quick: bool) -> "OSError | None":  # noqa: FBT001
        """Return what is wrong, if it is so twice."""
        problem = None
        for _ in range(_ATTEMPTS):
            problem = self._use(self._flash, quick=quick)
            if problem is None:
                break
        return problem

    def _use(self, flash: "Any", *, quick: bool) -> "OSError | None":
        """Mount it and see that it can be written; not mounted if anything is wrong."""
        try:
            self._vfs.mount(self._vfs.VfsLfs2(flash), self._root)
        except OSError as error:
            return error
        try:
            if not quick or not self._kept.key_there:
                self._kept.save()
                self._probe()
                self._kept.restore()
        except OSError as error:
            if self._kept.key_there and not self._kept.key_kept:
                self._say("nothing can be written: " + repr(error) + "; its only key is in here")
                return None
            self._vfs.umount(self._root)
            return error
        return None

    def _probe(self) -> None:
        """OSError when nothing can be written, unless there is only no room."""
        try:
            with open(self._folder + _PROBE, "wb") as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            self._say("the file system is full: the inbox is emptied")
            self._empty_inbox()
        _remove(self._folder + _PROBE)

    def _empty_inbox(self) -> None:
        """Drop what a gateway sends again."""
        try:
            names = os.listdir(self._folder + _INBOX)
        except OSError:
            return
        for name in names:
            _remove(self._folder + _INBOX + "/" + name)

    def _is_blank(self) -> bool:
        """Whether nothing is where a file system begins."""
        return not (self._head(0) + self._head(1)).strip(b"\xff")

    def _head(self, block: int) -> bytes:
        buffer = bytearray(_SHOWN_BYTES)
        try:
            self._flash.readblocks(block, buffer, 0)
        except OSError:
            return b"?"
        return bytes(buffer)

    def _make(self, why: str) -> None:
        """Make it anew and put back what NVS holds; in memory when the flash takes nothing."""
        if not self._is_blank():
            heads = [hexlify(self._head(block)).decode() for block in (0, 1)]
            self._kept.note_loss("\n".join([why] + heads) + "\n")
        self._say("a new file system is made")
        problem = self._made()
        if problem is None:
            self._kept.note_failures(0)
            return
        self._say("the flash is unusable: " + repr(problem))
        self.open_in_memory()

    def _made(self) -> "OSError | None":
        try:
            self._vfs.VfsLfs2.mkfs(self._flash)
        except OSError as error:
            return error
        return self._use(self._flash, quick=False)


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except OSError:
        return
