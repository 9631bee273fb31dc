"""One visit to one node with a full journal: bytes a second, beside what the radio allows."""

import asyncio
import contextlib
import random
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.account import Account
from lilong_tools.bench.ble.player import Player, ready
from lilong_tools.bench.ble.process import (
    ADAPTER,
    GatewayProcess,
    on_virtual_adapter,
    process_s,
    write_gateway,
)
from lilong_tools.bench.ble.script import full, write_noise
from lilong_tools.bench.ble.watch import DATA, Stored, Watch, watching
from lilong_tools.radio.air import Air
from lilong_tools.radio.link import RadioLink

MTU = 247
_READING_BYTES = 9.7
_FILL_S = 180.0
_LOOK_S = 0.02
_KEY_BYTES = 16
_TO_CENTRAL = 1


@dataclass(slots=True)
class _Use:
    """The visits that were made, and processor seconds while they lasted."""

    links: set[RadioLink]
    elapsed_s: float
    node_s: float
    gateway_s: float
    air_s: float


async def measure_goodput(
    kilobytes: int, limit_s: float, folder: Path, micropython: Path
) -> dict[str, Any]:
    """Return the figures of a visit that brings about so many kB of batches."""
    air, key = Air(seed=2), secrets.token_bytes(_KEY_BYTES)
    player = Player(folder / "node", full(0), key, air, micropython)
    readings = round(1000 * kilobytes / _READING_BYTES)
    write_noise(player.recording, readings, random.Random(2))  # noqa: S311 - data, not a secret
    write_gateway(folder, {player.eui: key}, 1)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(player.close)
        port = await air.serve(ADAPTER)
        stack.push_async_callback(port.close)
        await player.start()
        await ready([player], lambda one: one.trace.journalled >= readings * 0.99, _FILL_S)
        gateway = GatewayProcess(on_virtual_adapter(port.address), folder)
        watch = await stack.enter_async_context(watching(gateway.store))
        stack.push_async_callback(gateway.end)
        await gateway.start()
        use = await _use(player, gateway, air, limit_s)
        watch.look()
        player.read()
        return _figures(player, watch, use, air)


async def _use(player: Player, gateway: GatewayProcess, air: Air, limit_s: float) -> _Use:
    """Follow the visits until the node has ended."""
    end = time.monotonic() + limit_s
    use = _Use(set(), 0.0, 0.0, 0.0, 0.0)
    began, before = 0.0, (0.0, 0.0, 0.0)
    while player.running and time.monotonic() < end:
        if air.links:
            spent = player.cpu_s, gateway.cpu_s, process_s("self")
            if not use.links:
                began, before = time.monotonic(), spent
            use.links |= air.links
            use.elapsed_s = time.monotonic() - began
            use.node_s, use.gateway_s, use.air_s = (
                after - first for after, first in zip(spent, before, strict=True)
            )
        await asyncio.sleep(_LOOK_S)
    return use


def _figures(player: Player, watch: Watch, use: _Use, air: Air) -> dict[str, Any]:
    account = Account()
    account.add(player.trace, watch.batches)
    speed = _bytes_per_s([batch for batch in watch.batches if batch.stream == DATA])
    limit = air.model.goodput_limit(MTU)
    return {
        "goodput_ratio": round(speed / limit, 3),
        "goodput_bytes_per_s": round(speed),
        "goodput_limit_bytes_per_s": round(limit),
        "goodput_item_bytes": sum(len(batch.item) for batch in watch.batches),
        "goodput_link_bytes": player.trace.link_bytes,
        "goodput_packets": sum(link.packets[_TO_CENTRAL] for link in use.links),
        "goodput_events": sum(link.events for link in use.links),
        "goodput_visits": len(use.links),
        "goodput_lost": account.lost + account.waiting + account.unsealed,
        "goodput_duplicated": account.duplicated,
        "goodput_cpu_ratio": {
            name: round(spent_s / max(_LOOK_S, use.elapsed_s), 3)
            for name, spent_s in (
                ("node", use.node_s),
                ("gateway", use.gateway_s),
                ("air", use.air_s),
            )
        },
    }


def _bytes_per_s(batches: list[Stored]) -> float:
    """Return bytes of items a second from the first commit to the last one."""
    if not batches:
        return 0.0
    first_ms, last_ms = batches[0].seen_ms, batches[-1].seen_ms
    came = sum(len(batch.item) for batch in batches if batch.seen_ms > first_ms)
    return 1000 * came / max(1, last_ms - first_ms)
