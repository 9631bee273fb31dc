"""Healthy, degraded or dead. Dead is what a new start would help; an outage elsewhere is not."""

from collections.abc import Iterator
from dataclasses import dataclass

from lilong_gateway.health.snapshot import ADAPTER, Sink, Snapshot, Source, Stored

HEALTHY = "healthy"
DEGRADED = "degraded"
DEAD = "dead"

_STANDS_MS = 120_000
"""A sink that is connected and confirms nothing for so long is named."""
_LITTLE_H = 6.0
_FULL = {
    "cap": (
        "the store is full: readings thin out, alarms stay",
        "get a sink going again, or raise store.max_bytes",
    ),
    "disk": (
        "the disk is full: readings thin out, alarms stay",
        "make room on the disk of the data folder",
    ),
}
_IN_A_ROW = 5
_VITAL = "ingest"
_ANEW = "the service manager starts it anew; without one, restart it; keep the log for a report"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it is not healthy: what is so, and what to do."""

    state: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of the whole, and every reason for it, the worst first."""

    state: str
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        """One line for a person."""
        found = "; ".join(reason.what for reason in self.reasons)
        return f"{self.state}: {found}" if found else self.state


@dataclass(frozen=True, slots=True)
class Limits:
    """quiet_ms: how long a source may give nothing; stale_ms: how old a snapshot may be."""

    quiet_ms: int
    stale_ms: int


def judge(snapshot: Snapshot, now_ms: int, limits: Limits) -> Verdict:
    """Judge what was so; the older it is, the less it is worth."""
    reasons = [
        *_deadly(snapshot, now_ms, limits),
        *_of_itself(snapshot),
        *_of_the_store(snapshot, now_ms, limits),
        *_of_sources(snapshot, now_ms, limits),
        *_of_sinks(snapshot, now_ms),
    ]
    reasons.sort(key=lambda reason: reason.state != DEAD)
    return Verdict(reasons[0].state if reasons else HEALTHY, tuple(reasons))


def _deadly(snapshot: Snapshot, now_ms: int, limits: Limits) -> Iterator[Reason]:
    age_ms = now_ms - snapshot.taken_ms
    if age_ms > limits.stale_ms:
        yield Reason(DEAD, f"the event loop has not turned for {_span(age_ms)}", _ANEW)
    for beat in snapshot.beats:
        if beat.frozen:
            span = _span(now_ms - beat.since_ms)
            yield Reason(DEAD, f"{beat.duty} has been at one step for {span}", _ANEW)
    for duty, times in snapshot.failing.items():
        if times >= _IN_A_ROW:
            state = DEAD if duty == _VITAL else DEGRADED
            remedy = _ANEW if duty == _VITAL else "look at its errors in the log, and report them"
            yield Reason(state, f"{duty} failed {times} times in a row", remedy)


def _of_itself(snapshot: Snapshot) -> Iterator[Reason]:
    if snapshot.stopping:
        yield Reason(DEGRADED, "it is stopping", "nothing, it was told to")
    elif not snapshot.serving:
        yield Reason(
            DEGRADED, "the store is being opened", "wait; a damaged or large one takes minutes"
        )
    if not snapshot.clock_set:
        yield Reason(
            DEGRADED,
            "the clock of this machine is not set, so nothing is sent",
            "let it reach a time server (NTP), or set it; batches wait",
        )
    if snapshot.keys_trouble:
        yield Reason(
            DEGRADED,
            f"a changed key file is not used: {snapshot.keys_trouble}",
            "correct it; the keys from before stay in force",
        )
    if snapshot.downlink_troubles:
        yield Reason(
            DEGRADED,
            f"{snapshot.downlink_troubles} files for nodes cannot be used",
            "`lilong-gateway check` names them; replace or remove them",
        )


def _of_the_store(snapshot: Snapshot, now_ms: int, limits: Limits) -> Iterator[Reason]:
    store, ingest = snapshot.store, snapshot.ingest
    trouble = ingest.trouble or store.trouble
    if trouble:
        yield Reason(
            DEGRADED,
            f"nothing can be stored: {trouble}",
            "make room on the disk, or mend it; nodes keep their batches meanwhile",
        )
    elif ingest.stands_ms is not None and now_ms - ingest.stands_ms > limits.stale_ms:
        span = _span(now_ms - ingest.stands_ms)
        yield Reason(
            DEGRADED,
            f"{ingest.queued} entries wait and nothing was committed for {span}",
            "see whether the disk is slow or failing (dmesg, SMART)",
        )
    yield from _of_room(store)
    traces = store.figures.get("traces", 0)
    if traces:
        yield Reason(
            DEGRADED,
            f"{traces:.0f} deleted readings were found in the files again",
            "run `lilong-gateway store compact`, and report it",
        )


def _of_room(store: Stored) -> Iterator[Reason]:
    if store.full:
        what, remedy = _FULL.get(store.full, _FULL["disk"])
        yield Reason(DEGRADED, what, remedy)
    elif store.figures.get("autonomy_h", _LITTLE_H) < _LITTLE_H:
        hours = store.figures["autonomy_h"]
        yield Reason(
            DEGRADED,
            f"the store has room for {hours:.1f} h more",
            "get a sink going again, or raise store.max_bytes",
        )


def _of_sources(snapshot: Snapshot, now_ms: int, limits: Limits) -> Iterator[Reason]:
    if not snapshot.serving or snapshot.stopping:
        return
    if not snapshot.sources:
        yield Reason(
            DEGRADED,
            "no port that is configured is there",
            "plug a radio or a node in, or correct serial.ports",
        )
    for source in snapshot.sources:
        if not source.well:
            yield Reason(
                DEGRADED,
                f"{source.kind} {source.name}: {source.state}",
                "plug it in or free it; it is tried again by itself",
            )
        elif snapshot.nodes.get("registered") and _is_quiet(source, now_ms, limits):
            yield _quiet(source, now_ms)


def _is_quiet(source: Source, now_ms: int, limits: Limits) -> bool:
    return now_ms - _last_ms(source) > limits.quiet_ms


def _last_ms(source: Source) -> int:
    return source.begun_ms if source.moved_ms is None else source.moved_ms


def _quiet(source: Source, now_ms: int) -> Reason:
    span = _span(now_ms - _last_ms(source))
    remedy = "see whether its nodes have power and are within reach; restarting will not help"
    if source.kind != ADAPTER:
        remedy = "see whether its node has power and a cable; restarting will not help"
    return Reason(DEGRADED, f"{source.kind} {source.name} gave no data for {span}", remedy)


def _of_sinks(snapshot: Snapshot, now_ms: int) -> Iterator[Reason]:
    if not snapshot.serving or snapshot.stopping:
        return
    for sink in snapshot.sinks:
        if sink.connected is None:
            why = sink.trouble or "no connection yet"
            yield Reason(
                DEGRADED,
                f"sink {sink.name} at {sink.where}: {why}",
                "see whether the broker runs and the line is up; batches wait, none is lost",
            )
        elif _stands(sink, now_ms):
            yield Reason(
                DEGRADED,
                f"sink {sink.name} has confirmed nothing for {_span(now_ms - _since(sink))}",
                "see whether its receiver runs and stores; batches wait, none is lost",
            )


def _stands(sink: Sink, now_ms: int) -> bool:
    return sink.stands_ms is not None and now_ms - sink.stands_ms > _STANDS_MS


def _since(sink: Sink) -> int:
    return 0 if sink.stands_ms is None else sink.stands_ms


def _span(span_ms: int) -> str:
    """Write a time in the largest unit of which there are two."""
    seconds = span_ms // 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
