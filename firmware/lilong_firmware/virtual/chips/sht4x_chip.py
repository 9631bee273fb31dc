"""A Sensirion SHT4x at the level of its commands."""

from math import exp

from chip import ENODEV, SimulatedChip

DURATIONS_S = {0xFD: 0.0083, 0xF6: 0.0045, 0xE0: 0.0016}
HEATERS = {0x39: (200, 1.0), 0x32: (200, 0.1), 0x2F: (110, 1.0), 0x24: (110, 0.1)}
HEATERS.update({0x1E: (20, 1.0), 0x15: (20, 0.1)})
KELVIN_PER_MW = 0.3
COOLING_S = 4.0
NOISE_STEPS = 8


def check_sum(high: int, low: int) -> int:
    """Return the remainder of the two bytes by x8 + x5 + x4 + 1, begun with ones."""
    value = (high << 8 | low) << 8 ^ 0xFF0000
    for bit in range(23, 7, -1):
        if value >> bit & 1:
            value ^= 0x131 << (bit - 8)
    return value


class Chip(SimulatedChip):
    """Fields: temperature (Cel), humidity (%RH); faults: absent, damaged, stuck, nonsense."""

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._answer = b""
        self._ready_s = 0.0
        self._power_mw = 0
        self._cold_s = 0.0
        self._chance = 1

    def write(self, data: bytes) -> None:
        """Take a command; it acknowledges none while it measures or heats."""
        self._stay_away()
        if not data:
            return
        command, now_s = data[0], self.now_s()
        if command in DURATIONS_S:
            self._ready_s = now_s + DURATIONS_S[command]
            self._answer = self._measured()
        elif command in HEATERS:
            self._power_mw, duration_s = HEATERS[command]
            self._cold_s = now_s + duration_s
            self._ready_s = self._cold_s + DURATIONS_S[0xFD]
            self._answer = self._measured()
        elif command == 0x89:
            self._answer = self._words(0x1234, 0x5678)
        elif command == 0x94:
            self._answer, self._power_mw = b"", 0
        else:
            raise OSError(ENODEV)

    def read(self, count: int) -> bytes:
        """Give the answer once."""
        self._stay_away()
        if not self._answer:
            raise OSError(ENODEV)
        answer, self._answer = self._answer, b""
        return answer[:count] + b"\xff" * (count - len(answer))

    def _stay_away(self) -> None:
        self.acknowledge()
        if self.now_s() < self._ready_s:
            raise OSError(ENODEV)

    def _measured(self) -> bytes:
        if self.fault("nonsense"):
            return self._words(0x8000, 0x8000)
        temperature, humidity = self.value("temperature", 20.0), self.value("humidity", 50.0)
        excess = self._excess()
        temperature += excess
        # Warm air of the same water has so much less of what it could hold.
        humidity *= exp(-0.055 * excess)
        return self._words(
            self._raw((temperature + 45.0) / 175.0), self._raw((humidity + 6.0) / 125.0)
        )

    def _excess(self) -> float:
        """Return by how many degrees the heater has warmed it."""
        if not self._power_mw:
            return 0.0
        since_s = max(0.0, self.now_s() - self._cold_s)
        return self._power_mw * KELVIN_PER_MW * exp(-since_s / COOLING_S)

    def _raw(self, share: float) -> int:
        noise = 0
        if not self.fault("stuck"):
            self._chance = (self._chance * 1103515245 + 12345) & 0x7FFFFFFF
            noise = (self._chance >> 16) % (2 * NOISE_STEPS + 1) - NOISE_STEPS
        return min(max(round(share * 65535) + noise, 0), 0xFFFF)

    def _words(self, first: int, second: int) -> bytes:
        answer = []
        for word in (first, second):
            answer.extend((word >> 8, word & 0xFF, check_sum(word >> 8, word & 0xFF)))
        if self.fault("damaged"):
            answer[5] ^= 0x10
        return bytes(answer)
