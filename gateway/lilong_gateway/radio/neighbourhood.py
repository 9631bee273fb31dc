"""The nodes that are heard, and what the gateway has for nodes, heard or not. Bounded."""

from collections.abc import Callable

from lilong_gateway.radio.candidate import Candidate, Wish
from lilong_protocol.advert import Told

CANDIDATES = 4096
_FORGET_MS = 600_000
_TIDY_MS = 60_000


class Neighbourhood:
    """Keeps the candidates. One that was not heard for ten minutes is forgotten.

    Where there are too many, the one that was not heard for the longest time goes.
    """

    def __init__(self, random: Callable[[], float], visit_every_ms: int) -> None:
        self.candidates: dict[bytes, Candidate] = {}
        self.alarms: dict[bytes, Candidate] = {}
        """Those of them with an alarm waiting."""
        self._random = random
        self._visit_every_ms = visit_every_ms
        self._wishes: dict[bytes, tuple[Wish, int]] = {}
        self._tidied_ms = 0

    def hear(
        self, adapter: str, eui: bytes, address: str, rssi_dbm: int, told: Told | None, now_ms: int
    ) -> Candidate:
        """Take an advertisement."""
        candidate = self.candidates.get(eui) or self._meet(eui, now_ms)
        candidate.hear(adapter, address, rssi_dbm, now_ms, self._random)
        if told is not None:
            candidate.tell(told, now_ms)
            self._note(candidate)
        return candidate

    def wish(self, eui: bytes, wish: Wish | None, now_ms: int) -> None:
        """Take what the gateway has for a node; None: nothing any more. Too many are not kept."""
        if wish is None:
            self._wishes.pop(eui, None)
        elif eui not in self._wishes and len(self._wishes) >= CANDIDATES:
            return
        elif self._wishes.get(eui, (None, 0))[0] is not wish:
            self._wishes[eui] = (wish, now_ms)
        if eui in self.candidates:
            self.candidates[eui].wish(wish, now_ms)

    def visited(self, candidate: Candidate, now_ms: int, *, drained: bool) -> None:
        """Take that a session was open with it."""
        candidate.visited(now_ms, drained=drained)
        self._note(candidate)
        if drained:
            self._wishes.pop(candidate.eui, None)

    def lose(self, adapter: str) -> None:
        """Nobody is heard by that adapter any more."""
        for candidate in self.candidates.values():
            candidate.hearings.pop(adapter, None)

    def _meet(self, eui: bytes, now_ms: int) -> Candidate:
        if now_ms - self._tidied_ms >= _TIDY_MS or len(self.candidates) >= CANDIDATES:
            self._tidy(now_ms)
        candidate = Candidate(eui, now_ms, self._visit_every_ms)
        if eui in self._wishes:
            candidate.wish(*self._wishes[eui])
        self.candidates[eui] = candidate
        return candidate

    def _tidy(self, now_ms: int) -> None:
        self._tidied_ms = now_ms
        idle = [each for each in self.candidates.values() if not each.visiting]
        for candidate in idle:
            if now_ms - candidate.heard_ms >= _FORGET_MS:
                self._forget(candidate)
        if len(self.candidates) >= CANDIDATES and idle:
            self._forget(min(idle, key=lambda each: each.heard_ms))

    def _forget(self, candidate: Candidate) -> None:
        self.candidates.pop(candidate.eui, None)
        self.alarms.pop(candidate.eui, None)

    def _note(self, candidate: Candidate) -> None:
        if candidate.alarm:
            self.alarms[candidate.eui] = candidate
        else:
            self.alarms.pop(candidate.eui, None)
