"""All parts of `lilong bench gateway`, one after the other."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilong_tools.bench.gateway.ack import measure_ack
from lilong_tools.bench.gateway.idle import measure_idle
from lilong_tools.bench.gateway.ingest import measure_ingest
from lilong_tools.bench.gateway.peer import measure_peer
from lilong_tools.bench.gateway.replay import measure_replay
from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime import find_mosquitto
from lilong_tools.runtime.wheels import find_thingsboard_gateway

PARTS = ("ingest", "peer", "ack", "idle", "replay")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to measure, and how much of it; folder is where the stores are, None: anywhere.

    nodes times batches of so many readings are taken at once, trickle batches one by one.
    rate is batches a second over so many sessions, for ack_s. registered nodes are known while
    nothing happens for idle_s. The backlog is a batch a minute of replay_nodes, and may take
    replay_s to go. peer_records are what the peer takes.
    """

    parts: Sequence[str] = PARTS
    folder: Path | None = None
    nodes: int = 64
    batches: int = 320
    readings: int = 60
    trickle: int = 200
    sessions: int = 50
    rate: int = 1000
    ack_s: float = 5.0
    registered: int = 21_000
    idle_s: float = 10.0
    replay_nodes: int = 60
    replay_minutes: int = 1440
    replay_s: float = 80.0
    peer_records: int = 200_000


def measure_gateway(wish: Wish) -> dict[str, Any]:
    """Return the figures of the parts; None for what lacks a program. ToolError."""
    steps: dict[str, Callable[[Path], dict[str, Any]]] = {
        "ingest": lambda place: measure_ingest(
            wish.nodes, wish.batches, wish.readings, wish.trickle, place
        ),
        "ack": lambda place: {
            "ack_ms": measure_ack(wish.sessions, wish.rate, wish.ack_s, wish.readings, place)
        },
        "idle": lambda place: _idle(wish, place),
        "replay": lambda place: _replay(wish, place),
        "peer": lambda place: _peer(wish, place),
    }
    found: dict[str, Any] = {}
    for part in PARTS:
        if part in wish.parts:
            with tempfile.TemporaryDirectory(prefix="lilong-bench-", dir=wish.folder) as place:
                found |= steps[part](Path(place))
    return found | _ratios(found)


def is_sound(found: Mapping[str, Any]) -> bool:
    """Whether all of the backlog that the gateway calls delivered is at the city."""
    replay = found.get("replay")
    return replay is None or not replay["lost"]


def lines(found: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Write the figures for a person, one a line."""
    for name, value in found.items():
        label = f"{within}{name}"
        if isinstance(value, dict):
            yield from lines(value, f"{label}.")
        elif isinstance(value, float):
            yield f"{label:48}{value:>16,.6g}"
        else:
            yield f"{label:48}{'not measured' if value is None else str(value):>16}"


def _idle(wish: Wish, place: Path) -> dict[str, Any]:
    mosquitto = _found(find_mosquitto, "idle")
    if mosquitto is None:
        return {"rss_mb": None, "registered_nodes": None, "idle_cpu": None}
    return measure_idle(wish.registered, wish.idle_s, mosquitto, place)


def _replay(wish: Wish, place: Path) -> dict[str, Any]:
    mosquitto = _found(find_mosquitto, "replay")
    if mosquitto is None:
        return {"replay_ratio": None, "replay": None}
    found = measure_replay(
        *(wish.replay_nodes, wish.replay_minutes, wish.replay_s, wish.readings),
        mosquitto=mosquitto,
        folder=place,
    )
    ratio = found["batches_per_s"] / found["live_batches_per_s"]
    return {"replay_ratio": ratio, "replay": found}


def _peer(wish: Wish, place: Path) -> dict[str, Any]:
    package = _found(find_thingsboard_gateway, "peer")
    return {"peer": package and measure_peer(package, wish.peer_records, place)}


def _found(find: Callable[[], Path], part: str) -> Path | None:
    """Return where a program is; None, with a line for the person, when it is not to be had."""
    try:
        return find()
    except ProgramMissingError as error:
        sys.stderr.write(f"lilong: {part} is not measured: {error.problem}; {error.advice}\n")
        return None


def _ratios(found: Mapping[str, Any]) -> dict[str, Any]:
    """Compare readings a second on disk with those that the peer has in its database."""
    peer = found.get("peer")
    if peer is None or "readings_per_s" not in found:
        return {}
    ours = found["readings_per_s"]
    return {
        "ratio_to_peer": ours / peer["readings_per_s"],
        "ratio_to_peer_packed": ours / peer["packed_readings_per_s"],
    }
