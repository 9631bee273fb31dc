"""A journal on LittleFS, on a flash whose power goes after so many operations; for MicroPython.

`power_cut.py work N` works until operation N + 1, then the process is killed; it prints "done"
when there was none. `power_cut.py check N` examines what cut N has left; it prints "good".
Flash and promises are files of the current folder.
"""

import os
import sys

from lilong_firmware.journal import Journal

_BLOCK = 512
_BLOCKS = 64
_STREAMS = (2, 0)


class Flash:
    """A block device on a file."""

    def __init__(self, path: str, left: int) -> None:
        self._file = open(path, "r+b")  # noqa: SIM115 - open until the power goes
        self._left = left

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Read."""
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> None:
        """Program."""
        self._write(block * _BLOCK + offset, buffer)

    def ioctl(self, request: int, block: int) -> int:
        """Count and erase."""
        if request == 4:
            return _BLOCKS
        if request == 5:
            return _BLOCK
        if request == 6:
            self._write(block * _BLOCK, b"\xff" * _BLOCK)
        return 0

    def _write(self, position: int, data: bytes) -> None:
        if self._left <= 0:
            os.system("kill -9 $PPID")  # noqa: S605 - MicroPython has no os.kill
        self._left -= 1
        self._file.seek(position)
        self._file.write(data)


def item_of(stream: int, seq: int) -> bytes:
    """Return what batch `seq` holds; of changing size, so that some are inlined."""
    return bytes([stream]) + b"%d" % seq * (1 + seq * 37 % 90)


def mount(path: str, left: int) -> Journal:
    """Open the journal on a flash."""
    os.mount(os.VfsLfs2(Flash(path, left)), "/flash")
    return Journal("/flash/journal", os.urandom, 100, 100000)


def work(cut: int) -> None:
    """Append and acknowledge, and note what has been promised."""
    path = "flash%d" % cut
    with open(path, "wb") as file:
        file.write(b"\xff" * (_BLOCK * _BLOCKS))
    os.VfsLfs2.mkfs(Flash(path, 1 << 20))
    promises = open("promises%d" % cut, "wb")  # noqa: SIM115 - open until the power goes
    journal = mount(path, cut)
    for step in range(12):
        stream = _STREAMS[step % 5 == 0]
        seq = journal.append(stream, item_of(stream, journal.next(stream)))
        promises.write(b"held %d %d %d\n" % (stream, seq, journal.epoch))
        if step % 3 == 2:
            upto = journal.next(2) - step % 2
            promises.write(b"acknowledged 2 %d 0\n" % upto)
            journal.acknowledged(2, upto)
        if step == 6:
            upto = journal.next(0) + 3
            promises.write(b"acknowledged 0 %d 0\n" % upto)
            journal.acknowledged(0, upto)
            promises.write(b"held 0 %d %d\n" % (upto - 1, journal.epoch))
    sys.stdout.write("done\n")


def promised(cut: int) -> "tuple[list[tuple[int, int, int]], list[int]]":
    """Return (stream, seq, epoch) of what was appended, and what was acknowledged."""
    acknowledged = [0, 0, 0, 0]
    held = []
    with open("promises%d" % cut) as file:
        for line in file:
            word, stream, seq, epoch = line.split()
            if word == "held":
                held.append((int(stream), int(seq), int(epoch)))
            else:
                acknowledged[int(stream)] = int(seq)
    return held, acknowledged


def check_batch(journal: Journal, stream: int, seq: int) -> None:
    """Look at a batch that the node still owes."""
    if seq < journal.first(stream):
        raise SystemExit("a batch was forgotten")
    if journal.read(stream, seq) != item_of(stream, seq):
        raise SystemExit("a batch is damaged")


def check(cut: int) -> None:
    """Start again on what the cut has left."""
    journal = mount("flash%d" % cut, 1 << 20)
    held, acknowledged = promised(cut)
    for stream, seq, epoch in held:
        if journal.epoch != epoch:
            raise SystemExit("another epoch")
        if seq >= journal.next(stream):
            raise SystemExit("a number would come again")
        if seq >= acknowledged[stream]:
            check_batch(journal, stream, seq)
    if journal.next(2) > len(held) + 1:
        raise SystemExit("a number was left out")
    seq = journal.append(2, b"goes on")
    if journal.read(2, seq) != b"goes on":
        raise SystemExit("it does not go on")


if sys.argv[1] == "work":
    work(int(sys.argv[2]))
else:
    for number in range(int(sys.argv[2])):
        check(number)
        os.umount("/flash")
    sys.stdout.write("good\n")
