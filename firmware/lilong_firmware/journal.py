"""Batches that no gateway has yet, in flash: they survive a power cut at any instant.

One file a batch, named by stream and sequence number, written aside and renamed. The newest
batch of each stream stays until a newer one exists, acknowledged or not, so that the highest
file always tells the next sequence number. An epoch is drawn when there is no batch at all; no
sequence number is used twice in one epoch.
"""

import struct
from binascii import crc32

from lilong_firmware.errors import JournalFullError, StorageError
from lilong_firmware.files import file_size, make_folder, read_file, remove_file, replace_file
from lilong_firmware.inventory import EPOCH_NOTE, Inventory, file_name
from lilong_firmware.record import ITEM_LIMIT, OVERHEAD, Record, unpack_record
from lilong_protocol.frame import ALARM_STREAM, STREAMS
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING = const(-1)


class Journal:
    """The outbox of a NodeSession, on a file system.

    When it is full the oldest batch of the least urgent stream gives way: bulk, data, control,
    never an alarm. `random(n)` returns n random bytes.
    """

    def __init__(
        self, folder: str, random: "Callable[[int], bytes]", max_batches: int, max_bytes: int
    ) -> None:
        self._folder = folder
        self._max_batches = max_batches
        self._max_bytes = max_bytes
        self.counters = {"damaged": 0, "foreign": 0, "dropped": 0, "failed": 0}
        self._first = [0] * STREAMS
        self._next = [0] * STREAMS
        self._kept: list[int] = [_NOTHING] * STREAMS
        self._marks = [(0, 0, 0)] * STREAMS
        self._size_bytes = 0
        found = self._open()
        self._unused = found is None or found.epoch is None
        if found is None or found.epoch is None:
            self.epoch = self._new_epoch(random)
        else:
            self.epoch = found.epoch
            self._adopt(found)

    # The outbox of a session

    def first(self, stream: int) -> int:
        """Return the lowest sequence number that is held."""
        return self._first[stream]

    def next(self, stream: int) -> int:
        """Return the sequence number that the next batch will get."""
        return self._next[stream]

    def read(self, stream: int, seq: int) -> "bytes | None":
        """Return the item of a held batch, None when it is not held or its file is damaged."""
        record = unpack_record(read_file(self._path(stream, seq), ITEM_LIMIT + OVERHEAD) or b"")
        if record is None or (record.epoch, record.seq) != (self.epoch, seq):
            return None
        return record.item

    def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002 - the session's word
        """Forget everything below `next`: it is durable elsewhere."""
        while self._first[stream] < min(next, self._next[stream]):
            self._forget(stream)
        if next > self._next[stream]:
            self._leap(stream, next)

    # The node's own side

    def append(self, stream: int, item: bytes, mark: "tuple[int, int, int]" = (0, 0, 0)) -> int:
        """Make a batch durable and return its sequence number.

        JournalFullError when only more urgent batches are held; StorageError when flash fails.
        """
        self._make_room(stream, len(item) + OVERHEAD)
        seq = self._next[stream]
        data = Record(self.epoch, stream, seq, item, mark).pack()
        self._write(stream, self._path(stream, seq), data)
        self._next[stream] = seq + 1
        self._marks[stream] = mark
        self._size_bytes += len(data)
        self._settle(stream)
        return seq

    def mark(self, stream: int) -> "tuple[int, int, int]":
        """Return the mark of the newest batch of a stream."""
        return self._marks[stream]

    @property
    def crowded(self) -> bool:
        """Whether more than half of the room is taken: what can wait had better wait."""
        return self.held * 2 > self._max_batches or self._size_bytes * 2 > self._max_bytes

    @property
    def held(self) -> int:
        """How many batches are held and not yet acknowledged."""
        return sum(self._next) - sum(self._first)

    # The start

    def _open(self) -> "Inventory | None":
        if not make_folder(self._folder):
            self.counters["failed"] += 1
            return None
        try:
            return Inventory(self._folder)
        except OSError:
            self.counters["failed"] += 1
            return None

    def _adopt(self, found: Inventory) -> None:
        self.counters["damaged"] = found.damaged
        self.counters["foreign"] = found.foreign
        self._size_bytes = found.size_bytes
        self._marks = found.marks
        for stream, seqs in enumerate(found.seqs):
            if seqs:
                self._first[stream] = seqs[0]
                self._next[stream] = seqs[-1] + 1
        remove_file(self._folder + "/" + EPOCH_NOTE)

    def _new_epoch(self, random: "Callable[[int], bytes]") -> int:
        """Return the epoch of a queue that never held a batch, the same until it holds one."""
        path = self._folder + "/" + EPOCH_NOTE
        note = read_file(path) or b""
        if len(note) == 8 and crc32(note[:4]) == struct.unpack("<I", note[4:])[0]:
            return int.from_bytes(note[:4], "little")
        drawn = random(4)
        try:
            replace_file(path, drawn + struct.pack("<I", crc32(drawn)))
        except StorageError:
            self.counters["failed"] += 1
        return int.from_bytes(drawn, "little")

    # Room

    def _make_room(self, stream: int, size_bytes: int) -> None:
        while self.held >= self._max_batches or self._size_bytes + size_bytes > self._max_bytes:
            if not self._drop(stream):
                raise JournalFullError("journal: full of batches that may not go")

    def _drop(self, stream: int) -> bool:
        """Let the oldest batch of the least urgent stream go, none more urgent than `stream`."""
        for victim in range(STREAMS - 1, max(stream, ALARM_STREAM + 1) - 1, -1):
            if self._first[victim] < self._next[victim]:
                self._forget(victim)
                self.counters["dropped"] += 1
                return True
        return False

    def _write(self, stream: int, path: str, data: bytes) -> None:
        try:
            replace_file(path, data)
        except StorageError:
            self.counters["failed"] += 1
            if not self._drop(stream):
                raise
            replace_file(path, data)

    def _forget(self, stream: int) -> None:
        """Stop holding the oldest batch of a stream; its file goes unless it is the newest."""
        seq = self._first[stream]
        path = self._path(stream, seq)
        self._size_bytes -= file_size(path)
        self._first[stream] = seq + 1
        if seq + 1 == self._next[stream]:
            self._kept[stream] = seq
        else:
            remove_file(path)

    def _leap(self, stream: int, next: int) -> None:  # noqa: A002
        """Go on at `next`: a gateway has seen the numbers below, of which no file is left.

        An empty batch is kept in the last one's place, so that a reset brings none of them back.
        """
        place = next - 1
        try:
            record = Record(self.epoch, stream, place, b"", self._marks[stream])
            replace_file(self._path(stream, place), record.pack())
            self._settle(stream)
            self._kept[stream] = place
        except StorageError:
            self.counters["failed"] += 1
        self._first[stream] = self._next[stream] = next

    def _settle(self, stream: int) -> None:
        """Remove what a newer batch has made superfluous."""
        if self._kept[stream] != _NOTHING:
            remove_file(self._path(stream, self._kept[stream]))
            self._kept[stream] = _NOTHING
        if self._unused:
            self._unused = False
            remove_file(self._folder + "/" + EPOCH_NOTE)

    def _path(self, stream: int, seq: int) -> str:
        return self._folder + "/" + file_name(stream, seq)
