"""A simulated VL53L1X with a target in front of it."""

from chip import ENODEV, SimulatedChip

_SIZE = 0x0140
_BOOT_S = 0.0012
_GUARD_S = 0.0045
_COMPLETE = 9
_SIGNAL_FAIL = 4
_WRAPPED = 7
_HARDWARE_FAIL = 2


class Chip(SimulatedChip):
    """`distance` in m, `reflectance` 0..1, `ambient` in kilocounts a second.

    A `status` other than 9 is what RESULT__RANGE_STATUS says instead of its own judgement. Faults:
    absent, stuck, nonsense (its laser fails), busy (no ranging ends).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._boot()
        # It is made when somebody first looks; its power has been there for longer.
        self._booted_s = self.now_s()

    def restart(self) -> None:
        """Lose the power for a moment: settings are gone."""
        self._boot()

    def write(self, data: bytes) -> None:
        """Set the register pointer, and what follows from there on."""
        self._acknowledge()
        if len(data) < 2:
            return
        self._pointer = data[0] << 8 | data[1]
        for value in data[2:]:
            self._set(self._pointer, value)
            self._pointer += 1

    def read(self, count: int) -> bytes:
        """Return registers from the pointer on."""
        self._acknowledge()
        self._advance()
        data = bytes([self._get(self._pointer + place) for place in range(count)])
        self._pointer += count
        return data

    def _acknowledge(self) -> None:
        self.acknowledge()
        if self.now_s() < self._booted_s:
            raise OSError(ENODEV)

    def _boot(self) -> None:
        self._registers = bytearray(_SIZE)
        self._registers[0x0006:0x0008] = b"\xbc\xcc"
        self._registers[0x0030] = 0x10
        self._registers[0x00DE:0x00E0] = b"\x01\x45"
        self._registers[0x00E5] = 0x03
        self._registers[0x010F:0x0112] = b"\xea\xcc\x10"
        self._booted_s = self.now_s() + _BOOT_S
        self._pointer = 0
        self._ends_s = None
        self._waiting = False
        self._count = 0

    def _get(self, register: int) -> int:
        if register == 0x0031:
            active_low = self._registers[0x0030] >> 4 & 1
            return 0x02 | (int(self._waiting) ^ active_low)
        return self._registers[register] if register < _SIZE else 0

    def _set(self, register: int, value: int) -> None:
        self._advance()
        if register == 0x0000:
            self._boot()
            if not value & 1:
                self._booted_s = self.now_s()
            return
        if register < _SIZE:
            self._registers[register] = value
        if register == 0x0086 and value & 1:
            self._waiting = False
        if register == 0x0087:
            self._start(value)

    def _start(self, mode: int) -> None:
        self._count = 0
        self._ends_s = self.now_s() + self.ranging_s() if mode & 0x50 else None

    def ranging_s(self) -> float:
        """Return how long a ranging takes, by the timeouts and periods of its two lasers' ranges.

        As VL53L1_calc_macro_period_us and VL53L1_decode_timeout of ST's full API.
        """
        pll_us = 4096 / self._word(0x0006) / 64
        total_us = 0.0
        for timeout, period in ((0x005E, 0x0060), (0x0061, 0x0063)):
            coded = self._word(timeout)
            macro_periods = ((coded & 0xFF) << (coded >> 8)) + 1
            clocks = (self._registers[period] + 1) * 2
            total_us += macro_periods * 2304 * clocks * pll_us
        return total_us / 1000000 + _GUARD_S

    def period_s(self) -> float:
        """Return the time from start to start."""
        ticks = self._word(0x006C) << 16 | self._word(0x006E)
        return ticks / (self._word(0x00DE) & 0x3FF) / 1.075 / 1000

    def _advance(self) -> None:
        while self._ends_s is not None and self._ends_s <= self.now_s():
            self._finish()
            timed = self._registers[0x0087] & 0x40
            later_s = max(self.period_s(), self.ranging_s())
            self._ends_s = self._ends_s + later_s if timed else None

    def _finish(self) -> None:
        if self.fault("busy"):
            return
        # Only with this setting does every ranging raise the interrupt.
        self._waiting = self._waiting or self._registers[0x0046] == 0x20
        distance = self.value("distance", 1.0)
        signal = self.value("reflectance", 0.5) * 10.0 / max(distance, 0.03) ** 2
        status = self.state("status", _COMPLETE)
        if status == _COMPLETE:
            status = self._judgement(distance, signal)
        if self.fault("nonsense"):
            status = _HARDWARE_FAIL
        self._registers[0x0089] = 0xE0 | status
        self._registers[0x008B] = self._count
        self._count = min(self._count + 1, 255)
        self._put(0x008C, 200 << 8)
        self._put(0x0090, int(self.value("ambient", 80.0) * 0.128 + 0.5))
        self._put(0x0096, int(distance * 1000 + 0.5))
        self._put(0x0098, int(signal * 128 + 0.5))

    def _judgement(self, distance: float, signal: float) -> int:
        """Too little light comes back, or it comes back after the next pulse has gone out."""
        if signal * 128 < self._word(0x0066):
            return _SIGNAL_FAIL
        reach = 5.0 if self._registers[0x0069] == 0xB8 else 1.4
        return _WRAPPED if distance > reach else _COMPLETE

    def _word(self, register: int) -> int:
        return self._registers[register] << 8 | self._registers[register + 1]

    def _put(self, register: int, value: int) -> None:
        value = min(value, 0xFFFF)
        self._registers[register] = value >> 8
        self._registers[register + 1] = value & 0xFF
