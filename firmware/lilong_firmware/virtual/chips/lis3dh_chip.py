"""An ST LIS3DH at the level of its registers: FIFO, and motion on interrupt generator 1."""

from math import pi, sin
from struct import pack

from chip import SimulatedChip
from curve import Curve

RATES = (0, 1, 10, 25, 50, 100, 200, 400, 1600, 1344, 0, 0, 0, 0, 0, 0)
STEPS_MG = (1, 2, 4, 12)
THRESHOLD_MG = (16, 32, 62, 186)
MM_S2_PER_MG = 9.80665
SETTLING = 7
DEPTH = 32
MOST_UNSEEN = 200
# Its high-pass passes a fiftieth of the rate and more.
KEEPS = 1.0 / (1.0 + 2.0 * pi / 50.0)


class Chip(SimulatedChip):
    """Fields: x, y, z (m/s2), vibration (m/s2, amplitude along z), vibration_hz, id.

    Faults: absent, damaged (it forgets its settings), stuck. It wakes with the first access.
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._pointer = 0
        upright = (("x", 0.0), ("y", 0.0), ("z", 9.80665))
        self._curves = [Curve(entry.get(name, usual)) for name, usual in upright]
        self._shaking = Curve(entry.get("vibration", 0.0))
        self._shaken_hz = float(entry.get("vibration_hz", 20.0))
        self.reset()

    def reset(self) -> None:
        """Be as after power was switched on."""
        self._registers = bytearray(0x40)
        self._registers[0x0F] = int(self.entry.get("id", 0x33))
        self._registers[0x20] = 0x07
        self._on_s = self.now_s()
        self._next = 0
        self._seen = 0
        self._before = [0.0, 0.0, 0.0]
        self._passed = [0.0, 0.0, 0.0]
        self._ready = (-1, b"")

    def write(self, data: bytes) -> None:
        """Set the pointer, and registers from there on."""
        self.acknowledge()
        if data:
            self._pointer = data[0]
        for value in data[1:]:
            self._set(self._pointer & 0x3F, value)
            self._move()

    def read(self, count: int) -> bytes:
        """Give registers; those of the samples come round until the FIFO is empty."""
        self.acknowledge()
        answer = bytearray(count)
        for place in range(count):
            register = self._pointer & 0x3F
            answer[place] = self._register(register)
            self._move()
        return bytes(answer)

    def _move(self) -> None:
        if not self._pointer & 0x80:
            return
        if self._pointer & 0x3F == 0x2D and self._has_fifo():
            self._pointer = 0x80 | 0x28
        else:
            self._pointer = 0x80 | (self._pointer + 1 & 0x3F)

    def _has_fifo(self) -> bool:
        return bool(self._registers[0x24] & 0x40) and self._registers[0x2E] >> 6 != 0

    def _set(self, register: int, value: int) -> None:
        if register < 0x1E or register in {0x27, 0x2F, 0x31, 0x35, 0x39}:
            return
        turned_on = register == 0x20 and value >> 4 != self._registers[0x20] >> 4
        self._registers[register] = value
        if turned_on:
            self._on_s = self.now_s()
            self._next = self._seen = 0
            self._ready = (-1, b"")
        if register == 0x2E and value >> 6 == 0:
            self._next = self._latest() + 1

    def _rate(self) -> int:
        return RATES[self._registers[0x20] >> 4]

    def _latest(self) -> int:
        """Return the number of the newest sample, -1 when there is none."""
        rate = self._rate()
        return int((self.now_s() - self._on_s) * rate) - 1 if rate else -1

    def _register(self, register: int) -> int:
        if self.fault("damaged") and 0x20 <= register <= 0x25:
            return 0
        if register == 0x2F:
            return self._fifo_source()
        if register == 0x31:
            return self._motion_source()
        if register == 0x26:
            self._still()
        if 0x28 <= register <= 0x2D:
            return self._output(register - 0x28)
        return self._registers[register]

    def _fifo_source(self) -> int:
        if not self._has_fifo():
            return 0x20
        waiting = self._latest() + 1 - self._next
        if waiting <= 0:
            return 0x20
        if waiting >= DEPTH:
            return 0x40 | 0x1F
        return waiting

    def _output(self, place: int) -> int:
        """Give a byte of the oldest sample; with its last byte it leaves the FIFO."""
        latest = self._latest()
        number, keeps = latest, 0xFFF0
        if self._has_fifo():
            self._next = max(self._next, latest + 1 - DEPTH)
            number, keeps = min(self._next, latest), 0xFFC0
        if self._ready[0] != number:
            words = [(self._steps(axis, number) << 4) & keeps for axis in range(3)]
            self._ready = (number, pack("<3H", *words))
        if place == 5 and self._has_fifo() and self._next <= latest:
            self._next += 1
        return self._ready[1][place]

    def _steps(self, axis: int, number: int) -> int:
        step_mg = STEPS_MG[self._registers[0x23] >> 4 & 3]
        steps = round(self._mg(axis, number) / step_mg)
        if number < SETTLING:
            # What comes before it has settled is not what is.
            steps = steps * (number + 1) // (SETTLING + 1)
        return min(max(steps, -2048), 2047)

    def _mg(self, axis: int, number: int) -> float:
        moment_s = self._on_s + (number + 1) / max(1, self._rate())
        moment_s = min(moment_s, self.frozen_s())
        value = self._curves[axis].at(moment_s)
        height = self._shaking.at(moment_s) if axis == 2 else 0.0
        if height:
            value += height * sin(2.0 * pi * ((self._shaken_hz * moment_s) % 1.0))
        return value * 1000.0 / MM_S2_PER_MG

    def _still(self) -> None:
        """Let the high-pass begin from what is now."""
        self._seen = max(0, self._latest())
        for axis in range(3):
            self._before[axis] = self._mg(axis, self._seen)
            self._passed[axis] = 0.0

    def _motion_source(self) -> int:
        """Tell what went above the threshold since it was last asked."""
        self._look()
        source = self._registers[0x31]
        self._registers[0x31] = 0
        return source

    def _look(self) -> None:
        latest = self._latest()
        enabled = self._registers[0x30] & 0x2A
        limit_mg = self._registers[0x32] * THRESHOLD_MG[self._registers[0x23] >> 4 & 3]
        for number in range(max(self._seen + 1, latest - MOST_UNSEEN), latest + 1):
            for axis in range(3):
                if self._high_passed(axis, number) > limit_mg and enabled >> 2 * axis & 2:
                    self._registers[0x31] |= 0x40 | 2 << 2 * axis
        self._seen = max(self._seen, latest)

    def _high_passed(self, axis: int, number: int) -> float:
        value = self._mg(axis, number)
        if not self._registers[0x21] & 1:
            return abs(value)
        self._passed[axis] = KEEPS * (self._passed[axis] + value - self._before[axis])
        self._before[axis] = value
        return abs(self._passed[axis])
