"""What the fake bluetoothd is busy with: tasks that end with it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from lilong_tools.radio.bluez_errors import BluezError


class Work:
    """Tasks that nobody waits for; `failures` counts those that broke."""

    def __init__(self) -> None:
        self.failures = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do it until it ends or `stop` is called; a failure is logged and counted."""
        task = asyncio.create_task(self._guarded(doing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that is cancelled before its first step has not begun to wait for it.
        task.add_done_callback(lambda _task: doing.close())

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except BluezError as error:
            logging.getLogger(__name__).debug("%s", error)
        except Exception:
            self.failures += 1
            logging.getLogger(__name__).exception("The fake bluetoothd broke.")
