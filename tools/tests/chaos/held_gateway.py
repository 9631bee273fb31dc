"""The real gateway as a process of which a campaign holds the clock, and a trap in the store.

    held_gateway.py --folder FOLDER --config FILE [--wrong NAME]

FOLDER/clock holds ms to add to the wall clock, or "unset". What is done to the store once a
minute is done every other second.
FOLDER/trap, taken away when read, is "REGEX COUNT DELAY_MS": the process kills itself so long
after the start of the statement that is the COUNTth of those that match. NAME: see wrong.py.
"""

import argparse
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

import wrong
from words import REACHED, UNSET, WRONG

from lilong_gateway import __main__ as program
from lilong_gateway import housekeeping
from lilong_gateway.clock import Clock


class HeldClock(Clock):
    """Reads the file at every look at the wall."""

    def __init__(self, file):
        self._file = file

    def wall_ms(self):
        try:
            told = self._file.read_text()
        except OSError:
            told = ""
        now_ms = super().wall_ms()
        if told == UNSET or now_ms is None:
            return None
        return now_ms + int(told or 0)


class Trap:
    """Hears every statement of every connection; kills the process in the midst of one."""

    def __init__(self, told):
        words, count, delay_ms = told.rsplit(" ", 2)
        self._words = re.compile(words, re.IGNORECASE)
        self._left = int(count)
        self._delay_s = float(delay_ms) / 1000

    def set(self):
        connect = sqlite3.connect

        def watched(*given, **named):
            connection = connect(*given, **named)
            connection.set_trace_callback(self._hear)
            return connection

        sqlite3.connect = watched

    def _hear(self, statement):
        if not self._words.search(statement):
            return
        self._left -= 1
        if self._left == 0:
            os.write(2, f"{REACHED} {' '.join(statement.split())[:60]!r}\n".encode())
            if self._delay_s:
                threading.Thread(target=self._kill_later, daemon=True).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def _kill_later(self):
        time.sleep(self._delay_s)
        os.kill(os.getpid(), signal.SIGKILL)


def hurry():
    """Let the store be pruned, and a time be given up, after seconds instead of a minute."""
    for name in ("_PRUNE_MS", "_GIVE_UP_MS"):
        if hasattr(housekeeping, name):
            setattr(housekeeping, name, 2000)
        else:
            sys.stderr.write(f"chaos: housekeeping has no {name} to shorten\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--wrong", choices=WRONG)
    given = parser.parse_args()
    trap = given.folder / "trap"
    if trap.exists():
        told = trap.read_text()
        trap.unlink()
        Trap(told).set()
    if given.wrong is not None:
        getattr(wrong, given.wrong)()
    hurry()
    # What makes the clock of a process is the one thing of the program that is put aside.
    program.Clock = lambda: HeldClock(given.folder / "clock")
    return program.main(["run", "--config", given.config])


if __name__ == "__main__":
    sys.exit(main())
