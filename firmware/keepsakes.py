"""The few files that a node cannot do without, each with a copy in NVS; either mends the other.

Where both are good and differ the file is the newer one. Part of the base: it imports nothing of
lilong.
"""

import json
import os
import struct
from binascii import crc32

from bootstate import BASE, BootState

# The type checker's name; the constant of lilong_protocol is not to be had here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from copies import Copies

_KEY = "key.bin"
_SETTINGS = "settings.json"
_STATE = "settings.state"
_LOST = "reformat.txt"
_NAMES = {_KEY: "key", "update.pub": "update_pub", _SETTINGS: "settings", _LOST: "lost"}
_LIMITS = {_KEY: 36, "update.pub": 64, _SETTINGS: 4000, _LOST: 400, _STATE: 64}
"""Bytes; NVS has 12 KiB, needs the old and the new copy at once, and serves others too."""
_FLOOR = "floor"
_FLOOR_LAYOUT = "<II"
_FLOOR_BYTES = 8
_FAILURES = "failures"
_ON_TRIAL = b"1"
_SIZE = 6


class Keepsakes:
    """The files in `folder`, which ends in a slash, and their `copies`."""

    def __init__(self, copies: "Copies", folder: str, say: "Callable[[str], None]") -> None:
        self._copies = copies
        self._folder = folder
        self._say = say

    @property
    def key_kept(self) -> bool:
        """Whether there is a copy of a key: the node was provisioned."""
        return self._copy(_KEY) is not None

    @property
    def key_there(self) -> bool:
        """Whether key.bin is usable."""
        return _is_sound(_KEY, self._read(_KEY))

    @property
    def failures(self) -> int:
        """How often in a row the file system could not be used."""
        return self._copies.count(_FAILURES)

    def note_failures(self, count: int) -> bool:
        """Keep that count over a reset; False when NVS does not take it."""
        return self._copies.note_count(_FAILURES, count)

    def note_loss(self, text: str) -> None:
        """Keep what is to be told of a file system that is given up."""
        self._copies.put(_NAMES[_LOST], text.encode()[: _LIMITS[_LOST]])

    def save(self) -> None:
        """Copy what is new; this writes to NVS only."""
        for name, copy_name in _NAMES.items():
            data = self._read(name)
            if data is None or name == _LOST or not _is_sound(name, data):
                continue
            if name == _SETTINGS and (self._read(_STATE) or b"")[:1] == _ON_TRIAL:
                # They have yet to find a gateway.
                continue
            if self._copy(name) != data:
                self._copies.put(copy_name, data)

    def restore(self) -> None:
        """Put back what is missing or damaged; OSError when that is the key, and cannot be."""
        for name in _NAMES:
            data = self._read(name)
            # What is wrong with settings that are there, their reader says.
            if data is None or (name != _SETTINGS and not _is_sound(name, data)):
                self._put_back(name)
        self._mend_floor()

    def forget(self) -> None:
        """Drop all copies, so that the node can be made another's."""
        for name in _NAMES.values():
            self._copies.drop(name)
        self._copies.drop(_FLOOR)
        self._copies.drop(_FAILURES)

    def _put_back(self, name: str) -> None:
        copy = self._copy(name)
        if copy is None:
            return
        path = self._folder + name
        try:
            with open(path + ".new", "wb") as file:
                file.write(copy)
            os.rename(path + ".new", path)
        except OSError as error:
            self._say(name + " cannot be put back: " + repr(error))
            if name == _KEY:
                raise
            return
        self._say(name + " is back from NVS")

    def _mend_floor(self) -> None:
        """Let no older update in because boot.bin is gone."""
        state = BootState(self._folder + "boot.bin")
        copy = self._copies.get(_FLOOR, _FLOOR_BYTES)
        if copy is None or len(copy) != _FLOOR_BYTES:
            copy = bytes(_FLOOR_BYTES)
        highest, base = struct.unpack(_FLOOR_LAYOUT, copy)
        if state.highest > highest:
            self._copies.put(
                _FLOOR, struct.pack(_FLOOR_LAYOUT, state.highest, state.sequences[BASE])
            )
        elif state.highest < highest:
            state.highest = highest
            state.sequences[BASE] = max(state.sequences[BASE], base)
            said = "the highest sequence is back from NVS"
            self._say(said if state.save() else "boot.bin cannot be written")

    def _copy(self, name: str) -> "bytes | None":
        copy = self._copies.get(_NAMES[name], _LIMITS[name])
        return copy if copy is not None and _is_sound(name, copy) else None

    def _read(self, name: str) -> "bytes | None":
        """Return the content, None when there is none; what cannot be read or is long is empty."""
        path = self._folder + name
        try:
            size = os.stat(path)[_SIZE]
        except OSError:
            return None
        if size > _LIMITS[name]:
            return b""
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return b""


def _is_sound(name: str, data: "bytes | None") -> bool:
    """Whether that can be the content of the file."""
    if not data:
        return False
    if name == _KEY:
        return len(data) == 16 or (
            len(data) == 36 and struct.pack("<I", crc32(data[:-4])) == data[-4:]
        )
    if name == _SETTINGS:
        try:
            # MicroPython takes what is cut short for whole.
            return isinstance(json.loads(data), dict) and data.rstrip()[-1:] == b"}"
        except ValueError:
            return False
    return name == _LOST or len(data) in {32, 64}
