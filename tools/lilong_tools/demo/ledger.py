"""The comparison: what a node sampled against what the city received, reading by reading, exact.

No input or output: a trace, the channels and the deliveries go in, an account comes out.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from lilong_tools.city.pack import Record
from lilong_tools.demo.trace import BatchKey, Sample, Trace

EPOCH_2000_S = 946_684_800
_UNSYNCHRONISED = "bounded"
_OF_THE_NODE = 200
"""First number of the channels in which a node tells of itself; those wait on purpose."""

Reading = tuple[Decimal | None, str, Decimal]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a node's settings, as far as the comparison needs it."""

    number: int
    name: str
    unit: str
    exponent: int
    time_exponent: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One batch at the city: when it came (UNIX ms), how its times were made, its records."""

    received_ms: int
    quality: str
    records: Sequence[Record]


@dataclass(slots=True)
class Account:
    """Readings, counted by their fate. sampled = all fates but `duplicated` and invented ones.

    mismatched: came with another time, value or unit, or was never sampled.
    unsealed: sampled and not journalled when the node was killed, which nobody promised to keep.
    """

    sampled: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    mismatched: int = 0
    withheld: int = 0
    unsealed: int = 0
    time_unknown: int = 0
    batches: int = 0
    latencies_ms: list[int] = field(default_factory=list)

    @property
    def faultless(self) -> bool:
        """Whether nothing is lost, doubled or altered."""
        return not (self.lost or self.duplicated or self.mismatched)

    def add(self, other: "Account") -> None:
        """Add another account to this one."""
        for name in (
            "sampled",
            "delivered",
            "lost",
            "duplicated",
            "mismatched",
            "withheld",
            "unsealed",
            "time_unknown",
            "batches",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latencies_ms.extend(other.latencies_ms)


def settle(
    trace: Trace,
    channels: Iterable[Channel],
    deliveries: Mapping[BatchKey, Delivery],
    withheld: Collection[int] = (),
) -> Account:
    """Compare one node's trace with the batches that the city holds of it.

    withheld: numbers of channels that privacy keeps from the city; one that came is a mismatch.
    """
    return _Settlement(trace, channels, withheld).run(deliveries)


class _Settlement:
    def __init__(
        self, trace: Trace, channels: Iterable[Channel], withheld: Collection[int]
    ) -> None:
        self._trace = trace
        self._channels = {channel.number: channel for channel in channels}
        self._numbers = {channel.name: number for number, channel in self._channels.items()}
        self._withheld = withheld
        self._account = Account(sampled=trace.sampled, batches=0)
        self._left = [_by_channel(boot.left) for boot in trace.boots]
        if self._left:
            for number, samples in _by_channel(trace.unsealed()).items():
                self._left[-1][number].extend(samples)

    def run(self, deliveries: Mapping[BatchKey, Delivery]) -> Account:
        for key, samples in self._trace.batches.items():
            self._announced(samples, deliveries.get(key))
        for key in sorted(deliveries.keys() - self._trace.batches.keys()):
            self._unannounced(deliveries[key])
        for boot, left in zip(self._trace.boots, self._left, strict=True):
            count = sum(len(samples) for samples in left.values())
            if boot.orderly:
                self._account.lost += count
            else:
                self._account.unsealed += count
        return self._account

    def _announced(self, samples: Sequence[Sample], delivery: Delivery | None) -> None:
        self._account.batches += delivery is not None
        records = _by_name(delivery.records if delivery else ())
        for number, wanted in _by_channel(samples).items():
            channel = self._channels.get(number)
            got = records.pop(channel.name, []) if channel else []
            if number in self._withheld:
                self._account.withheld += len(wanted)
                self._account.mismatched += len(got)
            elif delivery is None or channel is None:
                self._account.lost += len(wanted)
            else:
                self._channel(channel, list(wanted), got, delivery)
        self._account.mismatched += sum(len(invented) for invented in records.values())

    def _channel(
        self, channel: Channel, wanted: list[Sample], got: list[Record], delivery: Delivery
    ) -> None:
        """Count the fates of one channel of one batch."""
        blind = delivery.quality == _UNSYNCHRONISED
        received = [_received(record, blind) for record in got]
        for offset in self._offsets(wanted):
            expected = [_expected(channel, sample, offset, blind) for sample in wanted]
            if _in_time_order(expected) == received:
                break
        fates = self._count(expected, received)
        if channel.number < _OF_THE_NODE:
            self._account.latencies_ms.extend(
                delivery.received_ms - wanted[index].unix_ms for index in fates.delivered
            )
        if blind or any(time is None for time, _, _ in expected):
            self._account.time_unknown += len(wanted)

    def _offsets(self, wanted: Sequence[Sample]) -> list[int | None]:
        """Give the clock offsets that the node knew in the life of these samples, newest last."""
        offsets: list[int | None] = []
        if any(sample.time is None for sample in wanted):
            offsets.extend(self._trace.boots[wanted[0].boot].offsets)
        return offsets or [None]

    def _count(self, wanted: list[Reading], received: list[Reading]) -> "_Fates":
        fates = _fates(wanted, received)
        self._account.delivered += len(fates.delivered)
        self._account.lost += fates.lost
        self._account.duplicated += fates.duplicated
        self._account.mismatched += fates.mismatched
        return fates

    def _unannounced(self, delivery: Delivery) -> None:
        """Place a batch that the node had no time to announce: it was killed just then."""
        self._account.batches += 1
        if any(self._claim(left, delivery) for left in self._left):
            return
        known = self._known()
        for record in delivery.records:
            doubled = _received(record, blind=False) in known.get(record.name, ())
            self._account.duplicated += doubled
            self._account.mismatched += not doubled

    def _claim(self, left: dict[int, deque[Sample]], delivery: Delivery) -> bool:
        """Take the batch as the oldest of what one life left unjournalled, if it is that."""
        groups = {
            self._numbers.get(name, -1): got for name, got in _by_name(delivery.records).items()
        }
        parts = []
        for number, got in groups.items():
            samples = list(left.get(number, ()))[: len(got)]
            if number in self._withheld or not self._same(number, samples, got, delivery):
                return False
            parts.append((number, samples, got))
        for number, samples, got in parts:
            self._channel(self._channels[number], samples, got, delivery)
            for _ in samples:
                left[number].popleft()
        return bool(parts)

    def _same(
        self, number: int, samples: list[Sample], got: list[Record], delivery: Delivery
    ) -> bool:
        if len(samples) != len(got) or number not in self._channels:
            return False
        blind = delivery.quality == _UNSYNCHRONISED
        received = [_received(record, blind) for record in got]
        return any(
            _in_time_order([_expected(self._channels[number], s, offset, blind) for s in samples])
            == received
            for offset in self._offsets(samples)
        )

    def _known(self) -> dict[str, set[Reading]]:
        """Give every reading of the announced batches, by channel name."""
        known: dict[str, set[Reading]] = defaultdict(set)
        for samples in self._trace.batches.values():
            for sample in samples:
                channel = self._channels.get(sample.channel)
                if channel:
                    reading = _expected(channel, sample, self._offsets([sample])[-1], blind=False)
                    known[channel.name].add(reading)
        return known


@dataclass(frozen=True, slots=True)
class _Fates:
    delivered: list[int]
    lost: int = 0
    duplicated: int = 0
    mismatched: int = 0


def _fates(wanted: list[Reading], received: list[Reading]) -> _Fates:
    """Say what became of each: delivered (indexes of `wanted`), and how many otherwise."""
    ordered = _in_time_order(wanted)
    if ordered == received:
        return _Fates(list(range(len(wanted))))
    spare = Counter(received)
    delivered = []
    for index, reading in enumerate(wanted):
        if spare[reading]:
            spare[reading] -= 1
            delivered.append(index)
    known = set(wanted)
    duplicated = sum(count for reading, count in spare.items() if reading in known)
    altered = spare.total() - duplicated
    if len(delivered) == len(wanted) == len(received):
        misplaced = sum(a != b for a, b in zip(ordered, received, strict=True))
        return _Fates(delivered[misplaced:], mismatched=misplaced)
    missing = len(wanted) - len(delivered)
    return _Fates(delivered, max(0, missing - altered), duplicated, altered)


def _expected(channel: Channel, sample: Sample, offset: int | None, blind: bool) -> Reading:  # noqa: FBT001
    value = Decimal(sample.value).scaleb(channel.exponent)
    if blind:
        return None, channel.unit, value
    if sample.time is not None:
        return _unix(sample.time, channel.time_exponent), channel.unit, value
    time = None if offset is None else _unix(offset + sample.uptime_ms, -3)
    return time, channel.unit, value


def _received(record: Record, blind: bool) -> Reading:  # noqa: FBT001
    return None if blind else record.time, record.unit, record.value


def _unix(time: int, exponent: int) -> Decimal:
    return Decimal(time).scaleb(exponent) + EPOCH_2000_S


def _in_time_order(readings: list[Reading]) -> list[Reading]:
    """Sort by time and leave equals in their order, as the gateway does (RFC 8428 section 4.6)."""
    if any(time is None for time, _, _ in readings):
        return readings
    return sorted(readings, key=lambda reading: reading[0] or Decimal(0))


def _by_channel(samples: Iterable[Sample]) -> dict[int, deque[Sample]]:
    groups: dict[int, deque[Sample]] = defaultdict(deque)
    for sample in samples:
        groups[sample.channel].append(sample)
    return groups


def _by_name(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.name].append(record)
    return groups
