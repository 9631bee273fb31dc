"""What a journal's folder holds after a reset: the one look at all of it."""

import os

from lilong_firmware.files import file_size, read_file, remove_file
from lilong_firmware.record import ITEM_LIMIT, NOWHERE, OVERHEAD, Record, unpack_record
from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import const

EPOCH_NOTE = "epoch"
"""Name of the file that keeps the epoch of a queue which never held a batch."""

_SEQ_DIGITS = const(8)
_GAP_LIMIT = const(64)


def file_name(stream: int, seq: int) -> str:
    """Return the name of the file of one batch."""
    return "%d-%08x" % (stream, seq)


def parse_name(name: str) -> "tuple[int, int] | None":
    """Return (stream, seq), or None when the name is not one of ours."""
    if len(name) != 2 + _SEQ_DIGITS or name[0] not in "0123" or name[1] != "-":
        return None
    for digit in name[2:]:
        if digit not in "0123456789abcdef":
            return None
    return int(name[0]), int(name[2:], 16)


class Inventory:
    """Reads every file once, keeps the batches of one epoch and removes what is none.

    A file with a good name and damaged content stays: its sequence number may have been used, so
    it must not be given again. `seqs[stream]` is in ascending order.
    """

    def __init__(self, folder: str) -> None:
        self.damaged = 0
        """Files whose name is ours and whose content is torn or rotten."""
        self.foreign = 0
        """Files that were removed: of another epoch, of another name, half written."""
        self.epoch: int | None = None
        """The epoch that most batches are of; None when there is no batch."""
        self.size_bytes = 0
        self.seqs: list[list[int]] = [[] for _ in range(STREAMS)]
        self.marks = [NOWHERE] * STREAMS
        """How far the source of each stream was, by its newest readable batch."""
        self._folder = folder
        self._epochs: dict[int, int] = {}
        self._found: list[tuple[int, int, int | None, int]] = []
        self._sizes: list[list[int]] = [[] for _ in range(STREAMS)]
        self._look()
        self._elect()
        self._sort()
        for stream in range(STREAMS):
            self._cut(stream)

    def _look(self) -> None:
        for name in os.listdir(self._folder):
            place = parse_name(name)
            if place is None:
                if name != EPOCH_NOTE:
                    self._remove(name)
                continue
            stream, seq = place
            record = self._read(name)
            if record is None or (record.stream, record.seq) != place:
                self.damaged += 1
                self._found.append((stream, seq, None, file_size(self._path(name))))
            else:
                self._epochs[record.epoch] = self._epochs.get(record.epoch, 0) + 1
                self._found.append((stream, seq, record.epoch, len(record.item) + OVERHEAD))

    def _elect(self) -> None:
        most = 0
        for epoch, batches in self._epochs.items():
            if batches > most:
                most = batches
                self.epoch = epoch

    def _sort(self) -> None:
        if self.epoch is None and self._found:
            # All that is left is damaged: numbers of the noted epoch may have been used.
            remove_file(self._path(EPOCH_NOTE))
        for stream, seq, epoch, size in sorted(self._found):
            if self.epoch is None or epoch not in (None, self.epoch):
                self._remove(file_name(stream, seq))
            else:
                self.seqs[stream].append(seq)
                self._sizes[stream].append(size)
        self._found = []

    def _cut(self, stream: int) -> None:
        """Leave out what lies beyond a wide gap: nobody can tell what was there."""
        seqs = self.seqs[stream]
        for index in range(len(seqs) - 1, 0, -1):
            if seqs[index] - seqs[index - 1] > _GAP_LIMIT:
                for seq in seqs[:index]:
                    self._remove(file_name(stream, seq))
                self.seqs[stream] = seqs[index:]
                self._sizes[stream] = self._sizes[stream][index:]
                break
        self._weigh(stream)

    def _weigh(self, stream: int) -> None:
        self.size_bytes += sum(self._sizes[stream])
        for seq in reversed(self.seqs[stream]):
            record = self._read(file_name(stream, seq))
            if record is not None:
                self.marks[stream] = record.mark
                return

    def _read(self, name: str) -> "Record | None":
        return unpack_record(read_file(self._path(name), ITEM_LIMIT + OVERHEAD + 1) or b"")

    def _path(self, name: str) -> str:
        return self._folder + "/" + name

    def _remove(self, name: str) -> None:
        self.foreign += 1
        remove_file(self._path(name))
