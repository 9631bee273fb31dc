import asyncio

from lilong_gateway.clock import Clock
from lilong_gateway.outbox_parts import Part
from lilong_gateway.uplink.gate import Gate


class Leaping(Clock):
    """Goes on by a step each time that it is read."""

    now_ms = 0

    def steady_ms(self) -> int:
        self.now_ms += 3
        return self.now_ms


async def test_a_pause_that_ends_between_two_looks_at_the_clock_is_over() -> None:
    gate = Gate(100, 1000, Leaping())
    gate.allowance.take(5, gate._clock.steady_ms())
    async with asyncio.timeout(5):
        await gate.enter(Part.BACKLOG, 100)
