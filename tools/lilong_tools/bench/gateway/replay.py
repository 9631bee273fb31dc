"""A backlog handed on: a real gateway, a real Mosquitto, and a real city whose word counts."""

import asyncio
from pathlib import Path
from typing import Any

from lilong_gateway.store.store import Store
from lilong_tools.bench.gateway.backlog import fill, new_keys, register
from lilong_tools.bench.gateway.process import (
    City,
    MeasuredGateway,
    broker,
    city,
    waiting,
    write_gateway,
)
from lilong_tools.city.arrivals import Arrivals
from lilong_tools.city.measures import measure

_LOOK_S = 0.1


def measure_replay(
    nodes: int, minutes: int, limit_s: float, readings: int, mosquitto: Path, folder: Path
) -> dict[str, Any]:
    """Return the rate at which a backlog goes north, and what of it is at the city then.

    Each node gives a batch a minute, for so many minutes before the gateway reaches its broker.
    What has not gone within limit_s is left where it is: the rate is of what has.
    """
    return asyncio.run(_measure(nodes, minutes, limit_s, readings, mosquitto, folder))


async def _measure(
    nodes: int, minutes: int, limit_s: float, readings: int, mosquitto: Path, folder: Path
) -> dict[str, Any]:
    keys = new_keys(nodes)
    await _fill(folder / "data", keys, minutes, readings)
    async with broker(mosquitto, folder) as port, city(port, folder) as receiver:
        write_gateway(folder, keys, [f"{folder}/none/tty*"], port)
        drain = _Drain(MeasuredGateway(folder), receiver)
        try:
            await drain.run(limit_s)
        finally:
            await drain.gateway.end()
    return drain.figures(nodes * minutes, readings) | {
        "nodes": nodes,
        "hours": minutes / 60,
        "live_batches_per_s": nodes / 60,
    }


async def _fill(data: Path, keys: dict[bytes, bytes], batches: int, readings: int) -> None:
    store = Store(data)
    await store.open()
    await register(store, keys)
    await fill(store, keys, batches, readings)
    await store.close()


class _Drain:
    """From a gateway's start to its empty backlog; all times are UNIX ms."""

    def __init__(self, gateway: MeasuredGateway, receiver: City) -> None:
        self.gateway = gateway
        self._city = receiver
        self._arrivals = Arrivals(receiver.store)
        self._first_ms: int | None = None
        self._before_mb = self._peak_mb = self._cpu_s = self._city_s = 0.0
        self._last: dict[str, Any] = {}

    async def run(self, limit_s: float) -> None:
        """Start the gateway; return when all is confirmed or the time is over."""
        self._last = await self.gateway.begin()
        self._before_mb = self.gateway.rss_mb
        loop = asyncio.get_running_loop()
        end_s = loop.time() + limit_s
        while not self._is_done() and loop.time() < end_s:
            await asyncio.sleep(_LOOK_S)
            self._look()
        self._cpu_s, self._city_s = self.gateway.cpu_s, self._city.cpu_s

    def figures(self, backlog: int, readings: int) -> dict[str, Any]:
        """Return what went in which time; up to a second of it is the status being written."""
        held = measure(self._city.store)
        left = waiting(self._last)
        left = backlog if left is None else left
        last_ms = int(self._last["unix_ms"])
        elapsed_s = max(1, last_ms - (self._first_ms or last_ms)) / 1000
        gone = backlog - left
        return {
            "backlog_batches": backlog,
            "complete": left == 0,
            "seconds": elapsed_s,
            "batches_per_s": gone / elapsed_s,
            "gateway_cores_used": self._cpu_s / elapsed_s,
            "city_cores_used": self._city_s / elapsed_s,
            "rss_before_mb": self._before_mb,
            "rss_peak_mb": self._peak_mb,
            "city_batches": held.batches,
            "lost": max(0, gone - held.batches) + held.batches * readings - held.readings,
            "duplicated": held.repeats,
            "aside": held.aside,
        }

    def _is_done(self) -> bool:
        return self._first_ms is not None and waiting(self._last) == 0

    def _look(self) -> None:
        self._peak_mb = max(self._peak_mb, self.gateway.rss_mb)
        if self._first_ms is None:
            came = self._arrivals.fresh()
            self._first_ms = came[0].received_ms if came else None
        self._last = self.gateway.last_status()
