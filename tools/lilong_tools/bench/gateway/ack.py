"""How long a node waits for its acknowledgement, at a steady load over many sessions.

A real gateway process, to which each node is a TCP port in the place of a serial one. Each time
is from the moment a batch was due, whether or not it could be sent then, until the bytes of an
ACK that covers it have come back: what holds up the load generator or the system counts too.
"""

import asyncio
import math
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.watch import until
from lilong_tools.bench.gateway.line import Line, walk
from lilong_tools.bench.gateway.node import Node
from lilong_tools.bench.gateway.process import MeasuredGateway, free_port, write_gateway
from lilong_tools.errors import ToolError

_OPEN_S = 60.0
_WARM_S = 1.0
_LAST_S = 30.0
_START_S = 700_000_000
_ITEMS = 64
_SYNCS = 100
_BLOCK = bytes(4096)


def measure_ack(
    sessions: int, rate_per_s: int, seconds: float, readings: int, folder: Path
) -> dict[str, Any]:
    """Return the percentiles; ToolError when a session does not open or an ACK never comes.

    disk_sync_ms is what the disk itself takes to write a block, without any load: none can be
    faster.
    """
    syncs = _syncs(folder / "sync")
    found = asyncio.run(_measure(sessions, rate_per_s, seconds, readings, folder))
    return found | {"disk_sync_ms": {"p50": _percentile(syncs, 50), "p99": _percentile(syncs, 99)}}


def _syncs(file: Path) -> list[float]:
    """Return how many seconds fsync took, again and again."""
    times = []
    with file.open("wb", buffering=0) as disk:
        for _ in range(_SYNCS):
            disk.write(_BLOCK)
            began_s = time.perf_counter()
            os.fsync(disk.fileno())
            times.append(time.perf_counter() - began_s)
    return times


def _percentile(times: list[float], percent: int) -> float:
    """Return milliseconds."""
    return 1000 * sorted(times)[min(len(times) - 1, len(times) * percent // 100)]


async def _measure(
    sessions: int, rate_per_s: int, seconds: float, readings: int, folder: Path
) -> dict[str, Any]:
    nodes = [Node(Line(number)) for number in range(sessions)]
    async with AsyncExitStack() as stack:
        ports = [await _serve(node, stack) for node in nodes]
        write_gateway(
            folder,
            {node.line.eui: node.line.key for node in nodes},
            [f"socket://127.0.0.1:{port}" for port in ports],
            free_port(),
        )
        gateway = MeasuredGateway(folder)
        stack.push_async_callback(gateway.end)
        await gateway.start()
        await _opened(nodes)
        items = [walk(readings, seed, _START_S, 1) for seed in range(_ITEMS)]
        count = math.ceil(rate_per_s * (seconds + _WARM_S) / sessions)
        for node in nodes:
            node.prepare([items[index % _ITEMS] for index in range(count)])
        cpu_s = gateway.cpu_s
        began_s = await _load(nodes, count, rate_per_s)
        return _figures(nodes, rate_per_s, began_s, gateway.cpu_s - cpu_s)


async def _serve(node: Node, stack: AsyncExitStack) -> int:
    """Let the gateway reach a node; return the port."""
    server = await asyncio.get_running_loop().create_server(lambda: node, "127.0.0.1", 0)
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


async def _opened(nodes: list[Node]) -> None:
    if not await until(lambda: all(node.is_open for node in nodes), _OPEN_S):
        still = sum(not node.is_open for node in nodes)
        raise ToolError(f"{still} sessions never open", "see whether the gateway runs")


async def _load(nodes: list[Node], count: int, rate_per_s: int) -> float:
    """Send at an even pace, and wait for the last acknowledgement; return when it began."""
    began_s = time.monotonic()
    for index in range(count * len(nodes)):
        due_s = began_s + index / rate_per_s
        ahead_s = due_s - time.monotonic()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        nodes[index % len(nodes)].send(due_s)
    if not await until(lambda: all(node.is_done for node in nodes), _LAST_S):
        raise ToolError("batches are never acknowledged", "see whether it can store")
    return began_s


def _figures(nodes: list[Node], rate_per_s: int, began_s: float, cpu_s: float) -> dict[str, Any]:
    """Leave out what was due in the first second, in which the gateway still settles."""
    left_out = math.ceil(_WARM_S * rate_per_s / len(nodes))
    times = [one for node in nodes for one in node.acked_s[left_out:]]
    total = sum(len(node.acked_s) for node in nodes)
    elapsed_s = max(node.last_s for node in nodes) - began_s + 1 / rate_per_s
    return {
        "sessions": len(nodes),
        "asked_batches_per_s": rate_per_s,
        "batches_per_s": total / elapsed_s,
        "p50": _percentile(times, 50),
        "p99": _percentile(times, 99),
        "worst": 1000 * max(times),
        "gateway_cores_used": cpu_s / elapsed_s,
    }
