"""What all links share."""

from collections.abc import Callable
from dataclasses import dataclass

from lilong_gateway.clock import Clock
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.store.store import Store


@dataclass(frozen=True)
class Surroundings:
    """What a conversation is built with, besides its place."""

    keys: KeyRing
    proofs: Proofs
    store: Store
    ingest: Ingest
    roster: Roster
    downlink: Downlink
    clock: Clock
    random: Callable[[int], bytes]
