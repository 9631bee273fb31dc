"""`onewire` of a virtual node: the calls of MicroPython's module, on simulated chips.

They come from the pin, `pin.chips`. The line is modelled slot by slot: it is low when anybody
pulls it low, and everybody hears it. A chip has `reset()`, which returns whether it is there,
`pull`, 0 when it will pull the next slot low and else 1, and `hear(level)`, the end of a slot.
"""

POLYNOMIAL = 0x8C
"""X8 + X5 + X4 + 1, the lowest bit first (Maxim's application note 27)."""


class OneWireError(Exception):
    """Nobody is on the line."""


class OneWire:
    """The master of a line."""

    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin: "object") -> None:
        self.pin = pin

    def reset(self, required: bool = False) -> bool:  # noqa: FBT001, FBT002 - as onewire has it
        """Return whether anybody is there; OneWireError when it is required and nobody is."""
        present = False
        for chip in self.pin.chips:
            present = chip.reset() or present
        if required and not present:
            raise OneWireError
        return present

    def readbit(self) -> int:
        """Return the level of a slot in which the master lets go."""
        return self._slot(1)

    def readbyte(self) -> int:
        """Return eight bits, the lowest came first."""
        value = 0
        for bit in range(8):
            value |= self._slot(1) << bit
        return value

    def readinto(self, buffer: bytearray) -> None:
        """Fill a buffer."""
        for index in range(len(buffer)):
            buffer[index] = self.readbyte()

    def writebit(self, value: int) -> None:
        """Write one bit."""
        self._slot(1 if value else 0)

    def writebyte(self, value: int) -> None:
        """Write eight bits, the lowest first."""
        for bit in range(8):
            self._slot((value >> bit) & 1)

    def write(self, buffer: bytes) -> None:
        """Write bytes."""
        for byte in buffer:
            self.writebyte(byte)

    def select_rom(self, rom: bytes) -> None:
        """Reset, and let only the chip with this ROM listen on."""
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def scan(self) -> "list[bytearray]":
        """Return the ROMs of all that are on the line."""
        found = []
        branches = [[]]
        while branches:
            rom, forks = self._follow(branches.pop())
            if rom is not None:
                found.append(rom)
                branches.extend(forks)
        return found

    def crc8(self, data: bytes) -> int:
        """Return the check sum; 0 over data that ends with its own."""
        return crc8(data)

    def _slot(self, level: int) -> int:
        for chip in self.pin.chips:
            level &= chip.pull
        for chip in self.pin.chips:
            chip.hear(level)
        return level

    def _follow(self, branch: "list[int]") -> "tuple[bytearray | None, list[list[int]]]":
        """Search behind these first bits, 0 at every fork; return the ROM and its other forks."""
        path, forks = [], []
        if not self.reset():
            return None, forks
        self.writebyte(self.SEARCH_ROM)
        for place in range(64):
            bit, inverse = self.readbit(), self.readbit()
            if bit and inverse:
                return None, forks
            if place < len(branch):
                bit = branch[place]
            elif bit == inverse:
                forks.append(path + [1])
            self.writebit(bit)
            path.append(bit)
        rom = bytearray(8)
        for place, bit in enumerate(path):
            rom[place >> 3] |= bit << (place & 7)
        return rom, forks


def crc8(data: bytes) -> int:
    """Return the check sum of the 1-Wire bus."""
    remainder = 0
    for byte in data:
        for bit in range(8):
            mixed = (remainder ^ (byte >> bit)) & 1
            remainder >>= 1
            if mixed:
                remainder ^= POLYNOMIAL
    return remainder
