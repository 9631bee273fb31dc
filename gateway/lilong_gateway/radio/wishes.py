"""What the gateway has for nodes that it cannot reach before it visits them."""

from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.keys import KeyRing
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.candidate import Wish
from lilong_gateway.radio.itinerary import Itinerary

_LOOK_MS = 2_000


class Wishes:
    """Looks now and then; keys and settings are wanted soon, updates take turns with data."""

    def __init__(self, keys: KeyRing, proofs: Proofs, downlink: Downlink) -> None:
        self._keys = keys
        self._proofs = proofs
        self._downlink = downlink
        self._looked_ms: int | None = None
        self._wished: dict[bytes, Wish] = {}

    def look(self, itinerary: Itinerary, now_ms: int) -> None:
        """Tell the itinerary of every wish that has come up or gone."""
        if self._looked_ms is not None and now_ms - self._looked_ms < _LOOK_MS:
            return
        self._looked_ms = now_ms
        wished = self._all()
        for eui in self._wished.keys() - wished.keys():
            itinerary.wants(eui, None, now_ms)
        for eui, wish in wished.items():
            itinerary.wants(eui, wish, now_ms)
        self._wished = wished

    def _all(self) -> dict[bytes, Wish]:
        wished = dict.fromkeys(self._downlink.nodes_to_update(), Wish.BULK)
        wished |= dict.fromkeys(self._downlink.nodes_to_configure(), Wish.PROMPT)
        wished |= dict.fromkeys(self._downlink.nodes_on_trial(), Wish.PROMPT)
        rotating = (eui for eui in self._keys.euis if self._is_rotating(eui))
        return wished | dict.fromkeys(rotating, Wish.PROMPT)

    def _is_rotating(self, eui: bytes) -> bool:
        return len(self._keys(eui)) > 1 and not self._proofs.is_current(eui)
