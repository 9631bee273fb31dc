"""A channel of which nothing is heard."""

from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.rules.decision import Decision

if TYPE_CHECKING:
    from lilong_protocol.rules.parameters import Parameters


class Silence(Decision):
    """Raised when there was no reading for `for_ms`, cleared by `clear_after` readings.

    A reading at the last moment is in time. Those that clear come no further apart than for_ms.
    Silence is counted from the last reading, before the first one from the first call; `value` is
    that last reading, and on clearing the one that cleared.
    """

    def __init__(self, parameters: "Parameters") -> None:
        super().__init__()
        self._for_ms = parameters.number("for_ms", 1, parameters.LONGEST_MS)
        self._clear_after = parameters.number("clear_after", 1, 100, 1)
        self._heard_ms: int | None = None
        """When something was heard last, or when the rule began to listen."""
        self._last: int | None = None
        self._last_ms: int | None = None
        self._run = 0
        self._run_ms = 0

    def take(self, value: "int | None", at_ms: int) -> None:
        """Take the reading of this moment, None when it is missing."""
        self.lapse(at_ms - 1)
        if value is None or self._heard_ms is None or at_ms < self._heard_ms:
            return
        if self.raised:
            self._hear(at_ms, at_ms - self._heard_ms)
        self._heard_ms = self._last_ms = at_ms
        self._last = value
        if self.raised and self._run >= self._clear_after:
            self._turn(self._run_ms, at_ms)

    def lapse(self, at_ms: int) -> None:
        """Let time pass until this moment."""
        if self._heard_ms is None:
            self._heard_ms = at_ms
        elif not self.raised and at_ms - self._heard_ms >= self._for_ms:
            self._run = 0
            self._turn(self._heard_ms, self._heard_ms + self._for_ms)

    def wait_ms(self, at_ms: int) -> "int | None":
        """Return the milliseconds until time alone decides something, None: it never does."""
        if self.raised:
            return None
        if self._heard_ms is None:
            return 0
        return max(0, self._heard_ms + self._for_ms - at_ms)

    def _hear(self, at_ms: int, gap_ms: int) -> None:
        """Count a reading of those that end the silence."""
        if self._run == 0 or gap_ms > self._for_ms:
            self._run, self._run_ms = 0, at_ms
        self._run += 1

    def _turn(self, since_ms: int, at_ms: int) -> None:
        self.raised = not self.raised
        self.since_ms = since_ms
        self.decided_ms = at_ms
        self.value, self.value_ms = self._last, self._last_ms
        self.limit = self._for_ms
