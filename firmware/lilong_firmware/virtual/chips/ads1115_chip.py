"""A Texas Instruments ADS1115 at the level of its registers."""

from chip import SimulatedChip

PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))
RANGES_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RATES = (8, 16, 32, 64, 128, 250, 475, 860)
RESET = (0x0000, 0x8583, 0x8000, 0x7FFF)
WAKING_S = 0.000025


class Chip(SimulatedChip):
    """Fields: a0..a3 (V against GND), clock (1.0: how much faster its clock is).

    Faults: absent, damaged (a conversion never ends), stuck, nonsense (beyond the range).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._registers = list(RESET)
        self._pointer = 0
        self._done_s: float | None = None

    def write(self, data: bytes) -> None:
        """Set the pointer, and with two more bytes the register it points to."""
        self.acknowledge()
        if not data:
            return
        self._go_on()
        self._pointer = data[0] & 3
        if len(data) < 3:
            return
        word = data[1] << 8 | data[2]
        if self._pointer >= 2:
            self._registers[self._pointer] = word
        elif self._pointer == 1:
            self._configure(word)

    def read(self, count: int) -> bytes:
        """Give the register at the pointer, over and over."""
        self.acknowledge()
        self._go_on()
        word = self._registers[self._pointer]
        return bytes([word & 0xFF if place & 1 else word >> 8 for place in range(count)])

    def _configure(self, word: int) -> None:
        busy = self._done_s is not None
        starts = word & 0x8000 or not word & 0x0100
        self._registers[1] = word | 0x8000
        if starts and not busy:
            self._done_s = self.now_s() + WAKING_S + self._conversion_s(word)
        if self._done_s is not None:
            self._registers[1] &= 0x7FFF

    def _conversion_s(self, word: int) -> float:
        return 1.0 / RATES[word >> 5 & 7] / float(self.entry.get("clock", 1.0))

    def _go_on(self) -> None:
        """End a conversion whose time has come; without single-shot the next one begins."""
        if self._done_s is None or self.now_s() < self._done_s or self.fault("damaged"):
            return
        config = self._registers[1]
        self._registers[0] = self._code(config)
        self._done_s = None
        self._registers[1] |= 0x8000
        if not config & 0x0100:
            self._done_s = self.now_s() + self._conversion_s(config)
            self._registers[1] &= 0x7FFF

    def _code(self, config: int) -> int:
        if self.fault("nonsense"):
            return 0x7FFF
        plus, minus = PAIRS[config >> 12 & 7]
        volts = self.value("a" + str(plus), 0.0)
        if minus is not None:
            volts -= self.value("a" + str(minus), 0.0)
        steps = round(volts / RANGES_V[config >> 9 & 7] * 32768)
        return min(max(steps, -32768), 32767) & 0xFFFF
