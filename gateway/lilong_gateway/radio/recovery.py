"""Switching an adapter off and on, or resetting it on its bus; imports bluetooth_auto_recovery."""

import asyncio
import logging

from bluetooth_auto_recovery import recover_adapter

from lilong_gateway.logs import pairs

_RECOVERY_S = 60.0
_ANY_ADDRESS = "00:00:00:00:00:00"
_LOG = logging.getLogger(__name__)


async def recover(adapter: str) -> bool:
    """Bring an adapter such as "hci0" back to work; return whether it answered afterwards.

    The kernel asks for CAP_NET_ADMIN, and for a reset of a USB adapter for its device file.
    """
    try:
        async with asyncio.timeout(_RECOVERY_S):
            # By its name alone: the address is for adapters that come back under another one.
            number = int(adapter.removeprefix("hci"))
            return await recover_adapter(number, _ANY_ADDRESS, gone_silent=True)
    except TimeoutError:
        _LOG.warning("adapter not recovered %s", pairs(adapter=adapter, error="no answer in time"))
    except Exception as error:  # noqa: BLE001 - the library passes on whatever the system says
        _LOG.warning("adapter not recovered %s", pairs(adapter=adapter, error=repr(error)))
    return False
