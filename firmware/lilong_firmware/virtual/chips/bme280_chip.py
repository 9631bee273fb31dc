"""A Bosch BME280 at the level of its registers, with the calibration of a real one."""

from chip import SimulatedChip

T = (28189, 26285, 50)
P = (36635, -10696, 3024, 11092, -241, -7, 12300, -12000, 5000)
H = (75, 338, 0, 380, 50, 30)
CALIBRATION = b"".join(
    (
        bytes((29, 110, 173, 102, 50, 0, 27, 143, 56, 214, 208, 11, 84, 43, 15, 255, 249, 255)),
        bytes((12, 48, 32, 209, 136, 19, 0, 75)),
    )
)
CALIBRATION_H = bytes((82, 1, 0, 23, 44, 3, 30))
RESET_DATA = b"\x80\x00\x00\x80\x00\x00\x80\x00"
COPY_S = 0.002
NOISE_STEPS = 6


def fine(raw: int) -> float:
    """The data sheet's formula in floating point (section 8.1)."""
    linear = (raw / 16384.0 - T[0] / 1024.0) * T[1]
    square = raw / 131072.0 - T[0] / 8192.0
    return linear + square * square * T[2]


def pascal(raw: int, warm: float) -> float:
    """The data sheet's formula in floating point (section 8.1)."""
    a = warm / 2.0 - 64000.0
    b = a * a * P[5] / 32768.0 + a * P[4] * 2.0
    b = b / 4.0 + P[3] * 65536.0
    a = (P[2] * a * a / 524288.0 + P[1] * a) / 524288.0
    a = (1.0 + a / 32768.0) * P[0]
    value = (1048576.0 - raw - b / 4096.0) * 6250.0 / a
    a = P[8] * value * value / 2147483648.0
    return value + (a + value * P[7] / 32768.0 + P[6]) / 16.0


def percent(raw: int, warm: float) -> float:
    """The data sheet's formula in floating point (section 8.1)."""
    h1, h2, h3, h4, h5, h6 = H
    a = warm - 76800.0
    slope = 1.0 + h6 / 67108864.0 * a * (1.0 + h3 / 67108864.0 * a)
    value = (raw - (h4 * 64.0 + h5 / 16384.0 * a)) * (h2 / 65536.0 * slope)
    return value * (1.0 - h1 * value / 524288.0)


def inverse(grows: "object", wanted: float, bits: int) -> int:
    """Return the least number of so many bits at which the growing function reaches `wanted`."""
    found = 0
    for bit in range(bits - 1, -1, -1):
        if grows(found | 1 << bit) <= wanted:
            found |= 1 << bit
    return found


class Chip(SimulatedChip):
    """Fields: temperature (Cel), pressure (Pa), humidity (%RH), id.

    Faults: absent, damaged (its conversion never ends), stuck, nonsense (it measures nothing).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._pointer = 0
        self._chance = 1
        self._reset()

    def write(self, data: bytes) -> None:
        """Set the register to read from, or pairs of register and value."""
        self.acknowledge()
        if data:
            self._pointer = data[0]
        for place in range(0, len(data) - 1, 2):
            self._set(data[place], data[place + 1])

    def read(self, count: int) -> bytes:
        """Give registers from the pointer on."""
        self.acknowledge()
        self._go_on()
        first = self._pointer
        self._pointer = (first + count) & 0xFF
        return bytes([self._register((first + place) & 0xFF) for place in range(count)])

    def _reset(self) -> None:
        self._on_s = self.now_s()
        self._humidity = self._humidity_next = 0
        self._measure = 0
        self._config = 0
        self._done_s: float | None = None
        self._data = RESET_DATA

    def _set(self, register: int, value: int) -> None:
        if register == 0xE0 and value == 0xB6:
            self._reset()
        elif register == 0xF2:
            self._humidity_next = value & 7
        elif register == 0xF5 and self._measure & 3 == 0:
            self._config = value & 0xFD
        elif register == 0xF4:
            self._humidity = self._humidity_next
            self._measure = value
            if value & 3 in {1, 2}:
                self._done_s = self.now_s() + self._duration_s()

    def _duration_s(self) -> float:
        """The typical time (section 9.1)."""
        counts = [self._measure >> 5, self._measure >> 2 & 7, self._humidity]
        t, p, h = [1 << min(count, 5) >> 1 for count in counts]
        return (1.0 + 2.0 * t + (2.0 * p + 0.5 if p else 0) + (2.0 * h + 0.5 if h else 0)) / 1000

    def _go_on(self) -> None:
        if self._done_s is None or self.fault("damaged") or self.now_s() < self._done_s:
            return
        self._done_s = None
        self._measure &= ~3
        self._data = RESET_DATA if self.fault("nonsense") else self._measured()

    def _measured(self) -> bytes:
        raw_t, raw_p, raw_h = 0x80000, 0x80000, 0x8000
        if self._measure >> 5:
            temperature = self.value("temperature", 20.0)
            raw_t = self._noisy(inverse(fine, temperature * 5120.0, 20), 20)
        warm = fine(raw_t)
        if self._measure >> 2 & 7:
            pressure = -self.value("pressure", 101325.0)
            raw_p = self._noisy(inverse(lambda raw: -pascal(raw, warm), pressure, 20), 20)
        if self._humidity:
            humidity = self.value("humidity", 50.0)
            raw_h = self._noisy(inverse(lambda raw: percent(raw, warm), humidity, 16), 16)
        data = raw_p << 40 | raw_t << 16 | raw_h
        parts = [raw_p >> 12, raw_p >> 4, raw_p << 4, raw_t >> 12, raw_t >> 4, raw_t << 4]
        parts.extend((data >> 8, data))
        return bytes([part & 0xFF for part in parts])

    def _noisy(self, raw: int, bits: int) -> int:
        if self.fault("stuck"):
            return raw
        self._chance = (self._chance * 1103515245 + 12345) & 0x7FFFFFFF
        noise = (self._chance >> 16) % (2 * NOISE_STEPS + 1) - NOISE_STEPS
        return min(max(raw + noise, 0), (1 << bits) - 1)

    def _register(self, register: int) -> int:
        if 0x88 <= register <= 0xA1:
            return CALIBRATION[register - 0x88]
        if 0xE1 <= register <= 0xE7:
            return CALIBRATION_H[register - 0xE1]
        if 0xF7 <= register <= 0xFE:
            return self._data[register - 0xF7]
        values = {0xD0: self.entry.get("id", 0x60), 0xF2: self._humidity_next}
        values.update({0xF3: self._status(), 0xF4: self._measure, 0xF5: self._config})
        return values.get(register, 0)

    def _status(self) -> int:
        copying = self.now_s() - self._on_s < COPY_S
        return (0 if self._done_s is None else 8) | copying
