"""Tasks that outlive their own mistakes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lilong_gateway.backoff import Backoff
from lilong_gateway.logs import pairs

_WELL_S = 60.0
"""A duty that has run for so long is well again."""
_LOG = logging.getLogger(__name__)


def _unheard(_name: str) -> None:
    """Nobody asks."""


@dataclass(slots=True)
class _Row:
    """Failures one after the other, and when the last one was."""

    count: int
    last_s: float


class Supervisor:
    """Runs endless duties; one that fails is reported, counted and begun again."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self._rows: dict[str, _Row] = {}

    @property
    def failing(self) -> dict[str, int]:
        """How often in a row those duties failed that have not been well since."""
        return {name: row.count for name, row in self._rows.items() if _since(row) < _WELL_S}

    async def keep(
        self,
        name: str,
        duty: Callable[[], Awaitable[None]],
        backoff: Backoff,
        stopped: Callable[[str], None] = _unheard,
    ) -> None:
        """Run duty for ever; stopped is told its name whenever it is to be begun again."""
        while True:
            try:
                await duty()
            except Exception as error:  # noqa: BLE001 - no mistake may end the gateway
                self._note(name, error, backoff)
            stopped(name)
            await asyncio.sleep(backoff.next_s())

    def _note(self, name: str, error: Exception, backoff: Backoff) -> None:
        self.failures[name] = self.failures.get(name, 0) + 1
        row = self._rows.get(name)
        if row is None or _since(row) >= _WELL_S:
            backoff.reset()
            row = self._rows[name] = _Row(0, 0.0)
        row.count += 1
        row.last_s = asyncio.get_running_loop().time()
        _LOG.exception("task failed %s", pairs(task=name, error=repr(error)))


def _since(row: _Row) -> float:
    return asyncio.get_running_loop().time() - row.last_s
