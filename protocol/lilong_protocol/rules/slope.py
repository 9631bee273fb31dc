"""A value that rises or falls too fast."""

from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.rules.hold import BEYOND, CLEAR, Hold

if TYPE_CHECKING:
    from lilong_protocol.rules.parameters import Parameters

_PARTS = const(16)


class Slope(Hold):
    """Beyond while a reading is `rise` above the least, or `fall` below the greatest, of a window.

    The window is `within_ms` long, or up to a sixteenth (and 16 ms) longer: of what came before,
    the least of each sixteenth is kept. So no change within within_ms is missed, and one that is
    reported was at least so large, though it may have taken a sixteenth longer.

    Readings alone raise and clear; `since_ms` is when the change began.
    """

    def __init__(self, parameters: "Parameters") -> None:
        super().__init__(0, parameters.time_ms("clear_for_ms"))
        self._rise = parameters.amount("rise")
        self._fall = parameters.amount("fall")
        within_ms = parameters.number("within_ms", 1, parameters.LONGEST_MS)
        if self._rise is None and self._fall is None:
            raise RangeError("rise: is missing; give rise, fall or both")
        self._floor = None if self._rise is None else _Floor(within_ms)
        self._ceiling = None if self._fall is None else _Floor(within_ms)
        self._change = 0
        """By how much it must change, the way that it did when the rule was last raised."""

    def judge(self, value: int, at_ms: int) -> int:
        """Return BEYOND or CLEAR."""
        verdict = CLEAR
        if self._floor is not None and self._rise is not None:
            self._floor.add(value, at_ms)
            if value - self._floor.value >= self._rise:
                verdict = BEYOND
        if self._ceiling is not None and self._fall is not None:
            self._ceiling.add(-value, at_ms)
            if -value - self._ceiling.value >= self._fall:
                verdict = BEYOND
        return verdict

    def bound(self, value: int) -> int:
        """Return the change, negative for a fall, and note where it began."""
        if not self.raised:
            self.reference = None
            return self._change
        floor, ceiling = self._floor, self._ceiling
        if floor is not None and self._rise is not None and value - floor.value >= self._rise:
            self.reference, self.since_ms = floor.value, floor.at_ms
            self._change = self._rise
        elif ceiling is not None and self._fall is not None:
            self.reference, self.since_ms = -ceiling.value, ceiling.at_ms
            self._change = -self._fall
        return self._change


class _Floor:
    """The least of the last `within_ms`, from the least of each of its sixteen parts.

    Readings come in the order of their times; of several alike it is the last.
    """

    def __init__(self, within_ms: int) -> None:
        self._part_ms = (within_ms + _PARTS - 1) // _PARTS
        self._parts: list[int | None] = [None] * (_PARTS + 1)
        self._values = [0] * (_PARTS + 1)
        self._times = [0] * (_PARTS + 1)
        self.value = 0
        self.at_ms = 0

    def add(self, value: int, at_ms: int) -> None:
        """Take a reading."""
        part = at_ms // self._part_ms
        slot = part % (_PARTS + 1)
        if self._parts[slot] != part:
            self._parts[slot] = part
            self._values[slot], self._times[slot] = value, at_ms
            self._renew(part)
        elif value <= self._values[slot]:
            self._values[slot], self._times[slot] = value, at_ms
        if value <= self.value:
            self.value, self.at_ms = value, at_ms

    def _renew(self, newest: int) -> None:
        """Find the least again: what is older than the window has left it."""
        found = newest % (_PARTS + 1)
        for slot, part in enumerate(self._parts):
            if part is None or newest - part > _PARTS:
                continue
            order = self._values[slot] - self._values[found]
            if order < 0 or (order == 0 and self._times[slot] > self._times[found]):
                found = slot
        self.value, self.at_ms = self._values[found], self._times[found]
