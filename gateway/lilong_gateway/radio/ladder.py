"""What to do for a sick adapter, step by step. Pure: times are those of the steady clock."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

LOOK_MS = 10_000
"""How often to look."""

_SILENCE_MS = 90_000
_FAILURES = 12
_WITHIN_MS = 600_000
_NODES = 2
_REST_MS = (30_000, 60_000)
_REST_MOST_MS = 900_000
_STEPS = 4
_WELL_MS = 900_000
_UP_MS = 900_000


class Step(IntEnum):
    """What to do, the mildest first."""

    SCAN = 0
    """Stop the scan and start it again."""

    POWER = 1
    """Switch the adapter off and on, or reset it on its bus."""

    EXIT = 2
    """End the process, for its supervisor to start it again."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One step for one adapter, and why, in words for a person."""

    adapter: str
    step: Step
    reason: str


class _Patient:
    """One adapter: what is held against it, and what was done."""

    def __init__(self, name: str, now_ms: int) -> None:
        self.name = name
        self.steps = 0
        self.heard_ms = now_ms
        self._treated_ms = now_ms
        self._failures: deque[tuple[int, bytes]] = deque(maxlen=_FAILURES)

    @property
    def given_up(self) -> bool:
        """Whether the mild steps were done often enough, and in vain."""
        return self.steps >= _STEPS

    def silent_ms(self, now_ms: int) -> int:
        return now_ms - self.heard_ms

    def failed(self, eui: bytes, now_ms: int) -> None:
        """Hold a failure against it."""
        self._failures.append((now_ms, eui))

    def succeeded(self) -> None:
        """It is well."""
        self._failures.clear()
        self.steps = 0

    def complaint(self, now_ms: int, *, expected: bool) -> str:
        """Say what is wrong; "" for nothing, and while the last step may still help."""
        if self.steps and now_ms - self._treated_ms < self._rest_ms:
            return ""
        silent_ms = self.silent_ms(now_ms)
        if expected and silent_ms >= _SILENCE_MS:
            return f"{self.name} has heard no advertisement for {silent_ms // 1000} s"
        took_ms = self._failures[-1][0] - self._failures[0][0] if self._failures else 0
        if len(self._failures) == _FAILURES and took_ms <= _WITHIN_MS:
            return (
                f"{self.name} failed to connect {_FAILURES} times in a row"
                f" within {took_ms // 1000} s, nodes: {self._nodes}"
            )
        if now_ms - self._treated_ms >= _WELL_MS:
            self.steps = 0
        return ""

    def is_to_blame(self, now_ms: int) -> bool:
        """Whether it is the adapter, and cannot be one dead node."""
        return self.silent_ms(now_ms) >= _SILENCE_MS or self._nodes >= _NODES

    def treat(self, now_ms: int) -> Step:
        """Give the next step: the two mild ones by turns. Failures count anew after it."""
        step = Step(self.steps % 2)
        self.steps += 1
        self._treated_ms = now_ms
        self._failures.clear()
        return step

    @property
    def _nodes(self) -> int:
        return len({eui for _, eui in self._failures})

    @property
    def _rest_ms(self) -> int:
        """How long to wait after the last step: twice as long in each round."""
        rounds, step = divmod(self.steps - 1, 2)
        return min(_REST_MOST_MS, _REST_MS[step] << min(rounds, 8))


class Ladder:
    """Watches over all adapters of a gateway, from now_ms on.

    An adapter is sick when it has heard nobody for 90 s although some node is expected, or when 12
    connects in a row failed within 10 minutes. A connect that succeeds makes it well, and so does
    a quarter of an hour without complaint.
    """

    def __init__(self, adapters: Sequence[str], now_ms: int) -> None:
        self._patients = {name: _Patient(name, now_ms) for name in adapters}
        self._began_ms = now_ms

    def heard(self, adapter: str, now_ms: int) -> None:
        """Take any advertisement, also that of a stranger: the radio hears."""
        self._patients[adapter].heard_ms = now_ms

    def silent_ms(self, adapter: str, now_ms: int) -> int:
        """Give for how long an adapter has heard nothing."""
        return self._patients[adapter].silent_ms(now_ms)

    def connected(self, adapter: str) -> None:
        """Take that a connection came about."""
        self._patients[adapter].succeeded()

    def failed(self, adapter: str, eui: bytes, now_ms: int) -> None:
        """Take that a connection did not come about."""
        self._patients[adapter].failed(eui, now_ms)

    def look(self, now_ms: int, *, expected: bool, alone: bool) -> list[Remedy]:
        """Give what to do now. expected: some node should be heard.

        The process ends only when it is `alone` (nothing else works in it), both mild steps were
        done twice for every adapter in vain, and it has run for a quarter of an hour.
        """
        sick = [
            (patient, reason)
            for patient in self._patients.values()
            if (reason := patient.complaint(now_ms, expected=expected))
        ]
        hopeless = alone and now_ms - self._began_ms >= _UP_MS and self._all_given_up
        if hopeless and any(patient.is_to_blame(now_ms) for patient, _ in sick):
            reasons = "; ".join(reason for _, reason in sick)
            reason = f"{reasons}; scan and power were restarted in vain"
            return [Remedy(sick[0][0].name, Step.EXIT, reason)]
        return [Remedy(patient.name, patient.treat(now_ms), reason) for patient, reason in sick]

    @property
    def _all_given_up(self) -> bool:
        return all(patient.given_up for patient in self._patients.values())
