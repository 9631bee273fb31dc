"""One node as the scheduler of visits knows it: where it is heard, what waits, since when."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from lilong_gateway.radio.retreat import Retreat
from lilong_protocol.advert import Told

WEAK_DBM = -95
_OLD_MS = 600_000
"""What has waited so long is fetched over a weak signal too."""

_REST_MS = 5_000
_ALARM_REST_MS = 250
_UNBOUNDED_S = 1 << 14
"""The last code of an age in an advertisement has no upper bound."""

_WEIGHTS = (4, *range(4, 19))
"""By the bits of the number of batches that wait."""

_FIRST_GAP_MS = 2_000
_GAPS = 3
_STALE_MS = (3_000, 30_000)
_GONE_MS = 60_000


class Wish(Enum):
    """What the gateway has for a node."""

    PROMPT = "prompt"
    """A command, a configuration, a key: soon, and short."""

    BULK = "bulk"
    """An update: it takes turns with the batches of others."""


class Rank(IntEnum):
    """Why a node is visited; the greater goes first."""

    ROUTINE = 0
    DATA = 1
    WISH = 2
    ALARM = 3


@dataclass(slots=True)
class Hearing:
    """How one adapter hears the node; rssi_dbm is a mean, gap_ms its longest pause lately."""

    address: str
    rssi_dbm: float
    at_ms: int
    retreat: Retreat
    gap_ms: float = _FIRST_GAP_MS

    def again(self, address: str, rssi_dbm: int, now_ms: int) -> None:
        """Take one more advertisement."""
        self.address = address
        self.rssi_dbm += (rssi_dbm - self.rssi_dbm) / 4
        self.gap_ms = max(now_ms - self.at_ms, self.gap_ms * 7 / 8)
        self.at_ms = now_ms

    def fresh(self, adapter_heard_ms: int, now_ms: int) -> bool:
        """Whether the node still advertises, as far as can be known.

        What counts is for how long the adapter has heard others but not this node: it hears
        nobody while it connects.
        """
        least_ms, most_ms = _STALE_MS
        stale_ms = min(most_ms, max(least_ms, _GAPS * self.gap_ms))
        return adapter_heard_ms - self.at_ms <= stale_ms and now_ms - self.at_ms <= _GONE_MS


class Candidate:
    """One node. Times are those of the steady clock."""

    def __init__(self, eui: bytes, now_ms: int, visit_every_ms: int) -> None:
        self.eui = eui
        self.hearings: dict[str, Hearing] = {}
        self.heard_ms = now_ms
        self.visiting = False
        self.alarm = False
        self._visit_every_ms = visit_every_ms
        self._first_ms = now_ms
        self._read = False
        self._waiting = 0
        self._since_ms = now_ms
        self._wish: Wish | None = None
        self._wished_ms = 0
        self._attempted_ms: int | None = None
        self._visited_ms: int | None = None
        self.rank = Rank.DATA
        """Why it would be visited."""
        self.due_ms = now_ms
        """When it may be visited again, if the radio lets it."""
        self.turn_ms = now_ms
        """Since when it waits for its turn."""
        self.weight = _WEIGHTS[0]
        """What a wait counts for, by what waits."""

    def hear(
        self, adapter: str, address: str, rssi_dbm: int, now_ms: int, random: Callable[[], float]
    ) -> None:
        """Take where the node is heard."""
        self.heard_ms = now_ms
        hearing = self.hearings.get(adapter)
        if hearing is None:
            self.hearings[adapter] = Hearing(address, rssi_dbm, now_ms, Retreat(random))
        else:
            hearing.again(address, rssi_dbm, now_ms)

    def tell(self, told: Told, now_ms: int) -> None:
        """Take what waits there.

        The time since which it waits is kept within what the advertisement leaves open, so that
        it stands still while the same thing waits.
        """
        self.alarm = told.alarm
        latest_ms = now_ms - told.age_s * 1000
        bounded = told.age_s < _UNBOUNDED_S
        earliest_ms = now_ms - max(1, 2 * told.age_s) * 1000 if bounded else self._since_ms
        known_ms = self._since_ms if self._waiting else latest_ms
        self._since_ms = min(latest_ms, max(known_ms, earliest_ms))
        self._waiting = told.waiting
        self._read = True
        self._review()

    def wish(self, wish: Wish | None, now_ms: int) -> None:
        """Take what the gateway has for it, or that there is nothing any more."""
        if wish is not self._wish:
            self._wish, self._wished_ms = wish, now_ms
            self._review()

    def attempted(self, now_ms: int) -> None:
        """An attempt has ended, good or not: others go first."""
        self.visiting = False
        self._attempted_ms = now_ms
        self._review()

    def visited(self, now_ms: int, *, drained: bool) -> None:
        """A session was open; `drained`: nothing waits any more, up or down."""
        self._read = True
        self._visited_ms = now_ms
        if drained:
            self.alarm = False
            self._waiting = 0
            self._wish = None
        self._review()

    def opens_ms(self, hearing: Hearing) -> int:
        """Give when it may be visited over that adapter, as far as the node is concerned."""
        opens_ms = max(self.due_ms, hearing.retreat.until_ms(alarm=self.alarm))
        if hearing.rssi_dbm < WEAK_DBM and not self.alarm:
            opens_ms = max(opens_ms, self._waits_from_ms + _OLD_MS)
        return opens_ms

    def _review(self) -> None:
        self.rank = self._rank()
        self.due_ms = self._due_ms()
        attempted_ms = self._attempted_ms
        from_ms = self._waits_from_ms
        self.turn_ms = from_ms if attempted_ms is None else max(from_ms, attempted_ms)
        self.weight = _WEIGHTS[min(self._waiting.bit_length(), 15)]

    def _due_ms(self) -> int:
        if self._visited_ms is None or self.rank is Rank.ROUTINE:
            return self._routine_ms
        if self.rank is Rank.ALARM:
            return self._visited_ms + _ALARM_REST_MS
        if self.rank is Rank.WISH and self._wished_ms > self._visited_ms:
            return self._wished_ms
        return self._visited_ms + _REST_MS

    def _rank(self) -> Rank:
        if self.alarm:
            return Rank.ALARM
        if self._wish is Wish.PROMPT:
            return Rank.WISH
        if self._waiting or self._wish is Wish.BULK or not self._read:
            return Rank.DATA
        return Rank.ROUTINE

    @property
    def _waits_from_ms(self) -> int:
        """Since when it has had a reason; routine is one, whatever its advertisements say."""
        from_ms = [self._routine_ms]
        if self._waiting:
            from_ms.append(self._since_ms)
        if self._wish is not None:
            from_ms.append(self._wished_ms)
        return min(from_ms)

    @property
    def _routine_ms(self) -> int:
        if self._visited_ms is None:
            return self._first_ms
        return self._visited_ms + self._visit_every_ms
