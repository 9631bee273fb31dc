"""Looks at all parts of the gateway. In the event loop, each second: nothing here waits."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

from lilong_gateway.conversation import OPEN
from lilong_gateway.health.progress import Progress
from lilong_gateway.health.snapshot import ADAPTER, PORT, Ingested, Sink, Snapshot, Source, Stored
from lilong_gateway.roster import Traffic
from lilong_gateway.uplink.uplink import Uplink

if TYPE_CHECKING:
    from lilong_gateway.parts import Parts
    from lilong_gateway.store.summary import Summary

_WELL = {OPEN, "listening", "new"}
_NAMES = {
    "last": "last_position",
    "cursor": "confirmed_position",
    "quarantined": "quarantined_batches",
}
_COUNTED = ("thinned_batches", "thinned_readings")
_HEARD_MS = 900_000
_COUNT_MS = 30_000
"""How often nodes are counted one by one: there may be many thousands."""


class Sampler:
    """Remembers what moved since the last look."""

    def __init__(self, parts: "Parts") -> None:
        self.serving = False
        self.stopping = False
        self._parts = parts
        self._started_ms = parts.clock.steady_ms()
        self._begun_ms: dict[str, int] = {}
        self._ingest = Progress()
        self._sinks: defaultdict[str, Progress] = defaultdict(Progress)
        self._heard = 0
        self._counted_ms: int | None = None

    def sample(self, now_ms: int) -> Snapshot:
        """Return what is so now."""
        parts = self._parts
        keys, roster = parts.keys, parts.roster
        sources = tuple(self._sources(now_ms))
        self._begun_ms = {source.name: source.begun_ms for source in sources}
        shelf = parts.downlink.plan.shelf
        return Snapshot(
            gateway=parts.config.id,
            site=parts.config.site,
            taken_ms=now_ms,
            started_ms=self._started_ms,
            serving=self.serving,
            stopping=self.stopping,
            clock_set=parts.clock.wall_ms() is not None,
            beats=parts.pulses.beats(now_ms),
            failures=dict(parts.supervisor.failures),
            failing=parts.supervisor.failing,
            sources=sources,
            sinks=tuple(self._sink(sink, now_ms) for sink in parts.uplinks.sinks),
            ingest=self._ingested(now_ms),
            store=self._stored(),
            nodes={
                "registered": len(keys),
                "rotating": keys.rotating,
                "revoked": len(keys.revoked),
                "seen": len(roster.nodes),
                "heard": self._count_heard(now_ms),
                "refused": len(roster.refused),
            },
            keys_trouble=parts.key_watch.counters.trouble,
            ready={
                "updates": len(shelf.updates),
                "configurations": len(shelf.configurations),
            },
            downlink=asdict(parts.downlink.counters),
            downlink_troubles=len(shelf.troubles),
        )

    def _sources(self, now_ms: int) -> Iterator[Source]:
        parts = self._parts
        for station in parts.stations.all:
            source = self._source(station.port, PORT, station.state, now_ms)
            yield replace(source, refused=station.counters)
        if parts.rounds is not None:
            for adapter, state in parts.rounds.states.items():
                yield self._source(adapter, ADAPTER, state, now_ms)

    def _source(self, name: str, kind: str, state: str, now_ms: int) -> Source:
        traffic = self._parts.roster.traffic.get(name, Traffic())
        return Source(
            name=name,
            kind=kind,
            state=state,
            well=state in _WELL,
            begun_ms=self._begun_ms.get(name, now_ms),
            moved_ms=traffic.moved_ms if traffic.batches else None,
            batches=traffic.batches,
            refused={},
        )

    def _sink(self, uplink: Uplink, now_ms: int) -> Sink:
        waiting = uplink.waiting
        progress = self._sinks[uplink.name]
        progress.note(uplink.confirmed, now_ms, waiting=bool(waiting))
        return Sink(
            name=uplink.name,
            where=f"{uplink.host}:{uplink.port}",
            connected=uplink.connected,
            trouble=uplink.trouble,
            confirmed=uplink.confirmed,
            waiting=waiting,
            replaying=uplink.replaying,
            moved_ms=progress.moved_ms,
            stands_ms=progress.stands_ms,
            counted=asdict(uplink.counters) | asdict(uplink.filters),
        )

    def _ingested(self, now_ms: int) -> Ingested:
        ingest = self._parts.ingest
        self._ingest.note(ingest.counters.commits, now_ms, waiting=ingest.waiting > 0)
        return Ingested(
            queued=ingest.waiting,
            trouble="" if ingest.trouble is None else str(ingest.trouble),
            moved_ms=self._ingest.moved_ms,
            stands_ms=self._ingest.stands_ms,
            counted=asdict(ingest.counters),
        )

    def _stored(self) -> Stored:
        parts, report = self._parts, self._parts.report
        housekeeping, summary = parts.housekeeping, report.summary
        counted = {
            "pruned_batches": housekeeping.pruned,
            "dated_batches": housekeeping.dated,
            "damaged_files": parts.store.losses,
        }
        if summary is None:
            return Stored(report.store_trouble, "", report.asked_ms, {}, counted, ())
        counted |= {name: getattr(summary, name) for name in _COUNTED}
        figures = _figures(summary)
        wall_ms = parts.clock.wall_ms()
        if wall_ms is not None and summary.oldest_ms is not None:
            figures["oldest_waiting_s"] = max(0, wall_ms - summary.oldest_ms) / 1000
        full, expired = summary.full, summary.expired
        return Stored(report.store_trouble, full, report.asked_ms, figures, counted, expired)

    def _count_heard(self, now_ms: int) -> int:
        if self._counted_ms is None or now_ms - self._counted_ms >= _COUNT_MS:
            self._counted_ms = now_ms
            since_ms = now_ms - _HEARD_MS
            nodes = self._parts.roster.nodes.values()
            self._heard = sum(node.batches > 0 and node.heard_ms > since_ms for node in nodes)
        return self._heard


def _figures(summary: "Summary") -> dict[str, float]:
    found: dict[str, float] = {"waiting_batches": summary.waiting}
    for field in fields(summary):
        name, value = field.name, getattr(summary, field.name)
        if isinstance(value, int | float) and name not in _COUNTED and not name.endswith("_ms"):
            found[_NAMES.get(name, name)] = value
    return found
