"""One demonstration from the first reading to the last: run, end, wait, compare."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator

from lilong_tools.demo.report import Report, account_for
from lilong_tools.demo.screen import Screen
from lilong_tools.demo.stage import Stage

STALL_S = 60.0
"""How long to wait for anything to move before giving up."""

_LOOK_S = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Show:
    """Runs a stage until the time is over, every recording is played, or a signal comes."""

    def __init__(
        self, stage: Stage, screen: Screen, seconds: float | None, playing_s: float | None
    ) -> None:
        """`playing_s`: how long the recordings take, after which nodes end by themselves."""
        self._stage = stage
        self._screen = screen
        self._seconds = seconds
        self._playing_s = playing_s
        self._began = time.monotonic()
        self._wishes = 0
        self._cut = False
        self._gave_up = False

    async def run(self, heap_size: int) -> Report:
        """Run it all and account for it; raise ToolError when something cannot be kept running."""
        with self._heeded():
            try:
                await self._stage.open()
                await self._play()
                elapsed_s = self._elapsed_s
                self._stage.stop_nodes()
                await self._drain()
                self._screen.show(self._stage, self._outcome, self._elapsed_s)
            finally:
                self._screen.close()
                await self._stage.close()
        report = account_for(self._stage.nodes, self._stage.arrivals, heap_size)
        report.restarts = self._stage.restarts
        report.elapsed_s = elapsed_s
        report.cut = self._cut
        report.gave_up = self._gave_up
        return report

    @property
    def _outcome(self) -> str:
        return "given up" if self._gave_up else "all delivered"

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    async def _play(self) -> None:
        """Run until it is time to end."""
        endless = self._seconds is None and self._playing_s is None
        phase = "Ctrl-C ends" if endless else "running"
        await self._watch(phase, self._played_out)
        self._cut = self._playing_s is not None and (self._wishes > 0 or self._timed_out)

    def _played_out(self) -> bool:
        ended = self._playing_s is not None and self._stage.progress.complete
        return ended or self._timed_out or self._wishes > 0

    @property
    def _timed_out(self) -> bool:
        return self._seconds is not None and self._elapsed_s >= self._seconds

    async def _drain(self) -> None:
        """Wait until all that is journalled has arrived; a second signal ends the waiting."""
        wishes = self._wishes

        def over() -> bool:
            return self._stage.progress.complete or self._wishes > wishes

        await self._watch("ending: waiting for the last readings", over)
        self._gave_up = not self._stage.progress.complete

    async def _watch(self, phase: str, over: Callable[[], bool]) -> None:
        """Show what happens until it is over, or until nothing has moved for too long."""
        moved_s, seen = time.monotonic(), (-1, -1)
        while True:
            self._stage.progress.update()
            self._stage.check()
            self._screen.show(self._stage, phase, self._elapsed_s)
            now = (self._stage.progress.sampled, self._stage.progress.delivered)
            if now != seen:
                moved_s, seen = time.monotonic(), now
            if over():
                return
            if time.monotonic() - moved_s > STALL_S and not self._pausing:
                self._screen.say(f"nothing moved for {STALL_S:.0f} s: giving up", "red")
                for trouble in self._stage.progress.troubles():
                    self._screen.say(trouble, "red")
                return
            await asyncio.sleep(_LOOK_S)

    @property
    def _pausing(self) -> bool:
        """Whether a recording may just have nothing to say for a while."""
        playing = self._playing_s is not None and self._elapsed_s < self._playing_s
        return playing and not self._wishes and not self._stage.progress.waiting

    @contextlib.contextmanager
    def _heeded(self) -> Iterator[None]:
        """Count the signals that ask for the end, in place of dying of them."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._wish)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _wish(self) -> None:
        self._wishes += 1
