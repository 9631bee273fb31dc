"""What sinks are told of the gateway each minute: few figures, by names that carry their units."""

import resource

from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.uplink.message import Figures

_KIB = 1024
_STORE = {
    "size_bytes": "store_bytes",
    "max_bytes": "store_max_bytes",
    "autonomy_h": "store_autonomy_h",
    "quarantined_batches": "store_quarantined",
    "damaged_rows": "store_damaged_rows",
}


def told(snapshot: Snapshot, state: str) -> Figures:
    """Return what is so; a figure that is not known yet is None."""
    sources, nodes = snapshot.sources, snapshot.nodes
    moved = [source.moved_ms for source in sources if source.moved_ms is not None]
    counted = snapshot.ingest.counted
    figures: dict[str, float | str | None] = {
        "state": state,
        "uptime_s": (snapshot.taken_ms - snapshot.started_ms) // 1000,
        "sources": len(sources),
        "sources_up": sum(source.well for source in sources),
        "last_data_age_s": (snapshot.taken_ms - max(moved)) // 1000 if moved else None,
        "nodes": nodes["registered"],
        "nodes_heard": nodes["heard"],
        "batches": counted["batches"],
        "readings": counted["readings"],
        "quarantined": counted["quarantined"],
        "thinned": snapshot.store.counted.get("thinned_batches", 0),
        "failures": sum(snapshot.failures.values()),
        "memory_max_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB,
    }
    figures |= {name: snapshot.store.figures.get(key) for key, name in _STORE.items()}
    for sink in snapshot.sinks:
        figures[f"waiting_{sink.name}"] = sink.waiting
    return figures
