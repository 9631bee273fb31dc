"""Tasks that outlive their own mistakes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lilong_gateway.backoff import Backoff
from lilong_gateway.logs import pairs

_LOG = logging.getLogger(__name__)


class Supervisor:
    """Runs endless duties; one that fails is reported, counted and begun again."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}

    async def keep(self, name: str, duty: Callable[[], Awaitable[None]], backoff: Backoff) -> None:
        """Run duty for ever."""
        while True:
            try:
                await duty()
            except Exception as error:  # noqa: BLE001 - no mistake may end the gateway
                self.failures[name] = self.failures.get(name, 0) + 1
                _LOG.exception("task failed %s", pairs(task=name, error=repr(error)))
            await asyncio.sleep(backoff.next_s())
