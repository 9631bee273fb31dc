"""Blocks in memory, for a node whose flash is dead: it still talks."""

_BLOCK_BYTES = 512
_BLOCKS = 32
_COUNT = 4
_SIZE = 5


class RamDisk:
    """A block device of 16 KiB; a block need not be erased before it is written."""

    def __init__(self) -> None:
        self._data = bytearray(_BLOCKS * _BLOCK_BYTES)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        begin = block * _BLOCK_BYTES + offset
        buffer[:] = memoryview(self._data)[begin : begin + len(buffer)]

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Store."""
        begin = block * _BLOCK_BYTES + offset
        self._data[begin : begin + len(data)] = data

    def ioctl(self, request: int, _argument: int) -> int:
        """Count the blocks, tell their size; the rest is done without doing anything."""
        if request == _COUNT:
            return _BLOCKS
        return _BLOCK_BYTES if request == _SIZE else 0
