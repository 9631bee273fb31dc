"""A station for each port that there is; they come and go with the ports."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from lilong_gateway.backoff import Backoff
from lilong_gateway.blocking import in_thread
from lilong_gateway.health.pulse import Pulses
from lilong_gateway.links import OpenLink
from lilong_gateway.links.ports import Port, find_ports
from lilong_gateway.logs import pairs
from lilong_gateway.station import Station
from lilong_gateway.supervision import Supervisor
from lilong_gateway.surroundings import Surroundings

_LONGEST_S = 60.0
_LOG = logging.getLogger(__name__)


class Stations:
    """Looks for ports each scan_s; run() for ever, in one task."""

    def __init__(
        self,
        patterns: tuple[str, ...],
        scan_s: float,
        around: Surroundings,
        open_link: OpenLink,
        supervisor: Supervisor,
        backoff: Callable[[], Backoff],
        *,
        pulses: Pulses | None = None,
    ) -> None:
        self._patterns = patterns
        self._scan_s = scan_s
        self._around = around
        self._open_link = open_link
        self._supervisor = supervisor
        self._backoff = backoff
        self._pulses = pulses or Pulses()
        self._pulse = self._pulses.add("stations")
        self._running: dict[Port, tuple[Station, asyncio.Task[None]]] = {}

    @property
    def all(self) -> list[Station]:
        """The stations of the ports that there are."""
        return [station for station, _ in self._running.values()]

    async def run(self) -> None:
        """Follow the ports for ever."""
        self._running.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._pulse.work()
                present = await in_thread(partial(find_ports, self._patterns), _LONGEST_S)
                for port in set(self._running) - set(present):
                    await self._end(port)
                for port in present:
                    if port not in self._running:
                        self._begin(port, group)
                self._pulse.rest()
                await asyncio.sleep(self._scan_s)

    def _begin(self, port: Port, group: asyncio.TaskGroup) -> None:
        name = _name(port)
        pulse = self._pulses.add(name)
        station = Station(port.name, self._around, self._open_link, self._backoff(), pulse)
        duty = self._supervisor.keep(name, station.run, self._backoff(), self._pulses.calm)
        task = group.create_task(duty, name=name)
        self._running[port] = (station, task)

    async def _end(self, port: Port) -> None:
        station, task = self._running.pop(port)
        task.cancel()
        await asyncio.wait([task])
        self._pulses.remove(_name(port))
        if port.identity is not None:
            _LOG.info("port vanished %s", pairs(port=port.name, was=station.state))


def _name(port: Port) -> str:
    return f"station {port.name}"
