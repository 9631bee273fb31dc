"""A condition that must hold for a while, and must be over for a while."""

from lilong_protocol.rules.decision import Decision

BEYOND = 1
BETWEEN = 0
CLEAR = -1


class Hold(Decision):
    """Raised when `for_ms` went by beyond the limit, cleared when `clear_for_ms` went by clear.

    A reading to the contrary, or in between, starts the wait again.

    A reading beyond stands until the next one: a sensor that dies beyond its limit raises the rule
    when for_ms is over. A clear one proves its own moment alone: only a reading clears, so a
    sensor that dies never does. With `fresh_ms` any reading stands for so long and no longer:
    within it time alone raises and clears, and after a longer gap the wait starts again.

    A kind of rule judges the readings and names the bound.
    """

    def __init__(self, for_ms: int, clear_for_ms: int, fresh_ms: "int | None" = None) -> None:
        super().__init__()
        self._for_ms = for_ms
        self._clear_for_ms = clear_for_ms
        self._fresh_ms = fresh_ms
        self._last = 0
        self._last_ms: int | None = None
        self._held_ms: int | None = None
        """Since when the readings say the contrary of `raised`; None: they do not."""

    def take(self, value: "int | None", at_ms: int) -> None:
        """Take the reading of this moment, None when it is missing."""
        self.lapse(at_ms - 1)
        last_ms = self._last_ms
        if value is None or (last_ms is not None and at_ms < last_ms):
            return
        if self.judge(value, at_ms) != (CLEAR if self.raised else BEYOND):
            self._held_ms = None
        elif self._held_ms is None or not self._fresh(at_ms):
            self._held_ms = at_ms
        self._last, self._last_ms = value, at_ms
        if self._held_ms is not None and at_ms - self._held_ms >= self._duration_ms():
            self._turn(at_ms)

    def lapse(self, at_ms: int) -> None:
        """Let time pass until this moment."""
        due_ms = self._due_ms()
        if due_ms is not None and at_ms >= due_ms:
            self._turn(due_ms)

    def wait_ms(self, at_ms: int) -> "int | None":
        """Return the milliseconds until time alone decides something, None: it never does."""
        due_ms = self._due_ms()
        return None if due_ms is None else max(0, due_ms - at_ms)

    def judge(self, value: int, at_ms: int) -> int:
        """Return BEYOND, BETWEEN or CLEAR for the next reading."""
        raise NotImplementedError

    def bound(self, value: int) -> int:
        """Return the bound that this value, which has just decided, has passed."""
        raise NotImplementedError

    def _duration_ms(self) -> int:
        return self._clear_for_ms if self.raised else self._for_ms

    def _due_ms(self) -> "int | None":
        """Return when the last reading turns the rule if no other comes; None: it does not."""
        if self._held_ms is None:
            return None
        due_ms = self._held_ms + self._duration_ms()
        if self._fresh_ms is None:
            return None if self.raised else due_ms
        return due_ms if self._fresh(due_ms) else None

    def _fresh(self, at_ms: int) -> bool:
        """Whether the last reading still stands."""
        if self._fresh_ms is None or self._last_ms is None:
            return True
        return at_ms - self._last_ms <= self._fresh_ms

    def _turn(self, at_ms: int) -> None:
        self.raised = not self.raised
        self.since_ms, self._held_ms = self._held_ms, None
        self.decided_ms = at_ms
        self.value, self.value_ms = self._last, self._last_ms
        self.limit = self.bound(self._last)
