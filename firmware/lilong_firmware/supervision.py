"""Every duty under watch: the watchdog is fed only while all of them make progress."""

import asyncio

from lilong_firmware.crash import DUTY_FAILED, DUTY_STALLED, describe
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Protocol

    from lilong_firmware.clock import Clock
    from lilong_firmware.crash import CrashNotes

    class Watchdog(Protocol):
        """machine.WDT."""

        def feed(self) -> None:
            """Start its period again."""


_LOOK_S = const(2.0)


class Duty:
    """One thing that the node does for ever; it calls beat whenever it made progress."""

    def __init__(self, name: str, limit_ms: int, clock: "Clock") -> None:
        self.name = name
        self.limit_ms = limit_ms
        """Longest time between two beats."""
        self.done = False
        self._clock = clock
        self._last_ms = clock.uptime_ms()

    def beat(self) -> None:
        """Report progress; waiting for something that may never come is progress too."""
        self._last_ms = self._clock.uptime_ms()

    @property
    def stalled(self) -> bool:
        """Whether the duty is silent for too long."""
        return not self.done and self._clock.uptime_ms() - self._last_ms > self.limit_ms


class Supervisor:
    """Runs duties as tasks. One that fails or stalls is noted, and the node resets."""

    def __init__(
        self,
        clock: "Clock",
        watchdog: "Watchdog",
        notes: "CrashNotes",
        reset: "Callable[[], None]",
        log: "Callable[[str], None]",
    ) -> None:
        self._clock = clock
        self._watchdog = watchdog
        self._notes = notes
        self._reset = reset
        self._log = log
        self._duties: list[Duty] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.finished = False
        """Set by a duty that ends the whole in an orderly way."""
        self.restart_cause: int | None = None
        """Set by whoever wants a planned reset: one of the causes of lilong_firmware.crash."""

    def start(
        self, name: str, limit_ms: int, work: "Callable[[Duty], Coroutine[Any, Any, None]]"
    ) -> None:
        """Start a duty; `work` gets the Duty to beat on."""
        duty = Duty(name, limit_ms, self._clock)
        self._duties.append(duty)
        self._tasks.append(asyncio.create_task(self._guard(duty, work)))

    async def run(self) -> None:
        """Watch until `finished` or a planned reset is due, then cancel what still runs.

        Each look reads the clock, which must not miss a wrap of the ticks.
        """
        while not self.finished and self.restart_cause is None:
            self._clock.uptime_ms()
            stalled = [duty for duty in self._duties if duty.stalled]
            if stalled:
                problem = "no progress for " + str(stalled[0].limit_ms) + " ms"
                self._fail(DUTY_STALLED, stalled[0], problem)
                return
            self._watchdog.feed()
            await asyncio.sleep(_LOOK_S)
        for task in self._tasks:
            task.cancel()

    async def _guard(
        self, duty: Duty, work: "Callable[[Duty], Coroutine[Any, Any, None]]"
    ) -> None:
        try:
            await work(duty)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is written before the reset
            self._fail(DUTY_FAILED, duty, describe(error))
        duty.done = True

    def _fail(self, cause: int, duty: Duty, text: str) -> None:
        self._log("duty " + duty.name + " failed: " + text.strip().split("\n")[-1])
        self._notes.write(cause, duty.name, self._clock.uptime_ms(), text)
        self._reset()
