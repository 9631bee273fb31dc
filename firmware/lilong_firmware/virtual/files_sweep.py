"""Cuts the power in every flash operation under the small files of a node, on a real LittleFS.

usage: files_sweep.py [ROUNDS]; prints one JSON object. For MicroPython, whose LittleFS it uses.
"""

import json
import os
import sys

from lilong_firmware.boot import next_boot_id
from lilong_firmware.crash import CrashNotes
from lilong_firmware.files import read_file, replace_file
from lilong_firmware.virtual.nor import WAYS, Nor, PowerCutError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLOCK_BYTES = 512
_BLOCKS = 64
_FOLDER = "/node/"
_SETTINGS = _FOLDER + "settings.json"
_KEY = _FOLDER + "key.bin"
_BOOT = _FOLDER + "boot.txt"
_NOTES = _FOLDER + "crash.txt"
_CAUSE = _FOLDER + "reset.txt"
_FILES = (_SETTINGS, _KEY, _NOTES, _CAUSE, _BOOT)
_BOOTS = _FILES.index(_BOOT)


class Sweep:
    """A flash with the files of a node on it; every change of one is cut in each operation."""

    def __init__(self) -> None:
        flash = Nor(_BLOCKS, _BLOCK_BYTES, strict=False)
        os.VfsLfs2.mkfs(flash)
        self._data = bytes(flash.data)
        self.tried = 0
        self.problems: list[str] = []

    def run(self, rounds: int) -> None:
        """Do everything that changes a file, again and again."""
        for count in range(rounds):
            for work in _changes(count):
                self._sweep(work)

    def _sweep(self, work: "Callable[[], object]") -> None:
        """Do it without a cut, then with one in each operation."""
        before = self._data
        flash = self._flash(before)
        old = _on(flash, _contents)
        begun = flash.operations
        _on(flash, work)
        operations = flash.operations - begun
        self._data = bytes(flash.data)
        new = _on(flash, _contents)
        for cut in range(operations):
            for way in WAYS:
                self.tried += 1
                self._cut(self._flash(before, cut, way, self.tried), work, (old, new))

    def _cut(
        self, flash: Nor, work: "Callable[[], object]", either: "tuple[list[bytes | None], ...]"
    ) -> None:
        try:
            _on(flash, work)
        except PowerCutError:
            flash.cut_after(None)
            # A new one: files that the cut left open are closed some day, on the old one.
            self._judge(self._flash(flash.data), either)

    def _judge(self, flash: Nor, either: "tuple[list[bytes | None], ...]") -> None:
        """Each file must hold the old or the new content, and the node must go on."""
        old, new = either
        try:
            left = _on(flash, _contents)
            for name, content, *wanted in zip(_FILES, left, old, new):
                # The cause of the last reset is read and removed before the next one is written.
                if content not in wanted and (name != _CAUSE or content is not None):
                    self._problem(name + " is neither old nor new")
            boot = _on(flash, lambda: next_boot_id(_BOOT, bytes))
            if boot not in (int(old[_BOOTS] or -1) + 1, int(new[_BOOTS] or -1) + 1):
                self._problem("boot " + str(boot))
            _on(flash, lambda: replace_file(_SETTINGS, b"goes on" * 99))
            if _on(flash, _contents)[0] != b"goes on" * 99:
                self._problem("it does not go on")
        except OSError as error:
            self._problem(repr(error))

    def _problem(self, what: str) -> None:
        self.problems.append("cut " + str(self.tried) + ": " + what)

    @staticmethod
    def _flash(
        data: "bytes | bytearray", cut: "int | None" = None, way: str = "", seed: int = 1
    ) -> Nor:
        flash = Nor(_BLOCKS, _BLOCK_BYTES, strict=False)
        flash.data[:] = data
        flash.cut_after(cut, way, seed)
        return flash


def _changes(count: int) -> "tuple[Callable[[], object], ...]":
    """Return what changes a file, each with a content of its own."""
    text = b"%d" % count * (40 + count * 131 % 900)
    return (
        lambda: replace_file(_SETTINGS, text),
        lambda: replace_file(_KEY, b"%16d" % count),
        lambda: next_boot_id(_BOOT, bytes),
        lambda: CrashNotes(_NOTES, _CAUSE).write(16, "duty", count, "why" * 40),
    )


def _on(flash: Nor, work: "Callable[[], Any]") -> "Any":
    """Mount the flash, do the work, and unmount it, whatever happens."""
    os.mount(os.VfsLfs2(flash), _FOLDER[:-1])
    try:
        return work()
    finally:
        os.umount(_FOLDER[:-1])


def _contents() -> "list[bytes | None]":
    return [read_file(name) for name in _FILES]


def main(rounds: int = 6) -> None:
    """Sweep and print."""
    sweep = Sweep()
    sweep.run(rounds)
    found = {"tried": sweep.tried, "failed": len(sweep.problems), "problems": sweep.problems[:5]}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:]])
