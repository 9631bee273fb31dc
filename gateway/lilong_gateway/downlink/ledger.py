"""What became of each update and each configuration on each node; it outlives restarts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from lilong_gateway.store.records import Attempt, Entry, Report
from lilong_gateway.store.writer import ATTEMPTS_KEPT

ASKED = "asked"
"""The node was told to apply it, and nothing is known of that."""
APPLIED = "applied"
"""The node said that it applies it."""
DONE = "done"
REFUSED = "refused"
FAILED = "failed"
AGAIN = "again"
"""A person wants it tried again: what failed before does not count."""

SETTLED = (DONE, REFUSED, FAILED)
MOST_TRIES = 5


class Ledger:
    """Attempts by node; offer hands them to the store, where one may get lost under pressure.

    wall_ms gives ms since 2000, None while the clock is not set.
    """

    def __init__(
        self, offer: Callable[[Entry, Callable[[], None]], bool], wall_ms: Callable[[], int | None]
    ) -> None:
        self._offer = offer
        self._wall_ms = wall_ms
        self._nodes: dict[bytes, dict[tuple[str, bytes], Attempt]] = {}
        self.outcomes: Counter[str] = Counter()
        """How many attempts have come to each outcome."""

    def load(self, attempts: Iterable[Attempt]) -> None:
        """Take over what the store knows; what this run has noted is later."""
        noted, self._nodes = self._nodes, {}
        self.outcomes.clear()
        for attempt in attempts:
            self.put(attempt)
        for of_node in noted.values():
            for attempt in of_node.values():
                self.put(attempt)

    def all(self) -> list[Attempt]:
        """Return every attempt."""
        return [attempt for of_node in self._nodes.values() for attempt in of_node.values()]

    def of(self, eui: bytes) -> list[Attempt]:
        """Return the attempts on one node, the oldest first."""
        return list(self._nodes.get(eui, {}).values())

    def find(self, eui: bytes, what: str, digest: bytes) -> Attempt | None:
        """Return the attempt with this on one node, if there was one."""
        return self._nodes.get(eui, {}).get((what, digest))

    def count(self, what: str, digest: bytes, outcome: str) -> int:
        """Return on how many nodes this has come to an outcome."""
        found = (of_node.get((what, digest)) for of_node in self._nodes.values())
        return sum(attempt is not None and attempt.outcome == outcome for attempt in found)

    def note(self, attempt: Attempt) -> None:
        """Remember what became of an attempt, here and in the store."""
        attempt = replace(attempt, noted_ms=self._wall_ms())
        self.put(attempt)
        self._offer(attempt, _nothing)

    def put(self, attempt: Attempt) -> None:
        """Remember an attempt that the store knows of."""
        of_node = self._nodes.setdefault(attempt.eui, {})
        key = (attempt.what, attempt.digest)
        earlier = of_node.pop(key, None)
        if earlier is not None:
            self.outcomes[earlier.outcome] -= 1
        of_node[key] = attempt
        self.outcomes[attempt.outcome] += 1
        while len(of_node) > ATTEMPTS_KEPT:
            oldest = of_node.pop(next(iter(of_node)))
            self.outcomes[oldest.outcome] -= 1

    def again(self, eui: bytes) -> list[Attempt]:
        """Return what failed or was refused on a node, as it is noted to have it tried again."""
        return [
            replace(attempt, outcome=AGAIN, tries=0, noted_ms=self._wall_ms())
            for attempt in self.of(eui)
            if attempt.outcome in {REFUSED, FAILED}
        ]

    def report(self, eui: bytes, firmware: str, status: bytes) -> None:
        """Let the store know what a node says of itself."""
        self._offer(Report(eui, firmware, status, self._wall_ms()), _nothing)


def _nothing() -> None:
    """Nobody waits for it to be on disk."""
