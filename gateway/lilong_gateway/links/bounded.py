"""Waiting for what may never answer, nor let itself be cancelled."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from lilong_gateway.logs import pairs

_AGAIN_S = 2.0
_ATTEMPTS = 3
_LOG = logging.getLogger(__name__)

Answer = TypeVar("Answer")


async def within(limit_s: float, work: Awaitable[Answer], again_s: float = _AGAIN_S) -> Answer:
    """Return what it gives; TimeoutError after that time, or a few times again_s later.

    asyncio.timeout is not enough: a library that is cancelled may first ask the system to undo
    something, and wait for that answer for ever.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=limit_s)
    finally:
        await end(task, again_s)
    if not task.done() or task.cancelled():
        raise TimeoutError
    return task.result()


async def end(task: asyncio.Future[Any], again_s: float = _AGAIN_S) -> None:
    """Cancel it until it has ended; one that does not is left behind."""
    for _ in range(_ATTEMPTS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=again_s)
    if not task.done():
        task.add_done_callback(_forget)
        _LOG.warning("left behind what does not end %s", pairs(what=repr(task)[:200]))


def _forget(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
