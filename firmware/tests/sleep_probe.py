"""Runs on MicroPython: a node that sleeps, and whose readings are the true time when it took them.

usage: sleep_probe.py, in a state folder. SLEEP_PPM is by how much the clock that runs in sleep is
slow; FAILING names a file: while it is there the probe fails as no sensor should. Every reading is
a line of truth.log before the node has it.
"""

import os
import sys
import time

from lilong_firmware.board import Board
from lilong_firmware.start import run
from loader import Loader

_BASE_MS = 1700000000000
PPM = int(os.getenv("SLEEP_PPM") or 0)


class SlowBoard(Board):
    """Its RTC loses time, and so does the timer that ends a sleep."""

    def rtc_ms(self) -> int:
        true_ms = super().rtc_ms() - _BASE_MS
        return true_ms - true_ms * PPM // 1000000


class TrueTime:
    """Channel 0: milliseconds of the true time, channel 1: a counter."""

    def __init__(self, log: object) -> None:
        self._log = log

    async def measure_once(self) -> "list[tuple[int, int]]":
        true_ms = time.time_ns() // 1000000 - _BASE_MS
        with open("truth.log", "a") as file:
            file.write(str(true_ms) + "\n")
        if "failing" in os.listdir():
            raise ValueError("no sensor should do this")
        return [(0, true_ms), (1, true_ms // 1000)]


def open_probe(_fields: object, _clock: object, _boot_id: int, log: object) -> TrueTime:
    """Return the probe."""
    return TrueTime(log)


Loader().run(lambda boot: run(boot, SlowBoard(), open_probe))
sys.exit(0)
