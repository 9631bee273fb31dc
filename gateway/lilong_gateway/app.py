"""The gateway: everything runs in one TaskGroup, is watched, and ends when told to."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from lilong_gateway.clock import Clock
from lilong_gateway.config import Config
from lilong_gateway.config_http import Http
from lilong_gateway.errors import RadioStuckError, StoreError, StoreUnavailableError
from lilong_gateway.health.figures import told
from lilong_gateway.health.heart import Heart
from lilong_gateway.health.notify import Notifier
from lilong_gateway.health.pulse import USUAL_LIMIT_S, Pulses
from lilong_gateway.health.sampling import Sampler
from lilong_gateway.health.verdict import DEAD, Limits
from lilong_gateway.keys import KeyRing
from lilong_gateway.leaving import Leaving
from lilong_gateway.logs import pairs
from lilong_gateway.parts import Parts
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.message import Figures

if TYPE_CHECKING:
    from lilong_gateway.health.web import Web
    from lilong_gateway.radio.ear import Recover

_DRAIN_S = 2.0
"""How long what was taken may go on being committed once the end is asked for."""
_START_LOOK_S = 1.0
_START_MORE_S = 30.0

_LAST = "ingest"
"""The duty that ends after all others."""

Duty = Callable[[], Awaitable[None]]
_LOG = logging.getLogger(__name__)


class Gateway:
    """All parts of one gateway; run() until SIGTERM or SIGINT. SIGHUP: the keys are read anew.

    recover brings a Bluetooth adapter back to work; without it the system's own means do. A step
    of a duty may take as long as the watchdog of notifier waits.
    """

    def __init__(
        self,
        config: Config,
        keys: KeyRing,
        clock: Clock,
        recover: "Recover | None" = None,
        *,
        store: Store | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._notifier = notifier or Notifier()
        limit_s = self._notifier.watchdog_s or USUAL_LIMIT_S
        pulses = Pulses(limit_s, clock.steady_ms)
        self._parts = parts = Parts(config, keys, clock, pulses, self._figures, store)
        if config.ble.adapters:
            parts.add_rounds(recover, self._give_up)
        self._sampler = Sampler(parts)
        http = config.http or Http()
        limits = Limits(quiet_ms=http.quiet_s * 1000, stale_ms=round(limit_s * 1000))
        self._heart = Heart(self._sampler.sample, pulses, self._notifier, clock.steady_ms, limits)
        self._web = self._build_web(config.http)
        self._tasks: list[asyncio.Task[None]] = []
        self._stuck = ""
        self._leaving = Leaving(self._remaining, lambda: int(bool(self._stuck)))

    async def run(self) -> None:
        """Serve until told to stop; the process ends within five seconds of that.

        StoreUnavailableError if the data folder cannot be used, RadioStuckError if only a new
        process can help the radio.
        """
        self._leaving.follow_signals()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._parts.key_watch.hasten)
        if self._web is not None:
            self._web.start()
        heart = asyncio.create_task(self._keep("heart", self._heart.run), name="heart")
        try:
            if await self._is_opened():
                async with asyncio.TaskGroup() as group:
                    await self._serve(group)
            await self._parts.report.finish()
        finally:
            await self._close()
            heart.cancel()
            _LOG.info("stopped")
        if self._stuck:
            raise RadioStuckError(f"{self._stuck}; nothing helps but a new start")

    async def _is_opened(self) -> bool:
        """Open the store, which takes long if it is damaged; False: the end is asked for."""
        pulse = self._parts.pulses.add("opening")
        asked = asyncio.create_task(self._leaving.asked.wait())
        opening = asyncio.create_task(self._open_store())
        pulse.work()
        try:
            while not opening.done() and not asked.done():
                if self._heart.verdict.state != DEAD:
                    self._notifier.starting(_START_MORE_S)
                await asyncio.wait(
                    [opening, asked], timeout=_START_LOOK_S, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            opened = opening.done()
            asked.cancel()
            opening.cancel()
            self._parts.pulses.remove("opening")
        if opened:
            opening.result()
        return opened and not self._leaving.asked.is_set()

    async def _open_store(self) -> None:
        parts = self._parts
        try:
            store_id = await parts.store.open()
        except StoreUnavailableError:
            raise
        except StoreError as error:
            _LOG.error("store waits %s", pairs(error=error))
        else:
            ports, nodes = len(parts.config.ports), len(parts.keys)
            _LOG.info("started %s", pairs(store=store_id, nodes=nodes, ports=ports))

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        duties = {name: self._begin(group, name, duty) for name, duty in self._duties()}
        self._sampler.serving = True
        self._heart.beat()
        self._notifier.ready()
        await self._leaving.asked.wait()
        self._sampler.stopping = True
        self._notifier.stopping()
        ingest = duties.pop(_LAST)
        for task in duties.values():
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._parts.ingest.drain()
        ingest.cancel()

    def _duties(self) -> list[tuple[str, Duty]]:
        parts = self._parts
        duties: list[tuple[str, Duty]] = [
            (_LAST, parts.ingest.run),
            ("stations", parts.stations.run),
            ("keys", parts.key_watch.run),
            ("downlink", parts.watch.run),
            *parts.uplinks.duties(),
            ("housekeeping", parts.housekeeping.run),
            ("status", parts.report.run),
        ]
        if parts.rounds is not None:
            duties.append(("rounds", parts.rounds.run))
        return duties

    def _begin(self, group: asyncio.TaskGroup, name: str, duty: Duty) -> asyncio.Task[None]:
        task = group.create_task(self._keep(name, duty), name=name)
        self._tasks.append(task)
        return task

    async def _keep(self, name: str, duty: Duty) -> None:
        parts = self._parts
        await parts.supervisor.keep(name, duty, parts.backoff(30.0), parts.pulses.calm)

    async def _close(self) -> None:
        """Let go of everything; what hangs is left behind with the process."""
        self._notifier.stopping()
        if self._web is not None:
            await self._web.stop()
        await self._parts.store.close()
        self._notifier.close()

    def _build_web(self, http: Http | None) -> "Web | None":
        """Import what only a gateway with a page needs, and not every one has."""
        if http is None:
            return None
        from lilong_gateway.health.metrics import Metrics  # noqa: PLC0415
        from lilong_gateway.health.page import Pages  # noqa: PLC0415
        from lilong_gateway.health.web import Web  # noqa: PLC0415

        pages = Pages(self._heart, self._parts.clock.steady_ms, Metrics())
        return Web(http.host, http.port, pages.answer)

    def _figures(self) -> Figures:
        heart = self._heart
        return told(heart.latest, heart.verdict.state)

    def _remaining(self) -> list[str]:
        return [task.get_name() for task in list(self._tasks) if not task.done()]

    def _give_up(self, reason: str) -> None:
        _LOG.error("the radio does not come back %s", pairs(why=reason))
        self._stuck = reason
        self._leaving.ask()
