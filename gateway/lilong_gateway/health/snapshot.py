"""What is so with the gateway at one moment; never changed, so that any thread may read it.

Times are ms of the steady clock, None: never.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lilong_gateway.health.pulse import Beat

PORT = "port"
ADAPTER = "adapter"


@dataclass(frozen=True, slots=True)
class Source:
    """Where data comes from. well: it can be used; moved_ms: when data of it was stored last.

    refused counts what was heard and is of no use, by reason.
    """

    name: str
    kind: str
    state: str
    well: bool
    begun_ms: int
    moved_ms: int | None
    batches: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sink:
    """Where data goes. stands_ms: since when batches wait and none is confirmed.

    connected is the MQTT version in use; waiting is None while it is not known; counted are
    counters since the start.
    """

    name: str
    where: str
    connected: str | None
    trouble: str
    confirmed: int
    waiting: int | None
    replaying: bool
    moved_ms: int | None
    stands_ms: int | None
    counted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came in. stands_ms: since when entries wait and nothing is committed."""

    queued: int
    trouble: str
    moved_ms: int | None
    stands_ms: int | None
    counted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """The store in numbers, by name; asked_ms: when it gave them. counted are counters.

    full is "cap", "disk", or "" while there is room; expired are batches by privacy class.
    """

    trouble: str
    full: str
    asked_ms: int | None
    figures: Mapping[str, float]
    counted: Mapping[str, int]
    expired: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole. serving: the store is open and the duties run. failing: failures in a row.

    ready: what lies ready for nodes; downlink: what became of it, counted.
    """

    gateway: str
    site: str
    taken_ms: int
    started_ms: int
    serving: bool
    stopping: bool
    clock_set: bool
    beats: tuple[Beat, ...]
    failures: Mapping[str, int]
    failing: Mapping[str, int]
    sources: tuple[Source, ...]
    sinks: tuple[Sink, ...]
    ingest: Ingested
    store: Stored
    nodes: Mapping[str, int]
    keys_trouble: str
    ready: Mapping[str, int]
    downlink: Mapping[str, int]
    downlink_troubles: int
