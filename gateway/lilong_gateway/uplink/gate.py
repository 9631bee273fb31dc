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
            while not self._may(part, size_bytes):
                self._changed.clear()
                await self._wait(part)
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

    def _may(self, part: Part, size_bytes: int) -> bool:
        if part is Part.ALARM:
            return self._in_flight < self._slots
        if self._in_flight >= max(1, self._slots - 1) or not self.pace.has_room(size_bytes):
            return False
        if part is Part.LIVE:
            return True
        ahead = self._waiting[Part.ALARM] + self._waiting[Part.LIVE]
        return not ahead and self.allowance.wait_ms(self._clock.steady_ms()) <= 0

    async def _wait(self, part: Part) -> None:
        wait_ms = 0.0
        if part is Part.BACKLOG:
            wait_ms = self.allowance.wait_ms(self._clock.steady_ms())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(1.0, wait_ms) / 1000 if wait_ms else None):
                await self._changed.wait()
