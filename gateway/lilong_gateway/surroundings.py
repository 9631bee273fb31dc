"""What all stations share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lilong_gateway.clock import Clock
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.links import Link
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.store.store import Store


@dataclass(frozen=True)
class Surroundings:
    """What a station is built with, besides its port."""

    keys: KeyRing
    proofs: Proofs
    store: Store
    ingest: Ingest
    roster: Roster
    downlink: Downlink
    clock: Clock
    random: Callable[[int], bytes]
    open_link: Callable[[str, Callable[[], None]], Awaitable[Link]]
