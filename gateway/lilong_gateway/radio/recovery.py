"""Bringing an adapter back to work; the only importer of bluetooth_auto_recovery."""

import logging

from bluetooth_auto_recovery import recover_adapter

from lilong_gateway.clock import Clock
from lilong_gateway.errors import LinkRefusedError
from lilong_gateway.links.bounded import within
from lilong_gateway.logs import pairs
from lilong_gateway.radio.power import switch_off_and_on

_SWITCH_S = 15.0
_RECOVERY_S = 60.0
_SOON_MS = 900_000
_ANY_ADDRESS = "00:00:00:00:00:00"
_LOG = logging.getLogger(__name__)


class Recovery:
    """Switches an adapter off and on by way of BlueZ; harder if that has just been done in vain.

    The harder way asks the kernel, and resets a USB adapter on its bus: it needs CAP_NET_ADMIN
    and the adapter's device file.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._switched_ms: dict[str, int] = {}

    async def __call__(self, adapter: str) -> bool:
        """Treat an adapter such as "hci0"; return whether it answered afterwards."""
        now_ms = self._clock.steady_ms()
        before_ms = self._switched_ms.get(adapter)
        if before_ms is None or now_ms - before_ms > _SOON_MS:
            self._switched_ms[adapter] = now_ms
            if await self._switch(adapter):
                return True
        return await self._reset(adapter)

    async def _switch(self, adapter: str) -> bool:
        try:
            await within(_SWITCH_S, switch_off_and_on(adapter))
        except LinkRefusedError as error:
            _LOG.warning("adapter not switched %s", pairs(adapter=adapter, error=error.problem))
            return False
        except TimeoutError:
            _LOG.warning("adapter not switched %s", pairs(adapter=adapter, error="no answer"))
            return False
        return True

    async def _reset(self, adapter: str) -> bool:
        try:
            # By its name alone: the address is for adapters that come back under another one.
            number = int(adapter.removeprefix("hci"))
            work = recover_adapter(number, _ANY_ADDRESS, gone_silent=True)
            return await within(_RECOVERY_S, work)
        except TimeoutError:
            _LOG.warning("adapter not reset %s", pairs(adapter=adapter, error="no answer"))
        except Exception as error:  # noqa: BLE001 - the library passes on whatever the system says
            _LOG.warning("adapter not reset %s", pairs(adapter=adapter, error=repr(error)))
        return False
