"""A record of what the node did, line by line, for demonstrations and tests.

b boot, s sample, j journalled, y synchronised, a acknowledged, m memory, e end. Each line is one
write, so that a kill leaves whole lines.
"""

from lilong_firmware.trace import Trace
from lilong_protocol.blocks import decode_block
from lilong_protocol.errors import DecodeError
from lilong_protocol.frame import DATA_STREAM
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.journal import Journal
    from lilong_firmware.row import Row

_BLOCK_BYTES = const(1024)


class Recording(Trace):
    """Appends to a file. `unix_ms` is the wall clock."""

    def __init__(self, path: str, unix_ms: "Callable[[], int]") -> None:
        self._path = path
        self._unix_ms = unix_ms
        self.lost = 0
        """Lines that could not be written."""
        self._file = None
        try:
            self._file = open(path, "ab")  # noqa: SIM115 - open as long as the node runs
        except OSError:
            self.lost += 1

    def booted(self, boot_id: int, journal: "Journal") -> None:
        """Note the boot; before it the batch whose line a kill may have cut off."""
        if self._file is not None:
            self._complete(journal)
        self._line("b", boot_id, journal.epoch, self._unix_ms())

    def sampled(self, row: "Row") -> None:
        """Note the readings of a row."""
        if self._file is None:
            return
        time = str(row.time) if row.boot is None else "u" + str(row.time)
        unix_ms = self._unix_ms()
        for channel, value in row.readings:
            self._line("s", channel, time, value, unix_ms)

    def journalled(
        self, epoch: int, stream: int, seq: int, channels: "tuple[int, ...]", rows: int
    ) -> None:
        """Note a batch that is durable."""
        self._line("j", epoch, stream, seq, rows * len(channels), *channels)

    def synchronised(self, epoch_ms_at_boot: int) -> None:
        """Note that the clock was set."""
        self._line("y", epoch_ms_at_boot)

    def acknowledged(self, epoch: int, stream: int, next: int) -> None:  # noqa: A002
        """Note that everything below `next` is durable at a gateway."""
        self._line("a", epoch, stream, next)

    def measured(self, after_import: int, used: int, sent: int, received: int) -> None:
        """Note bytes of heap and of the serial line."""
        self._line("m", after_import, used, sent, received)

    def ended(self) -> None:
        """Note the orderly end."""
        self._line("e")

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, *words: "str | int") -> None:
        if self._file is None:
            return
        try:
            self._file.write(" ".join([str(word) for word in words]).encode() + b"\n")
            self._file.flush()
        except OSError:
            self.lost += 1

    def _complete(self, journal: "Journal") -> None:
        """Write the line of the newest batch if it is the only one that is missing."""
        newest = journal.next(DATA_STREAM) - 1
        if newest < 0 or self._last_journalled(journal.epoch) != newest - 1:
            return
        item = journal.read(DATA_STREAM, newest)
        try:
            block = decode_block(item or b"")
        except DecodeError:
            return
        channels = tuple([column[0] for column in block.columns])
        self.journalled(journal.epoch, DATA_STREAM, newest, channels, len(block.times))

    def _last_journalled(self, epoch: int) -> int:
        """Return the sequence number of the last j line of the data stream, -1 for none."""
        with open(self._path, "rb") as file:
            end = file.seek(0, 2)
            rest = b""
            while end > 0:
                begin = max(0, end - _BLOCK_BYTES)
                file.seek(begin)
                lines = (file.read(end - begin) + rest).split(b"\n")
                rest = lines[0]
                for line in reversed(lines[1:] if begin else lines):
                    words = line.split()
                    if words[:3] == [b"j", str(epoch).encode(), b"2"] and len(words) > 4:
                        return int(words[3])
                end = begin
        return -1
