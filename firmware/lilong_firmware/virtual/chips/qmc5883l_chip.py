"""A simulated QMC5883L in a magnetic field."""

from chip import SimulatedChip

_RATES_HZ = (10, 50, 100, 200)
_LIMIT = 32767


class Chip(SimulatedChip):
    """`x`, `y` and `z` in microtesla. Faults: absent, stuck, nonsense (a magnet beside it).

    `id` is what register 0x0D says instead of 255: another chip's.
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._pointer = 0
        self._reset()

    def write(self, data: bytes) -> None:
        """Set the register pointer, and what follows from there on."""
        self.acknowledge()
        self._advance()
        if not data:
            return
        self._pointer = data[0]
        for value in data[1:]:
            self._set(self._pointer, value)
            self._pointer += 1

    def read(self, count: int) -> bytes:
        """Return registers from the pointer on."""
        self.acknowledge()
        self._advance()
        data = bytearray()
        for _ in range(count):
            data.append(self._get(self._pointer))
            rolls = self._registers[0x0A] & 0x40 and self._pointer == 0x06
            self._pointer = 0 if rolls else self._pointer + 1
        return bytes(data)

    def _reset(self) -> None:
        self._registers = bytearray(14)
        self._registers[0x0D] = int(self.entry.get("id", 0xFF))
        self._next_s = None

    def _get(self, register: int) -> int:
        if register >= len(self._registers):
            return 0
        value = self._registers[register]
        if register < 0x06:
            # Reading any axis takes DRDY and DOR back.
            self._registers[0x06] &= 0x02
        return value

    def _set(self, register: int, value: int) -> None:
        if register == 0x0A and value & 0x80:
            self._reset()
        elif register == 0x09:
            self._registers[register] = value
            self._next_s = self.now_s() + self._interval_s() if value & 3 == 1 else None
        elif register in {0x0A, 0x0B}:
            self._registers[register] = value

    def _interval_s(self) -> float:
        return 1 / _RATES_HZ[self._registers[0x09] >> 2 & 3]

    def _advance(self) -> None:
        while self._next_s is not None and self._next_s <= self.now_s():
            self._convert()
            self._next_s += self._interval_s()

    def _convert(self) -> None:
        status = self._registers[0x06]
        skipped = 0x04 if status & 0x01 else status & 0x04
        per_gauss = 3000 if self._registers[0x09] >> 4 & 3 else 12000
        overflow = 0
        for index, axis in enumerate(("x", "y", "z")):
            microtesla = 5000.0 if self.fault("nonsense") else self.value(axis, 20.0)
            steps = int(microtesla / 100 * per_gauss + 1000000.5) - 1000000
            if not -_LIMIT - 1 <= steps <= _LIMIT:
                overflow = 0x02
                steps = max(-_LIMIT - 1, min(_LIMIT, steps))
            self._registers[2 * index] = steps & 0xFF
            self._registers[2 * index + 1] = steps >> 8 & 0xFF
        self._registers[0x06] = 0x01 | overflow | skipped
