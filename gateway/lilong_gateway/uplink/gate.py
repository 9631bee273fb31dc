"""Who may send next: alarms at once, what is new before a backlog, never too much at a time."""

import asyncio
from contextlib import suppress

from lilong_gateway.clock import Clock
from lilong_gateway.outbox_parts import Part
from lilong_gateway.uplink.pace import Allowance, Pace


class Gate:
    """One connection's. slots: messages that the broker takes unacknowledged."""

    def __init__(self, slots: int, replay_per_s: int, clock: Clock) -> None:
        self.pace = Pace()
        self.allowance = Allowance(replay_per_s, clock.steady_ms())
        self._slots = slots
        self._clock = clock
        self._in_flight = 0
        self._waiting = dict.fromkeys(Part, 0)
        self._changed = asyncio.Event()

    async def enter(self, part: Part, size_bytes: int) -> None:
        """Return when a message of about that size may be sent."""
        self._waiting[part] += 1
        try:
            while not self._may(part, size_bytes, pause_ms := self._pause_ms(part)):
                self._changed.clear()
                await self._wait(pause_ms)
        finally:
            self._waiting[part] -= 1
            if part is not Part.BACKLOG:
                self._changed.set()

    def sent(self, part: Part, size_bytes: int) -> None:
        """A message went."""
        self._in_flight += 1
        if part is not Part.ALARM:
            self.pace.sent(size_bytes)

    def answered(self, part: Part, size_bytes: int, sent_ms: int) -> None:
        """The broker answered it."""
        self._in_flight -= 1
        if part is not Part.ALARM:
            self.pace.acknowledged(size_bytes, sent_ms, self._clock.steady_ms())
        self._changed.set()

    def _pause_ms(self, part: Part) -> float:
        """Return how long the configured pace keeps a part from sending."""
        if part is not Part.BACKLOG:
            return 0.0
        return self.allowance.wait_ms(self._clock.steady_ms())

    def _may(self, part: Part, size_bytes: int, pause_ms: float) -> bool:
        if part is Part.ALARM:
            return self._in_flight < self._slots
        if self._in_flight >= max(1, self._slots - 1) or not self.pace.has_room(size_bytes):
            return False
        if part is Part.LIVE:
            return True
        ahead = self._waiting[Part.ALARM] + self._waiting[Part.LIVE]
        return not ahead and not pause_ms

    async def _wait(self, pause_ms: float) -> None:
        """Wait until something changes, or the pause that was decided on is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(1.0, pause_ms) / 1000 if pause_ms else None):
                await self._changed.wait()
