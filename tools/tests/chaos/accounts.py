"""What the gateway says of itself: its log and its status file, over all its lives."""

import json
import re
import time
from collections import Counter
from contextlib import suppress

_UNREADABLE = re.compile(rb"store damaged .*?unreadable=(\d+)")
_GIVEN_UP = re.compile(rb"node gave up batches eui=([0-9a-f]{16}) stream=(\d) batches=(\d+)")
_REACHED = re.compile(rb"chaos: killed at '(\w+ ?\w*)")
_FRESH_S = 5.0
_LOST = {"quarantined", "damaged_rows", "unreadable", "undecodable", "undescribed", "undatable"}
"""Counters of the status file, wherever they stand, of batches that will not go north."""


class Accounts:
    """look() now and then: counters of a life that ended are known as they were seen last."""

    def __init__(self, log, status):
        self._log = log
        self._status_file = status
        self.status = {}
        self._ended = 0
        self._present = 0
        self._uptime_ms = 0

    def look(self):
        with suppress(OSError, ValueError):
            status = json.loads(self._status_file.read_text())
            if status["uptime_ms"] < self._uptime_ms:
                self._ended += self._present
            self._uptime_ms = status["uptime_ms"]
            self._present = _lost(status)
            self.status = status

    @property
    def fresh(self):
        """Whether the status file was written lately: a process that hangs writes none."""
        with suppress(OSError):
            return time.time() - self._status_file.stat().st_mtime < _FRESH_S
        return False

    @property
    def connected(self):
        """Whether the status file is of now and says that the city's broker is there."""
        return '"connected": "' in json.dumps(self.status)

    @property
    def waiting(self):
        """How many batches the gateway still has to deliver, None when it does not say."""
        return self.status.get("store", {}).get("waiting")

    def unreadable(self):
        """Count batches that were given up as spoilt; nobody knows whose."""
        logged = sum(int(number) for number in _UNREADABLE.findall(self._text()))
        return logged + self._ended + self._present

    def given_up(self):
        """Count batches by (eui, stream) that a node no longer has and the gateway never had."""
        counted = Counter()
        for eui, stream, number in _GIVEN_UP.findall(self._text()):
            counted[eui.decode(), int(stream)] += int(number)
        return counted

    def reached(self):
        """Count the statements at which traps killed it, by their first words."""
        return Counter(words.decode().strip() for words in _REACHED.findall(self._text()))

    def tracebacks(self):
        """Give the lines of the log that hold one."""
        lines = self._text().decode(errors="replace").splitlines()
        return [line for line in lines if "Traceback (most recent call last)" in line]

    def _text(self):
        try:
            return self._log.read_bytes()
        except OSError:
            return b""


def _lost(found):
    if not isinstance(found, dict):
        return 0
    own = sum(value for name, value in found.items() if name in _LOST and isinstance(value, int))
    return own + sum(_lost(value) for value in found.values())
