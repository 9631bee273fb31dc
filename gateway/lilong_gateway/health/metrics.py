"""The gateway's figures in the text form of Prometheus; the only importer of prometheus_client.

Names follow prometheus.io/docs/practices/naming. Nodes are never labels: there may be 21,000, and
when one of them speaks is nobody's business.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.health.verdict import DEAD, DEGRADED, HEALTHY, Verdict

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

Labelled = Iterable[tuple[tuple[str, ...], float | None]]
_ENDINGS = {"_s": 1.0, "_h": 3600.0}


class Metrics:
    """A registry of its own; text() for each scrape."""

    def __init__(self) -> None:
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def text(self, snapshot: Snapshot, verdict: Verdict, now_ms: int) -> bytes:
        """Return all figures of one moment, and those of the process."""
        registry = CollectorRegistry()
        registry.register(_Moment(snapshot, verdict, now_ms))
        return generate_latest(registry) + generate_latest(self._process)


class _Moment(Collector):
    def __init__(self, snapshot: Snapshot, verdict: Verdict, now_ms: int) -> None:
        self._snapshot = snapshot
        self._verdict = verdict
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        yield from self._whole()
        yield from self._duties()
        yield from self._sources()
        yield from self._sinks()
        yield from self._store()
        yield from self._nodes()

    def _whole(self) -> Iterator[Metric]:
        snapshot, state = self._snapshot, self._verdict.state
        names = (snapshot.gateway, snapshot.site)
        yield _gauge("gateway_info", "Which gateway this is.", ("gateway", "site"), [(names, 1)])
        states = [((name,), float(name == state)) for name in (HEALTHY, DEGRADED, DEAD)]
        yield _gauge("health_state", "1 for the state that the gateway is in.", ("state",), states)
        yield _gauge(
            "health_reasons",
            "Reasons for it not to be healthy.",
            (),
            [((), len(self._verdict.reasons))],
        )
        yield _gauge(
            "snapshot_age_seconds",
            "Since the event loop turned last.",
            (),
            [((), self._ago(snapshot.taken_ms))],
        )
        yield _gauge(
            "uptime_seconds", "Since the start.", (), [((), self._ago(snapshot.started_ms))]
        )
        yield _gauge(
            "clock_set", "Whether the clock of the machine is set.", (), [((), snapshot.clock_set)]
        )

    def _duties(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        busy = [
            ((beat.duty,), self._ago(beat.since_ms) if beat.busy else 0.0)
            for beat in snapshot.beats
        ]
        yield _gauge(
            "duty_step_seconds", "How long its present step takes; 0: at rest.", _DUTY, busy
        )
        frozen = [((beat.duty,), float(beat.frozen)) for beat in snapshot.beats]
        yield _gauge("duty_frozen", "Whether a step does not end.", _DUTY, frozen)
        failed = [((duty,), count) for duty, count in snapshot.failures.items()]
        yield _counter("duty_failures", "Failures after which a duty began anew.", _DUTY, failed)

    def _sources(self) -> Iterator[Metric]:
        sources = self._snapshot.sources
        for kind in ("port", "adapter"):
            count = sum(source.kind == kind for source in sources)
            yield _gauge(f"{kind}s", f"Each {kind} that is served.", (), [((), count)])
        up = [((source.name, source.kind), float(source.well)) for source in sources]
        yield _gauge("source_up", "Whether it can be used.", ("source", "kind"), up)
        aged = [((source.name,), self._age(source.moved_ms)) for source in sources]
        yield _gauge("source_last_data_age_seconds", "Since data of it was stored.", _SOURCE, aged)
        stored = [((source.name,), source.batches) for source in sources]
        yield _counter("source_batches", "Batches of it that were stored.", _SOURCE, stored)
        refused = [
            ((source.name, reason), count)
            for source in sources
            for reason, count in source.refused.items()
        ]
        yield _counter("source_refused", "What was of no use, by reason.", _REASON, refused)

    def _sinks(self) -> Iterator[Metric]:
        sinks = self._snapshot.sinks
        connected = [((sink.name,), float(sink.connected is not None)) for sink in sinks]
        yield _gauge("sink_connected", "Whether its broker is connected.", _SINK, connected)
        waiting = [((sink.name,), sink.waiting) for sink in sinks]
        yield _gauge("sink_waiting_batches", "Batches not confirmed yet.", _SINK, waiting)
        replaying = [((sink.name,), float(sink.replaying)) for sink in sinks]
        yield _gauge("sink_replaying", "Whether it is sent a backlog.", _SINK, replaying)
        aged = [((sink.name,), self._age(sink.moved_ms)) for sink in sinks]
        yield _gauge("sink_last_confirmation_age_seconds", "Since the last one.", _SINK, aged)
        confirmed = [((sink.name,), sink.confirmed) for sink in sinks]
        yield _counter("sink_confirmed_batches", "Batches that were confirmed.", _SINK, confirmed)
        names = dict.fromkeys(name for sink in sinks for name in sink.counted)
        for name in names:
            counts = [((sink.name,), sink.counted.get(name)) for sink in sinks]
            yield _counter(f"sink_{name}", f"Since the start: {_words(name)}.", _SINK, counts)

    def _store(self) -> Iterator[Metric]:
        ingest, store = self._snapshot.ingest, self._snapshot.store
        yield from _counters("ingest", ingest.counted)
        yield _gauge(
            "ingest_queued_entries", "Taken and not on disk yet.", (), [((), ingest.queued)]
        )
        yield _gauge(
            "ingest_last_commit_age_seconds",
            "Since the last one.",
            (),
            [((), self._age(ingest.moved_ms))],
        )
        yield _gauge(
            "store_well",
            "Whether it takes batches.",
            (),
            [((), not (ingest.trouble or store.trouble))],
        )
        yield _gauge(
            "store_asked_age_seconds",
            "Since these figures of the store.",
            (),
            [((), self._age(store.asked_ms))],
        )
        for name, value in store.figures.items():
            unit, factor = _unit(name)
            yield _gauge(f"store_{unit}", f"{_words(name)}.", (), [((), value * factor)])
        yield from _counters("store", store.counted)
        expired = [((f"P{number}",), count) for number, count in enumerate(store.expired)]
        yield _counter("store_expired_batches", "Deleted for their age.", ("class",), expired)

    def _nodes(self) -> Iterator[Metric]:
        nodes = [((name,), count) for name, count in self._snapshot.nodes.items()]
        yield _gauge("nodes", "Nodes by what is known of them.", ("known",), nodes)
        ready = [((what,), count) for what, count in self._snapshot.ready.items()]
        yield _gauge("downlink_ready", "What lies ready for nodes.", ("what",), ready)
        yield from _counters("downlink", self._snapshot.downlink)

    def _ago(self, then_ms: int) -> float:
        return max(0, self._now_ms - then_ms) / 1000

    def _age(self, then_ms: int | None) -> float | None:
        return None if then_ms is None else self._ago(then_ms)


_DUTY = ("duty",)
_SOURCE = ("source",)
_REASON = ("source", "reason")
_SINK = ("sink",)


def _counters(group: str, counted: Mapping[str, int]) -> Iterator[Metric]:
    for name, count in counted.items():
        help_ = f"Since the start: {_words(name)}."
        yield _counter(f"{group}_{name}", help_, (), [((), count)])


def _gauge(name: str, help_: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = GaugeMetricFamily(f"lilong_{name}", help_, labels=labels)
    for given, value in values:
        if value is not None:
            family.add_metric(given, value)
    return family


def _counter(name: str, help_: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = CounterMetricFamily(f"lilong_{name}", help_, labels=labels)
    for given, value in values:
        if value is not None:
            family.add_metric(given, value)
    return family


def _unit(name: str) -> tuple[str, float]:
    """Give a name and a factor for the unit that Prometheus wants: seconds."""
    for ending, factor in _ENDINGS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending)}_seconds", factor
    return name, 1.0


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
