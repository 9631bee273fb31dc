"""What all simulated chips have: physical values over time, and faults."""

from curve import Curve

ENODEV = 19
"""What machine.I2C raises when nobody acknowledges."""


class SimulatedChip:
    """One entry of chips.json; `now_s` gives the seconds since the node's first start.

    A fault is [name, from second, to second].
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        self.entry = entry
        self._now_s = now_s

    def now_s(self) -> float:
        """Return the seconds since the node was first started."""
        return self._now_s()

    def fault(self, name: str) -> bool:
        """Whether this goes wrong at this moment."""
        now_s = self.now_s()
        for fault in self.entry.get("faults", ()):
            if fault[0] == name and fault[1] <= now_s < fault[2]:
                return True
        return False

    def frozen_s(self) -> float:
        """Return now, or the moment since when the chip is stuck."""
        now_s = self.now_s()
        for fault in self.entry.get("faults", ()):
            if fault[0] == "stuck" and fault[1] <= now_s < fault[2]:
                return float(fault[1])
        return now_s

    def value(self, name: str, default: float) -> float:
        """Return a physical value, which stands still while the chip is stuck."""
        return Curve(self.entry.get(name, default)).at(self.frozen_s())

    def state(self, name: str, default: "object") -> "object":
        """Return a value that changes in steps, as an answer or a contact does."""
        return Curve(self.entry.get(name, default)).step(self.frozen_s())

    def acknowledge(self) -> None:
        """OSError, as machine.I2C raises it, while the chip is absent."""
        if self.fault("absent"):
            raise OSError(ENODEV)
