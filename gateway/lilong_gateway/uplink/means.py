"""What every connection of one sink uses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lilong_gateway.clock import Clock
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.outbox_parts import Part
from lilong_gateway.store.records import Lane
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.counters import Counters
from lilong_gateway.uplink.guarded import Guarded
from lilong_gateway.uplink.message import Figures
from lilong_gateway.uplink.renderer import Renderer


@dataclass(frozen=True, slots=True)
class Means:
    """One sink's. lanes: those of which it takes anything; replay_per_s: batches, 0 for any pace.

    receipts is the topic that receipts come on, None for none; figures tell of the gateway.
    """

    name: str
    store: Store
    renderer: Renderer
    form: Guarded
    counters: Counters
    lanes: frozenset[Lane]
    replay_per_s: int
    receipts: str | None
    figures: Callable[[], Figures]
    clock: Clock
    pulse: Pulse
    pulses: Mapping[Part, Pulse]
