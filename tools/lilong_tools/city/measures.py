"""What the city can say of its own store: how much, how complete, how late."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from lilong_tools.city.extents import read_extents

LIVE_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Measures:
    """Totals of one store.

    gaps: sequence numbers not held between the first and the last one held of each
    (node, epoch, stream), without those that gateways say they thinned out; complete: share held
    of what was not thinned. Latency is from a batch's newest reading to its
    arrival, over those that arrived within an hour of it (the rest are recordings or backlog).
    """

    gateways: int
    nodes: int
    batches: int
    readings: int
    repeats: int
    aside: int
    streams: int
    gaps: int
    thinned: int
    complete: float
    latency_ms_p50: int | None
    latency_ms_p99: int | None

    def as_dict(self) -> dict[str, int | float | None]:
        """Give the fields by name, for JSON."""
        return asdict(self)


def measure(path: Path) -> Measures:
    """Measure the store at `path`, which may be in use."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        return _measure(database)


def _measure(database: sqlite3.Connection) -> Measures:
    gateways, nodes, batches, readings, repeats = database.execute(
        "SELECT count(DISTINCT site || '/' || gateway), count(DISTINCT eui), count(*),"
        " coalesce(sum(readings), 0), coalesce(sum(repeats), 0) FROM batch"
    ).fetchone()
    streams = read_extents(database)
    thinned = sum(extent.thinned for extent in streams)
    gaps = sum(extent.missing for extent in streams) - thinned
    latencies = [
        row[0]
        for row in database.execute(
            "SELECT received_ms - newest_ms AS ms FROM batch WHERE ms BETWEEN 0 AND ? ORDER BY ms",
            (LIVE_MS,),
        )
    ]
    return Measures(
        gateways,
        nodes,
        batches,
        readings,
        repeats,
        database.execute("SELECT coalesce(max(id), 0) FROM aside").fetchone()[0],
        len(streams),
        gaps,
        thinned,
        batches / (batches + gaps) if batches else 1.0,
        percentile(latencies, 50),
        percentile(latencies, 99),
    )


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Give the nearest-rank percentile of values in rising order, None of none."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def sentences(measures: Measures) -> list[str]:
    """Say the measures in a few lines for a person."""
    late = "no live batches"
    if measures.latency_ms_p50 is not None:
        late = f"latency p50 {measures.latency_ms_p50} ms, p99 {measures.latency_ms_p99} ms"
    gaps = f"{measures.gaps} gaps"
    thinned = f", {measures.thinned} thinned out by gateways" if measures.thinned else ""
    amount = f"{measures.readings} readings in {measures.batches} batches"
    return [
        f"{amount} from {measures.nodes} nodes through {measures.gateways} gateways",
        f"{measures.repeats} repeats dropped, {measures.aside} messages set aside, {late}",
        f"{measures.complete:.2%} complete: {gaps} in {measures.streams} streams{thinned}",
    ]
