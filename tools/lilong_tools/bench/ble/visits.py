"""A round: nodes with a backlog, a gateway that is new to them, and alarms amid the drain."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.alarms import alarm_figures
from lilong_tools.bench.ble.crew import AHEAD_S, Crew
from lilong_tools.bench.ble.process import (
    ADAPTER,
    GatewayProcess,
    on_virtual_adapter,
    process_s,
    write_gateway,
)
from lilong_tools.bench.ble.watch import Watch, now_ms, until, watching
from lilong_tools.demo.trace import BatchKey
from lilong_tools.radio.air import Air

_FIRST_VISIT_S = 1.0
"""From a gateway's start to its first connection, about."""


@dataclass(frozen=True, slots=True)
class Plan:
    """alarms: how many nodes raise one; limit_s: how long the gateway may take for all."""

    nodes: int
    slots: int
    alarms: int
    limit_s: float
    folder: Path
    micropython: Path


@dataclass(frozen=True, slots=True)
class _Drain:
    """UNIX times of the first connection and of the last batch of the backlog on disk.

    complete: there is none left. gateway_s, air_s: processor seconds that it took.
    """

    connected_ms: int
    drained_ms: int
    complete: bool
    gateway_s: float
    air_s: float

    def figures(self) -> dict[str, Any]:
        """Return how long it took, and what of the processors."""
        round_s = max(1, self.drained_ms - self.connected_ms) / 1000
        return {
            "round_s": round(round_s, 2) if self.complete else None,
            "gateway_cpu_ratio_in_round": round(self.gateway_s / round_s, 3),
            "air_cpu_ratio_in_round": round(self.air_s / round_s, 3),
        }


async def measure_round(plan: Plan) -> dict[str, Any]:
    """Return the figures of one round; ToolError when the nodes do not get ready for it."""
    air = Air(seed=1)
    crew = Crew(plan.folder, plan.nodes, plan.alarms, air, plan.micropython)
    write_gateway(plan.folder, crew.keys, plan.slots)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(crew.close)
        port = await air.serve(ADAPTER)
        stack.push_async_callback(port.close)
        await crew.fill()
        crew.announce()
        await asyncio.sleep(AHEAD_S - _FIRST_VISIT_S)
        backlog = crew.backlog()
        gateway = GatewayProcess(on_virtual_adapter(port.address), plan.folder)
        watch = await stack.enter_async_context(watching(gateway.store))
        stack.push_async_callback(gateway.end)
        await gateway.start()
        drain = await _drain(air, gateway, watch, backlog, plan.limit_s)
        await until(lambda: crew.has_told(watch), plan.limit_s)
        await gateway.end()
        radio = gateway.last_status()["ble"]
        return {
            "nodes": plan.nodes,
            "slots": plan.slots,
            **drain.figures(),
            **_compared(crew, watch, drain),
            "backlog_batches": len(backlog),
            "visits": {name: radio[name] for name in ("visits", "drained", "failed", "no_slot")},
        }


async def _drain(
    air: Air,
    gateway: GatewayProcess,
    watch: Watch,
    backlog: set[tuple[str, BatchKey]],
    limit_s: float,
) -> _Drain:
    """Wait until the gateway has the backlog of all nodes."""
    await until(lambda: bool(air.links), limit_s)
    connected_ms, gateway_s, air_s = now_ms(), gateway.cpu_s, process_s("self")
    left = set(backlog)

    def drained() -> bool:
        left.difference_update((batch.eui, batch.key) for batch in watch.batches)
        return not left

    complete = await until(drained, limit_s)
    used = gateway.cpu_s - gateway_s, process_s("self") - air_s
    times = [one.seen_ms for one in watch.batches if (one.eui, one.key) in backlog]
    return _Drain(connected_ms, max(times, default=connected_ms), complete, *used)


def _compared(crew: Crew, watch: Watch, drain: _Drain) -> dict[str, Any]:
    account = crew.settle(watch)
    return {
        "readings": account.sampled,
        "lost": account.lost,
        "duplicated": account.duplicated,
        "waiting": account.waiting,
        "unsealed": account.unsealed,
        **alarm_figures(crew.alarms_in(drain.connected_ms, drain.drained_ms), watch),
    }
