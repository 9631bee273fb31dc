"""An ultrasonic sensor that sends FF, high byte, low byte, sum every `period_s`."""

from chip import SimulatedChip


class Chip(SimulatedChip):
    """`distance` in metres. Nothing in reach of `lowest_mm` to `highest_mm` is sent as 0.

    Faults: absent, damaged (wrong sum), stuck, nonsense (0xFFFD, no echo).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._next_s = self.now_s()

    def receive(self, data: bytes) -> None:
        """Hear nothing: there is only one mode."""

    def send(self) -> bytes:
        """Return the frames that are due, as many as a receiver holds."""
        frames = b""
        period_s = self.entry.get("period_s", 0.1)
        missed = int((self.now_s() - self._next_s) / period_s) - 256
        self._next_s += max(0, missed) * period_s
        while self._next_s <= self.now_s():
            self._next_s += period_s
            if not self.fault("absent"):
                frames += self._frame()
        return frames

    def _frame(self) -> bytes:
        distance_mm = round(self.value("distance", 1.0) * 1000)
        lowest_mm, highest_mm = self.entry.get("lowest_mm", 30), self.entry.get("highest_mm", 4500)
        if not lowest_mm <= distance_mm <= highest_mm:
            distance_mm = 0
        if self.fault("nonsense"):
            distance_mm = 0xFFFD
        high, low = divmod(distance_mm, 256)
        checked = 0xFF + high + low + (1 if self.fault("damaged") else 0)
        return bytes((0xFF, high, low, checked % 256))
