"""The state of a sleeping node in the memory of the real-time clock, 2048 bytes in all.

    8 bytes     the crash record, see lilong_firmware.crash
    2 * 144     slots, written in turn: "LZ", version, 0, sequence (2 bytes), bytes of the log (2),
                CRC-32 of the log, the state, CRC-32 of all that
    1752        the log, to which bytes are added behind those that are there

A write that is cut off anywhere leaves what was there before: the other slot, and the begin of
the log that it stands for. Little endian. What is foreign, torn or of another version is nothing.
"""

import struct
from binascii import crc32

from lilong_firmware.sleep.state import STATE_BYTES, State, unpack_state
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Protocol

    class Memory(Protocol):
        """See Board."""

        def retained(self) -> bytes:
            """Return all that is kept."""

        def retain(self, data: bytes, offset: int = 0) -> None:
            """Keep these bytes at that place, and what is elsewhere."""


_MEMORY_BYTES = const(2048)
_CRASH_BYTES = const(8)
_MAGIC = b"LZ"
_VERSION = const(1)
_HEAD = "<2sBxHHI"
_HEAD_BYTES = const(12)
_CRC_BYTES = const(4)
_SLOT_BYTES = _HEAD_BYTES + STATE_BYTES + _CRC_BYTES
_LOG_AT = _CRASH_BYTES + 2 * _SLOT_BYTES
_SEQUENCES = const(0x10000)

LOG_BYTES = _MEMORY_BYTES - _LOG_AT
"""Room for rounds."""


class Retained:
    """Reads and writes it; `state` is None where there is none."""

    def __init__(self, memory: "Memory") -> None:
        self._memory = memory
        self._sequence = 0
        self._slots = [bytes(_SLOT_BYTES), bytes(_SLOT_BYTES)]
        self.state: State | None = None
        kept = memory.retained()
        for index in range(2):
            begin = _CRASH_BYTES + index * _SLOT_BYTES
            self._take(index, kept[begin : begin + _SLOT_BYTES], kept[_LOG_AT:])

    def save(self, state: State) -> None:
        """Keep this state and its log."""
        self.state = state
        self._sequence = (self._sequence + 1) % _SEQUENCES
        size = len(state.log)
        head = struct.pack(_HEAD, _MAGIC, _VERSION, self._sequence, size, crc32(state.log))
        body = head + state.pack()
        self._slots[self._sequence % 2] = body + struct.pack("<I", crc32(body))
        self._memory.retain(self._slots[0] + self._slots[1] + bytes(state.log), _CRASH_BYTES)

    def _take(self, index: int, slot: bytes, rest: bytes) -> None:
        """Take a slot over when it is sound and newer than what was found before."""
        body = slot[:-_CRC_BYTES]
        if len(slot) < _SLOT_BYTES or struct.pack("<I", crc32(body)) != slot[-_CRC_BYTES:]:
            return
        self._slots[index] = slot
        magic, version, sequence, size, check = struct.unpack_from(_HEAD, slot)
        log = rest[:size]
        if magic != _MAGIC or version != _VERSION or len(log) != size or crc32(log) != check:
            return
        newer = (sequence - self._sequence) % _SEQUENCES < _SEQUENCES // 2
        if self.state is None or newer:
            self._sequence = sequence
            self.state = unpack_state(body[_HEAD_BYTES:], log)
