"""What a gateway that knows a city of nodes takes while none of them speaks."""

import asyncio
import time
from pathlib import Path
from typing import Any

from lilong_gateway.store.store import Store
from lilong_tools.bench.gateway.backlog import new_keys, register
from lilong_tools.bench.gateway.process import MeasuredGateway, broker, write_gateway

_SETTLE_S = 5.0


def measure_idle(nodes: int, seconds: float, mosquitto: Path, folder: Path) -> dict[str, Any]:
    """Return memory, and the processor time in percent of one core, of the real process."""
    return asyncio.run(_measure(nodes, seconds, mosquitto, folder))


async def _measure(nodes: int, seconds: float, mosquitto: Path, folder: Path) -> dict[str, Any]:
    keys = new_keys(nodes)
    store = Store(folder / "data")
    await store.open()
    await register(store, keys)
    await store.close()
    async with broker(mosquitto, folder) as port:
        write_gateway(folder, keys, [f"{folder}/none/tty*"], port)
        gateway = MeasuredGateway(folder)
        began_s = time.monotonic()
        try:
            first = await gateway.begin()
            start_s = time.monotonic() - began_s
            await asyncio.sleep(_SETTLE_S)
            cpu_s, from_s = gateway.cpu_s, time.monotonic()
            await asyncio.sleep(seconds)
            used_s, elapsed_s = gateway.cpu_s - cpu_s, time.monotonic() - from_s
            rss_mb = gateway.rss_mb
        finally:
            await gateway.end()
    return {
        "rss_mb": rss_mb,
        "registered_nodes": first["keys"]["nodes"],
        "idle_cpu": 100 * used_s / elapsed_s,
        "start_s": start_s,
    }
