"""A transmitter with 4..20 mA on a shunt, as NAMUR NE 43 has it.

Entry: pin, value (in the units of low and high, the values at 4 and 20 mA, 0 and 100 when absent),
shunt_ohm (100 when absent), noise_mv (2 when absent). Faults: absent (the loop is broken),
nonsense (the transmitter tells a failure with 21.5 mA), damaged (the same with 3.5 mA), stuck.
"""

from chip import SimulatedChip

LOWEST_MA = 3.8
HIGHEST_MA = 20.5
ADC_LIMIT_UV = 3100000


class Chip(SimulatedChip):
    """Stays within 3.8..20.5 mA while it measures."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._random = 1

    def pins(self) -> "tuple[int, ...]":
        """Return the one pin."""
        return (self.entry["pin"],)

    def microvolts(self, _pin: int) -> int:
        """Return what the shunt and some noise put on the pin, up to what the ADC can tell."""
        volts = self._current_ma() * self.entry.get("shunt_ohm", 100) / 1000
        microvolts = int(volts * 1000000 + self._noise() * self.entry.get("noise_mv", 2) * 1000)
        return min(max(microvolts, 0), ADC_LIMIT_UV)

    def level(self, pin: int) -> int:
        """Return the voltage as a level."""
        return int(self.microvolts(pin) > 1650000)

    def set(self, _pin: int, _level: int) -> None:
        """Nothing: it is a source."""

    def _current_ma(self) -> float:
        for name, current_ma in (("absent", 0.0), ("nonsense", 21.5), ("damaged", 3.5)):
            if self.fault(name):
                return current_ma
        low, high = self.entry.get("low", 0), self.entry.get("high", 100)
        share = (self.value("value", low) - low) / (high - low)
        return min(max(4 + 16 * share, LOWEST_MA), HIGHEST_MA)

    def _noise(self) -> float:
        """Return -1..1, evenly spread, the same in each run."""
        self._random = (self._random * 75 + 74) % 65537
        return self._random / 32768 - 1
