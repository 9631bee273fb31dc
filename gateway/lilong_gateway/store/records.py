"""What goes into the store and what comes out. Times are ms since 2000 unless said otherwise."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Lane(IntEnum):
    """What waits for a sink: alarms (stream 0) go by themselves, beside all else."""

    ALARM = 0
    REST = 1


class Cursor(NamedTuple):
    """What a sink has confirmed of a lane: up to done, and beyond ahead_from up to ahead_to."""

    done: int
    ahead_from: int = 0
    ahead_to: int = 0


SinkCursors = tuple[Cursor, Cursor]
"""One for each Lane."""


class Slot(NamedTuple):
    """The identity of a batch, unique for ever and through every gateway."""

    eui: bytes
    epoch: int
    stream: int
    seq: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch that was decoded. boot is None when its readings carry absolute times.

    last_ms is the uptime of its latest reading, for a batch with a boot. received_ms is None
    while the gateway's clock is not set. channels are the numbers of those that it holds.
    """

    slot: Slot
    item: bytes
    readings: int
    boot: int | None
    last_ms: int
    received_ms: int | None
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A batch of an authenticated node that could not be decoded."""

    slot: Slot
    item: bytes
    reason: str
    received_ms: int | None


@dataclass(frozen=True, slots=True)
class Missing:
    """A batch that the node gave up, or can no longer read: only its number came."""

    slot: Slot
    received_ms: int | None


@dataclass(frozen=True, slots=True)
class Description:
    """A node's present boot, and its channels; descriptor None means the one of this hash.

    proven is the id of the key that it came under: the node will not use an older one again.
    """

    eui: bytes
    boot_id: int
    epoch_ms: int | None
    uncertainty_ms: int
    hash: bytes
    version: int
    descriptor: bytes | None
    proven: bytes


@dataclass(frozen=True, slots=True)
class Advance:
    """The node holds nothing below first any more."""

    eui: bytes
    epoch: int
    stream: int
    first: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a node says it runs: the payload of its STATUS; told_ms None without a clock."""

    eui: bytes
    firmware: str
    status: bytes
    told_ms: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of an update or a configuration on one node; there is one of each digest.

    what and outcome are words of the downlink; tries is how often the node was told to apply it;
    why is the reason of the last failure, "" for none.
    """

    eui: bytes
    what: str
    digest: bytes
    sequence: int
    outcome: str
    why: str
    tries: int
    noted_ms: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """An alarm that a node's sealed advertisement told of.

    key is the id of the key that it came under, counter its number under that key, low_seq the
    low 8 bits of the seq of the alarm's batch; rssi in dBm; heard_ms None without a clock.
    """

    eui: bytes
    key: bytes
    counter: int
    channel: int
    low_seq: int
    raised: bool
    heard_ms: int | None
    rssi: int | None
    adapter: str


@dataclass(frozen=True, slots=True)
class Relief:
    """A node's sealed advertisement tells that it holds no alarm any more."""

    eui: bytes


@dataclass(frozen=True, slots=True)
class AdvertCounter:
    """The highest counter that was believed of a node under the key of this id."""

    eui: bytes
    key: bytes
    counter: int


@dataclass(frozen=True, slots=True)
class AdvertCounters:
    """What has been believed since the last such entry."""

    counters: tuple[AdvertCounter, ...]


Entry = (
    Arrival
    | Unreadable
    | Missing
    | Description
    | Advance
    | Report
    | Attempt
    | Notice
    | Relief
    | AdvertCounters
)


def is_urgent(entry: Entry) -> bool:
    """Whether an entry is stored as long as there is room for anything: no batch, or an alarm."""
    return not isinstance(entry, Arrival | Unreadable | Missing) or entry.slot.stream == 0


@dataclass(frozen=True, slots=True)
class Noticed:
    """A notice as it stands in the store.

    outcome is None while the alarm's batch is awaited, else one of store.notices; settled_ms is
    when that came to be. Both times are None without a clock.
    """

    id: int
    eui: bytes
    channel: int
    seq: int
    raised: bool
    heard_ms: int | None
    outcome: str | None
    settled_ms: int | None


@dataclass(frozen=True, slots=True)
class Committed:
    """What one transaction did; notices: that it made or settled; size_bytes: of its items."""

    stored: int = 0
    readings: int = 0
    duplicates: int = 0
    quarantined: int = 0
    notices: tuple[Noticed, ...] = ()
    size_bytes: int = 0

    def plus(self, other: "Committed") -> "Committed":
        """Return what both did."""
        return Committed(
            self.stored + other.stored,
            self.readings + other.readings,
            self.duplicates + other.duplicates,
            self.quarantined + other.quarantined,
            self.notices + other.notices,
            self.size_bytes + other.size_bytes,
        )


@dataclass(frozen=True, slots=True)
class Believed:
    """What is known of advertisements: the highest counters, and each node's proven key's id."""

    counters: tuple[AdvertCounter, ...]
    proven: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a node that says HELLO; proven as in its latest Description."""

    next: tuple[int, int, int, int]
    described: bool
    proven: bytes | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The id of a node's proven key, and when a batch of it was stored last."""

    proven: bytes | None
    heard_ms: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the store knows of one node, for a person: its latest Report, and its Attempts."""

    firmware: str | None
    status: bytes | None
    told_ms: int | None
    heard_ms: int | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A stored batch. offset_ms is the time of uptime 0, None for absolute times.

    descriptor is the node's, None if it never came. received_ms is None while the gateway's clock
    is not set; one_in is how many batches of its stream it stands for since it was thinned.
    """

    pos: int
    slot: Slot
    quality: str
    offset_ms: int | None
    descriptor: bytes | None
    item: bytes
    readings: int = 0
    received_ms: int | None = None
    one_in: int = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Batches of a lane, in order; there are no others of it up to and including through."""

    rows: tuple[Row, ...]
    through: int


@dataclass(frozen=True, slots=True)
class SinkState:
    """Where a sink stands in which store; last is the highest position that was ever given."""

    store_id: str
    cursors: SinkCursors
    last: int
