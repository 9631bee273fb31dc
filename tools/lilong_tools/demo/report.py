"""The result of a demonstration: one object for programs, a few lines for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from lilong_tools.city.arrivals import Arrivals
from lilong_tools.city.measures import percentile
from lilong_tools.city.pack import split_batch
from lilong_tools.demo.fleet import KeptNode
from lilong_tools.demo.ledger import Account, Delivery, settle
from lilong_tools.demo.plan import TRACE
from lilong_tools.demo.trace import BatchKey, read_trace
from lilong_tools.recording import Recording, rows_of

_DIGITS = 200
"""More than any value of a recording needs, so that nothing is rounded twice."""


@dataclass(frozen=True, slots=True)
class Played:
    """One recording: its rows, and how many reached the city with times and values unchanged."""

    file: str
    rows: int
    rows_delivered: int
    readings: int
    rounded: bool


@dataclass(slots=True)
class Heap:
    """Bytes of heap on the fullest node: its size, in use after the imports, in use now."""

    size: int = 0
    after_import: int = 0
    in_use: int = 0

    def take(self, after_import: int, in_use: int) -> None:
        """Keep the larger."""
        self.after_import = max(self.after_import, after_import)
        self.in_use = max(self.in_use, in_use)


@dataclass(slots=True)
class Report:
    """What was compared, and what it cost. cut: recordings were ended before their last row."""

    account: Account
    nodes: int
    repeats: int
    aside: int
    heap: Heap
    link_bytes: int = 0
    damaged: int = 0
    restarts: int = 0
    elapsed_s: float = 0.0
    cut: bool = False
    gave_up: bool = False
    played: list[Played] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether something was sampled and arrived as it was: every row, unless it was cut."""
        complete = self.cut or all(one.rows_delivered == one.rows for one in self.played)
        return self.account.faultless and self.account.sampled > 0 and complete

    @property
    def bytes_per_reading(self) -> float | None:
        """Bytes on the serial link, from the nodes, for each reading delivered."""
        if not self.account.delivered:
            return None
        return round(self.link_bytes / self.account.delivered, 3)

    def latency_ms(self, percent: int) -> int | None:
        """Give a percentile of the time from sample to city."""
        return percentile(sorted(self.account.latencies_ms), percent)

    def as_dict(self) -> dict[str, object]:
        """Give everything by name, for JSON."""
        account = self.account
        found: dict[str, object] = {
            "nodes": self.nodes,
            "readings_sampled": account.sampled,
            "readings_delivered": account.delivered,
            "lost": account.lost,
            "duplicated": account.duplicated,
            "mismatched": account.mismatched,
            "latency_ms": {"p50": self.latency_ms(50), "p99": self.latency_ms(99)},
            "batches": account.batches,
            "repeats_dropped": self.repeats,
            "set_aside": self.aside,
            "withheld": account.withheld,
            "unsealed": account.unsealed,
            "time_unknown": account.time_unknown,
            "restarts": self.restarts,
            "link_bytes": self.link_bytes,
            "bytes_per_reading": self.bytes_per_reading,
            "heap_bytes": {
                "size": self.heap.size,
                "after_import": self.heap.after_import,
                "in_use": self.heap.in_use,
                "live": self.heap.in_use - self.heap.after_import,
            },
            "elapsed_s": round(self.elapsed_s, 1),
            "cut_short": self.cut,
            "gave_up": self.gave_up,
        }
        if self.played:
            found["replay"] = [
                {
                    "file": one.file,
                    "rows": one.rows,
                    "rows_delivered": one.rows_delivered,
                    "readings": one.readings,
                    "rounded": one.rounded,
                }
                for one in self.played
            ]
        return found

    def sentences(self) -> list[str]:
        """Say it in a few lines."""
        account, heap = self.account, self.heap
        nodes = "1 node" if self.nodes == 1 else f"{self.nodes} nodes"
        sampled = f"{account.sampled} readings sampled by {nodes}"
        delivered = f"{account.delivered} delivered in {account.batches} batches"
        faults = ", ".join(
            f"{fault} {getattr(account, fault)}" for fault in ("lost", "duplicated", "mismatched")
        )
        latency = f"latency p50 {_ms(self.latency_ms(50))}, p99 {_ms(self.latency_ms(99))}"
        size = f"{heap.in_use / 1024:.0f} of {heap.size / 1024:.0f} KiB"
        return [
            f"{sampled} in {self.elapsed_s:.0f} s, {delivered}",
            f"{faults}   ({latency})",
            f"link {self.bytes_per_reading or 0} bytes a reading, node heap {size}",
            f"repeats dropped {self.repeats}, restarts {self.restarts}",
            *map(_row_sentence, self.played),
            *self._remarks(),
        ]

    def _remarks(self) -> list[str]:
        account, lines = self.account, []
        if account.unsealed:
            lines.append(
                f"{account.unsealed} readings were still in the memory of nodes that were killed"
            )
        if account.withheld:
            lines.append(f"{account.withheld} readings were withheld by the privacy rules")
        if account.time_unknown:
            lines.append(f"{account.time_unknown} readings came without a certain time")
        if self.gave_up:
            lines.append("ended before everything had arrived; what was on its way counts as lost")
        return lines


def account_for(nodes: Iterable[KeptNode], arrivals: Arrivals, heap_size: int) -> Report:
    """Compare traces and city, node by node."""
    report = Report(Account(), 0, arrivals.repeats(), arrivals.aside(), Heap(heap_size))
    for node in nodes:
        trace = read_trace(node.folder / TRACE)
        deliveries = {
            split_batch(pack.batch): Delivery(received_ms, pack.quality, pack.records)
            for received_ms, pack in arrivals.packs(node.plan.eui)
        }
        report.account.add(settle(trace, node.plan.channels, deliveries))
        report.nodes += 1
        report.link_bytes += trace.link_bytes
        report.damaged += trace.damaged
        report.heap.take(trace.memory.imported, trace.memory.used)
        if node.plan.recording is not None:
            report.played.append(played(node.plan.recording, deliveries))
    return report


def played(recording: Recording, deliveries: Mapping[BatchKey, Delivery]) -> Played:
    """Count the rows of the file whose every value is at the city, at its own time."""
    held = Counter(
        (record.name, record.time, record.value)
        for delivery in deliveries.values()
        for record in delivery.records
    )
    rows = arrived = 0
    for row in rows_of(recording):
        time = _rounded(row.time, recording.time_exponent)
        wanted = [
            (column.name, time, _rounded(value, column.exponent))
            for column, value in zip(recording.columns, row.values, strict=True)
            if value is not None
        ]
        rows += bool(wanted)
        arrived += bool(wanted) and all(held[reading] > 0 for reading in wanted)
        held.subtract(wanted)
    rounded = any(column.rounded for column in recording.columns) or recording.times_rounded
    return Played(recording.path.name, rows, arrived, recording.readings, rounded)


def _rounded(value: Decimal, exponent: int) -> Decimal:
    """Round half to even to whole units of 10**exponent, as the node does."""
    with localcontext(prec=_DIGITS):
        return value.scaleb(-exponent).to_integral_value(ROUND_HALF_EVEN).scaleb(exponent)


def _row_sentence(one: Played) -> str:
    how = "rounded as announced" if one.rounded else "unchanged"
    return f"{one.file}: {one.rows_delivered} of {one.rows} rows delivered {how}"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value} ms"
