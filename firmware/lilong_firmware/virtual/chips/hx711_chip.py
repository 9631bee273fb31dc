"""A simulated HX711 with a load cell."""

from chip import SimulatedChip

_SETTLING = 4
# 60 us in the data sheet; the world's clock has a resolution of 1 ms.
_POWER_DOWN_S = 0.002
_GAINS = {25: 128, 26: 32, 27: 64}


class Chip(SimulatedChip):
    """At the pins `dout` and `sck`: `load` in kg on a cell for `capacity` kg.

    The cell gives `sensitivity` mV/V at its capacity and `offset` mV/V when empty, on channel A
    as on B; `rate` is 10 or 80 conversions a second. Faults: absent, stuck, nonsense (overload),
    damaged (its clock stays high for too long in the middle of each frame).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._dout = int(entry["dout"])
        self._sck = int(entry["sck"])
        self._period_s = 1 / float(entry.get("rate", 10))
        self._high_s = None
        self._code = 0
        self._conversions = 0
        self._reset()

    def pins(self) -> "tuple[int, ...]":
        """Return the pins that it hangs on."""
        return self._dout, self._sck

    def set(self, pin: int, level: int) -> None:
        """Take an edge of the clock."""
        if pin != self._sck or bool(level) == (self._high_s is not None):
            return
        self._advance()
        if level:
            self._high_s = self.now_s()
            self._pulses += 1
            if self.fault("damaged") and self._pulses == 5 and self._ready:
                self._reset()
            return
        if self._asleep():
            self._reset()
        self._high_s = None

    def level(self, pin: int) -> "int | None":
        """Return DOUT; None while it is absent: the pull-up decides."""
        if self.fault("absent"):
            return None
        if pin == self._sck:
            return int(self._high_s is not None)
        self._advance()
        if self._asleep() or not self._ready or self._pulses > 24:
            return 1
        if self._pulses == 0:
            return 0
        return self._code >> (24 - self._pulses) & 1

    def _reset(self) -> None:
        self._ready = False
        self._pulses = 0
        self._gain = self._former_gain = 128
        self._settled = 0
        self._next_s = self.now_s() + _SETTLING * self._period_s

    def _advance(self) -> None:
        while self._next_s <= self.now_s() and not self._asleep() and not self._amid_frame():
            self._select()
            self._convert()
            self._next_s += self._period_s

    def _asleep(self) -> bool:
        return self._high_s is not None and self.now_s() - self._high_s > _POWER_DOWN_S

    def _amid_frame(self) -> bool:
        """A conversion does not disturb what is being clocked out."""
        return self._ready and (0 < self._pulses < 25 or self._high_s is not None)

    def _select(self) -> None:
        gain = _GAINS.get(self._pulses, self._gain)
        if gain != self._gain:
            self._former_gain, self._gain = self._gain, gain
            self._settled = 0
        self._pulses = 0

    def _convert(self) -> None:
        """Fill the output, still with a part of the former gain until it has settled."""
        self._settled = min(self._settled + 1, _SETTLING)
        part = self._settled / _SETTLING
        gain = part * self._gain + (1 - part) * self._former_gain
        share = self.value("load", 0.0) / float(self.entry.get("capacity", 50.0))
        ratio = float(self.entry.get("offset", 0.0))
        ratio += share * float(self.entry.get("sensitivity", 2.0))
        code = int(ratio / 1000 * gain * 16777216 + self._noise() + 16777216.5) - 16777216
        if self.fault("nonsense"):
            code = 16777216
        self._code = max(-0x800000, min(0x7FFFFF, code)) & 0xFFFFFF
        self._ready = True

    def _noise(self) -> int:
        if not self.fault("stuck"):
            self._conversions += 1
        return self._conversions * 7 % 21 - 10
