"""At which address a node is visited where several say to be it. Times: the steady clock's."""

from dataclasses import dataclass

_SILENT_MS = 30_000
_FAILURES = 3
_MOST = 4096


@dataclass(slots=True)
class _Place:
    """proven: a session was open there; failures: visits in a row that came to nothing."""

    address: str
    heard_ms: int
    proven: bool = False
    failures: int = 0

    def gives_way(self, now_ms: int) -> bool:
        """Whether another address may be tried."""
        limit = _FAILURES if self.proven else 1
        return self.failures >= limit or now_ms - self.heard_ms > _SILENT_MS


class Addresses:
    """Anybody can repeat an advertisement, and louder; nobody else can hold a session.

    So a node has one address on an adapter: that of its last session as long as it is heard, and
    the next one only after visits to this one have failed.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, _Place] = {}

    def choose(self, eui: bytes, address: str, now_ms: int) -> str:
        """Return where to visit the node of which an advertisement came from that address."""
        place = self._places.get(eui)
        if place is None or (place.address != address and place.gives_way(now_ms)):
            self._places.pop(eui, None)
            place = self._places[eui] = _Place(address, now_ms)
            if len(self._places) > _MOST:
                del self._places[next(iter(self._places))]
        if place.address == address:
            place.heard_ms = now_ms
        return place.address

    def reached(self, eui: bytes, address: str) -> None:
        """Take that a session was open there."""
        place = self._places.get(eui)
        if place is not None and place.address == address:
            place.proven, place.failures = True, 0

    def failed(self, eui: bytes, address: str) -> None:
        """Take that a visit there came to nothing."""
        place = self._places.get(eui)
        if place is not None and place.address == address:
            place.failures += 1
