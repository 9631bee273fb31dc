"""The way out: asked for by a signal or by ourselves, and over in bounded time."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType

from lilong_gateway.logs import pairs

LIMIT_S = 4.5
"""From being asked to the end of the process."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_WORDS_S = 0.2
_LOG = logging.getLogger(__name__)


class Leaving:
    """Once asked, the process ends within LIMIT_S, whatever hangs; asked by a second signal, now.

    What is accepted and not committed was never acknowledged, so no end loses anything.
    remaining names what has not ended; status gives the exit status of an end by force.
    """

    def __init__(
        self,
        remaining: Callable[[], list[str]],
        status: Callable[[], int],
        limit_s: float = LIMIT_S,
    ) -> None:
        self.asked = asyncio.Event()
        self._remaining = remaining
        self._status = status
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._signalled = False
        # Made for being put into from a handler that interrupts anything; a lock would not be.
        self._begun: SimpleQueue[None] = SimpleQueue()

    def follow_signals(self) -> None:
        """Take SIGTERM and SIGINT, even while the event loop hangs; in the main thread."""
        threading.Thread(target=self._end_in_time, name="leaving", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, self._signal)

    def ask(self) -> None:
        """Have the end begin; in the event loop's thread."""
        self.begin()
        self.asked.set()

    def begin(self) -> None:
        """From now on the end takes bounded time, whether it was asked for or not."""
        self._begun.put(None)

    def _signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            os._exit(1)
        self._signalled = True
        self.begin()
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self.asked.set)

    def _end_in_time(self) -> None:
        self._begun.get()
        time.sleep(self._limit_s)
        # The log may be what hangs.
        words = threading.Thread(target=self._say, daemon=True)
        words.start()
        words.join(_LAST_WORDS_S)
        os._exit(self._status())

    def _say(self) -> None:
        remaining = ", ".join(self._remaining()) or "the end itself"
        _LOG.warning("left behind what does not end %s", pairs(what=remaining))
