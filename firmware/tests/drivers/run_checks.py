"""Runs every check_* function of the modules that are named, on either interpreter.

Where all wait, the clock jumps to the first who is to be woken: chips need their time, and a check
does not.
"""

import asyncio
import sys
import time as real

_sleep = asyncio.sleep


class Time:
    """The module time, as far as checks and drivers use it."""

    def __init__(self):
        self._ahead_ns = 0
        self._waiting = []

    def time_ns(self):
        return real.time_ns() + self._ahead_ns

    def time(self):
        return self.time_ns() / 1000000000

    def ticks_ms(self):
        return self.time_ns() // 1000000

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep(self, seconds, result=None):
        wakes_ns = self.time_ns() + int(seconds * 1000000000)
        self._waiting.append(wakes_ns)
        try:
            await _sleep(0)
            while self.time_ns() < wakes_ns:
                if wakes_ns == min(self._waiting):
                    self._ahead_ns += wakes_ns - self.time_ns()
                else:
                    await _sleep(0)
        finally:
            self._waiting.remove(wakes_ns)
        return result


def run(module):
    for name in sorted(dir(module)):
        if name.startswith("check_"):
            done = getattr(module, name)()
            if hasattr(done, "send"):
                asyncio.run(done)
            print(module.__name__, name)


clock = sys.modules["time"] = Time()
asyncio.sleep = clock.sleep
for given in sys.argv[1:]:
    run(__import__(given))
