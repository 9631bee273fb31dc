"""Which nodes take an update at present: few at a time, and a new one on a single node first."""

from dataclasses import dataclass

_AWAY_MS = 600_000
"""A node that is silent for so long amid a transfer lets another one go first."""

RESULT_MS = 3_600_000
"""A node that was told to apply an update has so long to say what became of it."""


@dataclass(slots=True)
class _Place:
    digest: bytes
    seen_ms: int
    applied_ms: int | None = None


class Places:
    """Held by nodes from the first byte until the result is known, sessions or no sessions."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[bytes, _Place] = {}

    @property
    def count(self) -> int:
        """How many are held."""
        return len(self._held)

    @property
    def applied(self) -> int:
        """How many are held by nodes that were told to apply their update."""
        return sum(place.applied_ms is not None for place in self._held.values())

    def take(self, eui: bytes, digest: bytes, now_ms: int, *, proven: bool) -> bool:
        """Take a place for a node if it may have an update, and say whether it has one."""
        if not self.may_take(eui, digest, proven=proven):
            return False
        place = self._held.get(eui)
        if place is not None and place.digest == digest:
            place.seen_ms = now_ms
        else:
            self._held[eui] = _Place(digest, now_ms)
        return True

    def may_take(self, eui: bytes, digest: bytes, *, proven: bool) -> bool:
        """Whether a node may take an update; proven: it stayed on some node already."""
        place = self._held.get(eui)
        if place is not None and place.digest == digest:
            return True
        others = [held.digest for other, held in self._held.items() if other != eui]
        return len(others) < self._limit and (proven or digest not in others)

    def seen(self, eui: bytes, now_ms: int) -> None:
        """Note a sign of life amid a transfer."""
        if eui in self._held:
            self._held[eui].seen_ms = now_ms

    def applied_by(self, eui: bytes, digest: bytes, now_ms: int) -> None:
        """Note that a node was told to apply its update: it holds its place until the result."""
        self._held[eui] = _Place(digest, now_ms, now_ms)

    def leave(self, eui: bytes, digest: bytes, *, owing: bool = True) -> None:
        """Free the place that a node has for this update; owing: even if it owes the result."""
        place = self._held.get(eui)
        if place is not None and place.digest == digest and (owing or place.applied_ms is None):
            del self._held[eui]

    def expire(self, now_ms: int) -> list[tuple[bytes, bytes]]:
        """Free what was held too long; return nodes and digests that owe a result."""
        owing = []
        for eui, place in list(self._held.items()):
            if place.applied_ms is not None and now_ms - place.applied_ms > RESULT_MS:
                owing.append((eui, place.digest))
                del self._held[eui]
            elif place.applied_ms is None and now_ms - place.seen_ms > _AWAY_MS:
                del self._held[eui]
        return owing
