"""How long alarms take from the sensor to the gateway."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from lilong_tools.bench.ble.watch import ALARMS, Watch
from lilong_tools.city.measures import percentile


def alarm_figures(alarms: Sequence[tuple[str, int]], watch: Watch) -> dict[str, Any]:
    """Return latencies of the alarms, (node, UNIX time of its sample): one of a node.

    An alarm has come when it is heard in an advertisement or its batch is on disk, and is
    confirmed by the latter.
    """
    noticed, stored = _first(watch)
    never = 1 << 62
    came = [min(noticed.get(eui, never), stored.get(eui, never)) - at for eui, at in alarms]
    confirmed = [stored[eui] - at for eui, at in alarms if eui in stored]
    known = [after for after in came if after < never >> 1]
    heard = sum(eui in noticed for eui, _ in alarms)
    return {
        "alarms": len(alarms),
        "alarm_ms": _percentiles(known),
        "alarms_unheard": len(came) - len(known),
        "alarms_heard_ratio": heard / len(alarms) if alarms else None,
        "alarms_confirmed_ratio": len(confirmed) / len(alarms) if alarms else None,
        "confirmed_ms": _percentiles(confirmed),
    }


def _first(watch: Watch) -> tuple[dict[str, int], dict[str, int]]:
    """Return when each node's alarm was first heard, and first stored."""
    noticed: defaultdict[str, list[int]] = defaultdict(list)
    stored: defaultdict[str, list[int]] = defaultdict(list)
    for notice in watch.notices:
        noticed[notice.eui].append(notice.heard_ms)
    for batch in watch.batches:
        if batch.stream == ALARMS:
            stored[batch.eui].append(batch.seen_ms)
    return (
        {eui: min(times) for eui, times in noticed.items()},
        {eui: min(times) for eui, times in stored.items()},
    )


def _percentiles(values: Sequence[int]) -> dict[str, int | None]:
    ordered = sorted(values)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99)}
