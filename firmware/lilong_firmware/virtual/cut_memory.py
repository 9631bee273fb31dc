"""The memory of the real-time clock, of a chip that is reset in the middle of a write."""


class ResetError(Exception):
    """The chip was reset: whoever used the memory has lost all else."""


class CutMemory:
    """Has the methods of Board; a write that is cut has done its first part."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0
        self._cut: tuple[int, int] | None = None

    def cut(self, writes: int, permille: int) -> None:
        """Reset the chip in the write after so many more, when that much of it is done."""
        self._cut = (self.writes + writes, permille)

    def retained(self) -> bytes:
        """Return all of it."""
        return self.data

    def retain(self, data: bytes, offset: int = 0) -> None:
        """Write a part of it; ResetError where it is cut, ValueError beyond 2048 bytes."""
        old = self.data + bytes(max(0, offset - len(self.data)))
        size = len(data)
        if self._cut is not None and self._cut[0] == self.writes:
            size = size * self._cut[1] // 1000
        self.data = old[:offset] + bytes(data[:size]) + old[offset + size :]
        self.writes += 1
        if len(self.data) > 2048:
            raise ValueError("buffer too long")
        if self._cut is not None and self._cut[0] == self.writes - 1:
            self._cut = None
            raise ResetError
