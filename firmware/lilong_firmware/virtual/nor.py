"""A NOR flash in memory that counts what is done to it and loses its power when told to.

It has the methods of esp32.Partition; CPython and MicroPython run it alike.
"""

BEFORE = "before"
AFTER = "after"
TORN = "torn"
PARTIAL = "partial"
WAYS = (BEFORE, AFTER, TORN, PARTIAL)
"""How an operation is cut: not begun; done; a first part done; bits here and there done."""


class PowerCutError(Exception):
    """The power is gone; whoever used the flash has lost its memory."""


class Chance:
    """Numbers that are the same on every interpreter (xorshift, 32 bits)."""

    def __init__(self, seed: int) -> None:
        self._state = seed * 2654435761 % 0xFFFFFFFF + 1

    def below(self, limit: int) -> int:
        """Return a number 0..limit-1."""
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self._state = state
        return state % limit

    def bytes(self, size: int) -> bytes:
        """Return that many bytes."""
        return bytes(self.below(256) for _ in range(size))


class Nor:
    """Blocks of which a bit goes from 1 to 0 when programmed and back only when erased.

    Where a program would have to set a bit, a chip silently does not; when `strict`, ValueError.
    Once its power is cut, all that is done to it is in vain until cut_after is called again.
    """

    def __init__(self, blocks: int, block_bytes: int = 4096, *, strict: bool = True) -> None:
        self.blocks = blocks
        self.block_bytes = block_bytes
        self.data = bytearray(b"\xff" * (blocks * block_bytes))
        self._blank = b"\xff" * block_bytes
        self.erases = 0
        self.programs = 0
        self.programmed_bytes = 0
        self._strict = strict
        self._survived: bytes | None = None
        self._left: int | None = None
        self._way = BEFORE
        self._chance = Chance(1)

    @property
    def operations(self) -> int:
        """How often it was erased or programmed."""
        return self.erases + self.programs

    def cut_after(self, operations: "int | None", way: str = BEFORE, seed: int = 1) -> None:
        """Cut the power in the operation after so many more; None for never. It is on again."""
        if self._survived is not None:
            self.data[:] = self._survived
            self._survived = None
        self._left = operations
        self._way = way
        self._chance = Chance(seed)

    def readblocks(self, block: int, buffer: "bytearray | memoryview", offset: int = 0) -> None:
        """Fill the buffer."""
        begin = self._place(block, offset, len(buffer))
        buffer[:] = memoryview(self.data)[begin : begin + len(buffer)]

    def writeblocks(self, block: int, data: "bytes | memoryview", offset: int = 0) -> None:
        """Program."""
        begin = self._place(block, offset, len(data))
        old = self.data[begin : begin + len(data)]
        if not _only_clears(old, data):
            if self._strict:
                raise ValueError("programmed without an erase")
            data = bytes(before & wanted for before, wanted in zip(old, data))
        cut = self._is_cut()
        if not cut or self._way != BEFORE:
            self.programs += 1
            self.programmed_bytes += len(data)
        new = self._cut_program(old, bytes(data)) if cut else data
        self.data[begin : begin + len(data)] = new
        if cut:
            self._end()

    def ioctl(self, request: int, argument: int) -> int:
        """Count the blocks, tell their size, erase one."""
        if request == 4:
            return self.blocks
        if request == 5:
            return self.block_bytes
        if request == 6:
            self._erase(argument)
        return 0

    def _erase(self, block: int) -> None:
        begin = self._place(block, 0, self.block_bytes)
        cut = self._is_cut()
        if not cut or self._way != BEFORE:
            self.erases += 1
        new = self._blank
        if cut:
            new = self._cut_erase(bytes(self.data[begin : begin + self.block_bytes]))
        self.data[begin : begin + self.block_bytes] = new
        if cut:
            self._end()

    def _end(self) -> None:
        self._survived = bytes(self.data)
        raise PowerCutError

    def _is_cut(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        if self._left < 0:
            self._left = None
            return True
        return False

    def _cut_program(self, old: bytearray, data: bytes) -> bytes:
        if self._way == BEFORE:
            return bytes(old)
        if self._way == AFTER:
            return data
        if self._way == TORN:
            done = self._chance.below(len(data) + 1)
            return data[:done] + bytes(old[done:])
        # Bits that stay set although they should not: half of them, most, or all of a first part.
        left = self._chance.bytes(len(data))
        style = self._chance.below(3)
        if style == 1:
            left = bytes(0xFF if byte & 7 else byte for byte in left)
        elif style == 2:
            left = b"\xff" * self._chance.below(len(data)) + bytes(len(data))
        return bytes(before & (byte | keep) for before, byte, keep in zip(old, data, left))

    def _cut_erase(self, old: bytes) -> bytes:
        if self._way == BEFORE:
            return old
        if self._way == AFTER:
            return self._blank
        ends = sorted([self._chance.below(len(old) + 1), self._chance.below(len(old) + 1)])
        middle = old[ends[0] : ends[1]]
        if self._way == PARTIAL:
            middle = bytes(byte | self._chance.below(256) for byte in middle)
        return b"\xff" * ends[0] + middle + b"\xff" * (len(old) - ends[1])

    def _place(self, block: int, offset: int, size: int) -> int:
        if not 0 <= block < self.blocks or not 0 <= offset <= self.block_bytes - size:
            raise ValueError("beyond the flash")
        return block * self.block_bytes + offset


def _only_clears(old: "bytes | bytearray", data: "bytes | memoryview") -> bool:
    """Whether every bit that `data` wants set is set."""
    wanted = int.from_bytes(data, "big")
    return wanted & int.from_bytes(old, "big") == wanted
