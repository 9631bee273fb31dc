"""Follows the operator: what lies in the folders, and what is to be tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from lilong_gateway.blocking import in_thread
from lilong_gateway.clock import Clock
from lilong_gateway.config import Downlink as Settings
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.retry import pending, withdraw
from lilong_gateway.downlink.shelf import Shelf
from lilong_gateway.errors import StoreError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.store.store import Store

T = TypeVar("T")
_LOOK_S = 2.0
_READ_S = 60.0
_LOG = logging.getLogger(__name__)


class Watch:
    """Looks every two seconds; run() for ever, in one task. data is the folder of the store.

    Nothing is offered to nodes before it is known what became of what was offered earlier.
    """

    def __init__(
        self,
        settings: Settings,
        data: Path,
        downlink: Downlink,
        store: Store,
        clock: Clock,
        pulse: Pulse | None = None,
    ) -> None:
        self._settings = settings
        self._data = data
        self._downlink = downlink
        self._store = store
        self._clock = clock
        self._pulse = pulse or Pulse()
        self._loaded = False
        self._shelf = Shelf()
        self._told: tuple[str, ...] = ()
        self._hindered: dict[str, str] = {}

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self.look()
            self._pulse.rest()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Take over what has changed since the last look."""
        self._pulse.work()
        if await self._done(self._load):
            await self._done(self._look_at_folders)
            await self._done(self._try_again)
            self._downlink.plan.expire(self._clock.steady_ms())

    async def _done(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Whether a step went well; what stands in its way is said once and tried again."""
        name = step.__name__
        try:
            await step()
        except (StoreError, TimeoutError, OSError) as error:
            if self._hindered.get(name) != str(error):
                _LOG.warning("downlink waits %s", pairs(error=error or "a disk does not answer"))
            self._hindered[name] = str(error)
            return False
        self._hindered.pop(name, None)
        return True

    async def _load(self) -> None:
        if self._loaded:
            return
        self._downlink.ledger.load(await self._store.attempts())
        self._downlink.plan.load(self._clock.steady_ms())
        self._loaded = True

    async def _try_again(self) -> None:
        for path, eui in await self._read(partial(pending, self._data)):
            attempts = self._downlink.ledger.again(eui)
            await self._store.commit(attempts)
            self._downlink.plan.forgive(attempts)
            await self._read(partial(withdraw, path))
            _LOG.info("node is tried again %s", pairs(eui=eui, forgiven=len(attempts)))

    async def _look_at_folders(self) -> None:
        settings, shelf = self._settings, self._shelf
        updates, configurations = settings.updates, settings.configurations
        look = partial(shelf.look, updates, configurations, settings.keys)
        self._shelf = await self._read(look)
        self._downlink.plan.shelf = self._shelf
        for trouble in self._shelf.troubles:
            if trouble not in self._told:
                _LOG.error("not offered to nodes %s", pairs(error=trouble))
        self._told = self._shelf.troubles

    async def _read(self, call: Callable[[], T]) -> T:
        """Use a disk, which may take its time: that is rest."""
        self._pulse.rest()
        try:
            return await in_thread(call, _READ_S)
        finally:
            self._pulse.work()
