"""Whether each duty makes progress. A duty says when it is at work, and when it rests."""

import time
from collections.abc import Callable
from dataclasses import dataclass

USUAL_LIMIT_S = 20.0
"""Longest step of a duty; with as much of a watchdog what is frozen begins anew in a minute."""


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Pulse:
    """One duty's. Rest is waiting for an event, or for what has a time limit of its own.

    work() before each step and rest() after the last one; a step that takes longer than limit_s
    is frozen. Any thread may call and read; now_ms is a steady clock.
    """

    def __init__(
        self, limit_s: float = USUAL_LIMIT_S, now_ms: Callable[[], int] = _steady_ms
    ) -> None:
        self.limit_ms = round(limit_s * 1000)
        self.state = (False, now_ms())
        """Whether it is at work, and since when; one object: no reader meets half a change."""
        self._now_ms = now_ms

    def work(self) -> None:
        """Begin a step; what was under way is done."""
        self.state = (True, self._now_ms())

    def rest(self) -> None:
        """Nothing is to be done for now."""
        self.state = (False, self._now_ms())


@dataclass(frozen=True, slots=True)
class Beat:
    """A pulse at one moment: since when it has been at work, or at rest."""

    duty: str
    busy: bool
    since_ms: int
    frozen: bool


class Pulses:
    """The pulses of all duties by name.

    repair is that of long work in the store which is no freeze (a damaged file is read out, a
    schema is changed): while it goes on step by step, nobody is blamed for waiting.
    """

    def __init__(
        self, limit_s: float = USUAL_LIMIT_S, now_ms: Callable[[], int] = _steady_ms
    ) -> None:
        self.limit_s = limit_s
        self._now_ms = now_ms
        self._pulses: dict[str, Pulse] = {}
        self.repair = self.add("store repair")

    def add(self, duty: str) -> Pulse:
        """Return a new pulse for a duty; it takes the place of an earlier one."""
        pulse = self._pulses[duty] = Pulse(self.limit_s, self._now_ms)
        return pulse

    def calm(self, duty: str) -> None:
        """Put a duty that has stopped to rest, with all its parts: those named "<duty> ..."."""
        for name, pulse in self._pulses.items():
            if name == duty or name.startswith(f"{duty} "):
                pulse.rest()

    def remove(self, duty: str) -> None:
        """Forget a duty that has ended."""
        self._pulses.pop(duty, None)

    def beats(self, now_ms: int) -> tuple[Beat, ...]:
        """Return what is so now."""
        repairing, repaired_ms = self.repair.state
        found = []
        for duty, pulse in self._pulses.items():
            busy, since_ms = pulse.state
            excused = pulse is not self.repair and repairing
            blamed_ms = max(since_ms, repaired_ms)
            frozen = busy and not excused and now_ms - blamed_ms > pulse.limit_ms
            found.append(Beat(duty, busy, since_ms, frozen))
        return tuple(found)
