"""Which node is visited next, over which adapter. Pure: times are those of the steady clock."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from lilong_gateway.radio.candidate import Candidate, Rank, Wish
from lilong_gateway.radio.neighbourhood import Neighbourhood
from lilong_gateway.radio.slots import Slots, Visit
from lilong_protocol.advert import Told

VISIT_EVERY_MS = 600_000
MAX_VISIT_MS = 30_000

_PATIENCE_MS = 60_000
_OVERTAKES = 3
_YIELD_MS = 3_000
_USED_DB = 3
_FAILED_DB = 6
_FAILURES = 5
_TURNS_KEPT = 2
_LAST_SLOT_DB = 9


class Outcome(Enum):
    """How a visit ended."""

    SESSION = "session"
    """A session was open, whatever became of it."""

    FAILED = "failed"
    """No connection came about, or no session in it."""

    NO_SLOT = "no slot"
    """The adapter said that it has none; nothing is held against the node."""


@dataclass(frozen=True, slots=True)
class _Option:
    """A visit that could begin now; score is the wait times its weight."""

    candidate: Candidate
    adapter: str
    address: str
    rank: Rank
    score: int
    wait_ms: int
    signal_db: float


class Itinerary:
    """Plans the visits of all adapters. random gives a float in [0, 1).

    Alarms go first, then what is wanted soon, then batches by age and number, then routine. When
    one of these has overtaken a lower one three times in a row, and that has waited for a minute,
    the node that has waited for longest goes. The driver tells only of authentic advertisements,
    and ends every visit that it was given, also one that never connected.
    """

    def __init__(
        self,
        adapters: Sequence[str],
        slots: int,
        random: Callable[[], float],
        visit_every_ms: int = VISIT_EVERY_MS,
        max_visit_ms: int = MAX_VISIT_MS,
    ) -> None:
        self._adapters = {name: Slots(slots) for name in adapters}
        self._nodes = Neighbourhood(random, visit_every_ms)
        self._max_visit_ms = max_visit_ms
        self._number = 0
        self._overtakes = [0] * len(Rank)

    def heard(
        self, adapter: str, eui: bytes, address: str, rssi_dbm: int, told: Told | None, now_ms: int
    ) -> bool:
        """Take an advertisement; True when it is worth asking for the next visit at once.

        Without `told` the node is there, and what waits there stays as it was.
        """
        slots = self._adapters[adapter]
        if not slots.present:
            return False
        slots.heard_ms = now_ms
        candidate = self._nodes.hear(adapter, eui, address, rssi_dbm, told, now_ms)
        may_begin = slots.may_begin(now_ms, alarm=candidate.alarm)
        return may_begin and self._opens_ms(candidate, adapter, now_ms) == now_ms

    def wants(self, eui: bytes, wish: Wish | None, now_ms: int) -> None:
        """Take what the gateway has for a node, heard or not; None: nothing any more."""
        self._nodes.wish(eui, wish, now_ms)

    def next_visit(self, now_ms: int) -> Visit | None:
        """Give the next visit and take a slot for it; None when nothing can begin now."""
        options = list(self._options(now_ms))
        if not options:
            return None
        first = max(options, key=lambda each: (each.rank, each.score, each.signal_db))
        longest = max(options, key=lambda each: (each.wait_ms, each.signal_db))
        return self._begin(self._fair(first, longest), now_ms)

    def due_ms(self, now_ms: int) -> int | None:
        """Give when to ask next if nothing else happens; None: there is nothing to wait for."""
        soonest_ms = None
        for adapter, slots in self._adapters.items():
            for candidate in self._open_to(slots, now_ms):
                if soonest_ms is None or candidate.due_ms < soonest_ms:
                    opens_ms = self._opens_ms(candidate, adapter, now_ms)
                    if opens_ms is not None:
                        soonest_ms = min(opens_ms, soonest_ms or opens_ms)
        return soonest_ms

    def connected(self, visit: Visit) -> None:
        """Take that the connection stands: the adapter may begin another."""
        self._adapters[visit.adapter].connected(visit)

    def ended(self, visit: Visit, outcome: Outcome, now_ms: int, *, drained: bool = False) -> None:
        """Take the end of a visit; `drained`: nothing waits any more, neither up nor down."""
        slots = self._adapters[visit.adapter]
        if not slots.end(visit):
            return  # it ended with its adapter
        candidate = self._nodes.candidates[visit.eui]
        candidate.visiting = False
        retreat = candidate.hearings[visit.adapter].retreat
        if outcome is Outcome.NO_SLOT:
            slots.refused(now_ms)
        elif outcome is Outcome.FAILED:
            retreat.failed(now_ms)
            # A connect gets lost now and then; that costs a node its pause, not its turn.
            if retreat.failures > _TURNS_KEPT:
                candidate.attempted(now_ms)
        else:
            candidate.attempted(now_ms)
            retreat.succeeded()
            self._nodes.visited(candidate, now_ms, drained=drained)

    def should_leave(self, visit: Visit, now_ms: int) -> bool:
        """Whether a visit must end now for others, be it connected or not yet.

        It gives way at once to an alarm that finds no slot, and after max_visit_ms to anybody who
        finds none; a connect gives way to an alarm after 3 s.
        """
        slots = self._adapters[visit.adapter]
        if visit.number not in slots.visits:
            return True
        stay_ms = now_ms - visit.began_ms
        alarms = [] if visit.alarm else list(self._nodes.alarms.values())
        if slots.connecting == visit.number:
            return stay_ms >= _YIELD_MS and any(self._waiting(alarms, visit.adapter, now_ms))
        late = stay_ms >= self._max_visit_ms
        crowd = self._waiting(
            self._nodes.candidates.values() if late else alarms, visit.adapter, now_ms
        )
        return any(not slots.has_room(now_ms, alarm=each.alarm) for each in crowd)

    def adapter_lost(self, adapter: str, now_ms: int) -> None:
        """Take that an adapter is gone, and its visits with it; ended() may follow or not."""
        for visit in self._adapters[adapter].lose():
            self._nodes.candidates[visit.eui].attempted(now_ms)
        self._nodes.lose(adapter)

    def adapter_back(self, adapter: str, now_ms: int) -> None:
        """Take that it is there again."""
        self._adapters[adapter].come_back(now_ms)

    @property
    def known(self) -> int:
        """How many nodes are heard."""
        return len(self._nodes.candidates)

    @property
    def alarms(self) -> int:
        """How many of them have an alarm waiting."""
        return len(self._nodes.alarms)

    def used(self, adapter: str) -> int:
        """How many slots are taken."""
        return len(self._adapters[adapter].visits)

    def usable(self, adapter: str, now_ms: int) -> int:
        """How many slots are believed to work."""
        return self._adapters[adapter].usable(now_ms)

    def _fair(self, first: _Option, longest: _Option) -> _Option:
        """Let the first one go, unless its rank has overtaken too often in a row."""
        chosen = first
        if longest.rank < first.rank and longest.wait_ms >= _PATIENCE_MS:
            self._overtakes[first.rank] += 1
            if self._overtakes[first.rank] > _OVERTAKES:
                chosen = longest
        for rank in range(chosen.rank + 1, len(Rank)):
            self._overtakes[rank] = 0
        return chosen

    def _begin(self, option: _Option, now_ms: int) -> Visit:
        self._number += 1
        candidate = option.candidate
        candidate.visiting = True
        visit = Visit(
            self._number, option.adapter, candidate.eui, option.address, now_ms, candidate.alarm
        )
        self._adapters[option.adapter].begin(visit)
        return visit

    def _options(self, now_ms: int) -> Iterator[_Option]:
        for adapter, slots in self._adapters.items():
            worth_db = _worth_db(slots, now_ms)
            for candidate in self._open_to(slots, now_ms):
                if candidate.due_ms > now_ms:
                    continue  # most are not due, and this is asked often
                if self._opens_ms(candidate, adapter, now_ms) == now_ms:
                    yield _option(candidate, adapter, worth_db, now_ms)

    def _open_to(self, slots: Slots, now_ms: int) -> Iterable[Candidate]:
        """Give those for whom the adapter has a slot."""
        if slots.may_begin(now_ms, alarm=False):
            return self._nodes.candidates.values()
        return self._nodes.alarms.values() if slots.may_begin(now_ms, alarm=True) else ()

    def _opens_ms(self, candidate: Candidate, adapter: str, now_ms: int) -> int | None:
        """Give when the node may be visited there, not before now; None: not at all."""
        hearing = candidate.hearings.get(adapter)
        slots = self._adapters[adapter]
        if candidate.visiting or hearing is None or not hearing.fresh(slots.heard_ms, now_ms):
            return None
        return max(now_ms, slots.paused_ms, candidate.opens_ms(hearing))

    def _waiting(
        self, candidates: Iterable[Candidate], adapter: str, now_ms: int
    ) -> Iterator[Candidate]:
        """Give those that this adapter could visit now, and for whom none has a slot."""
        for candidate in candidates:
            due = candidate.due_ms <= now_ms
            if (
                due
                and self._opens_ms(candidate, adapter, now_ms) == now_ms
                and not any(
                    slots.may_begin(now_ms, alarm=candidate.alarm)
                    and self._opens_ms(candidate, name, now_ms) == now_ms
                    for name, slots in self._adapters.items()
                )
            ):
                yield candidate


def _option(candidate: Candidate, adapter: str, worth_db: float, now_ms: int) -> _Option:
    hearing = candidate.hearings[adapter]
    failures = min(hearing.retreat.failures, _FAILURES)
    wait_ms = now_ms - candidate.turn_ms
    return _Option(
        candidate,
        adapter,
        hearing.address,
        candidate.rank,
        wait_ms * candidate.weight,
        wait_ms,
        hearing.rssi_dbm - _FAILED_DB * failures + worth_db,
    )


def _worth_db(slots: Slots, now_ms: int) -> float:
    """Weigh what an adapter has to do already against the signal of others."""
    used = len(slots.visits)
    last = slots.usable(now_ms) - used == 1
    return -_USED_DB * used - (_LAST_SLOT_DB if last else 0)
