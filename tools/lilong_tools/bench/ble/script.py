"""What the nodes of the bench play, and the settings with which they do."""

import math
import random
from pathlib import Path
from typing import Any

BACKLOG = 720
"""Readings of twelve hours, one a minute."""

RECORDING = "recording.csv"
LIMIT = 5000
ALARM = 9000
_LIVE_S = 5
_BATCH_MS = 600_000
"""What is live is not sealed amid a round: nodes that ask for a visit a minute are too many."""

_LIVE_ROWS = 360
_BEGIN = 1_750_000_000
_WIDE = 1 << 60
_COLUMNS = 8
_JOURNAL_BYTES = 131_072
_FULL_JOURNAL_BYTES = 1 << 21
_FULL_BATCH = 48
"""Readings that just fit into the largest item."""

_FIRST_EUI = 0x0212_4B00_0000_0001


class Script:
    """A recording of a level in mm that is changed while it is played, where it is not told yet.

    The firmware reads line by line, and a line when the one before it is due; all have the same
    length.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        """Write a backlog, which is played at once, and a reading every 5 s for half an hour."""
        self._path = path
        self._level = 1000
        lines = [_line(number, self._walk(chance)) for number in range(BACKLOG)]
        lines += [_line(_live_ms(row), self._level) for row in range(_LIVE_ROWS)]
        self._width = len(lines[0])
        path.write_text("".join(["time,level\n".rjust(self._width), *lines]), "ascii")

    def raise_alarm(self, at_s: float) -> None:
        """Let the level pass the limit, for good.

        In seconds since the first line was played, and at least 6 s ahead: the line that is due
        next was read before.
        """
        first = _row_after(at_s)
        with self._path.open("r+b") as file:
            file.seek(self._width * (1 + BACKLOG + first))
            for row in range(first, _LIVE_ROWS):
                file.write(_line(_live_ms(row), ALARM).encode())

    def _walk(self, chance: random.Random) -> int:
        self._level = min(LIMIT - 1, max(100, self._level + round(chance.gauss(0, 15))))
        return self._level


def eui_of(number: int) -> str:
    """Return the EUI-64 of a node by its number, as 16 hexadecimal digits."""
    return f"{_FIRST_EUI + number:016x}"


def alarming(number: int) -> dict[str, Any]:
    """Return settings.json of a node that plays a script and has a rule."""
    settings = _playing(number, 1, _JOURNAL_BYTES)
    settings["channels"].append({**_channel(1), "source": "rules.high"})
    settings["batch_ms"] = _BATCH_MS
    settings["rules"] = [{"name": "high", "kind": "limit", "channel": "c0", "above": LIMIT}]
    return settings


def full(number: int) -> dict[str, Any]:
    """Return settings.json of a node whose batches cannot be compressed."""
    settings = _playing(number, _COLUMNS, _FULL_JOURNAL_BYTES)
    return {**settings, "batch_readings": _FULL_BATCH}


def write_noise(path: Path, readings: int, chance: random.Random) -> None:
    """Write a recording of about so many readings without any order in them."""
    with path.open("w", encoding="ascii") as file:
        file.write("time" + ",noise" * _COLUMNS + "\n")
        for row in range(max(1, readings // _COLUMNS)):
            values = (str(chance.randrange(-_WIDE, _WIDE)) for _ in range(_COLUMNS))
            file.write(f"{_BEGIN + row / 1000:.3f},{','.join(values)}\n")


def _line(at_ms: int, level: int) -> str:
    return f"{_BEGIN + at_ms / 1000:.3f},{level:4d}\n"


def _live_ms(row: int) -> int:
    return BACKLOG + (row + 1) * _LIVE_S * 1000


def _row_after(at_s: float) -> int:
    """Return the first live row from that second on."""
    return max(0, math.ceil((at_s - BACKLOG / 1000) / _LIVE_S) - 1)


def _playing(number: int, columns: int, journal_bytes: int) -> dict[str, Any]:
    return {
        "eui": eui_of(number),
        "link": "ble",
        "report_ms": 60_000,
        "journal_bytes": journal_bytes,
        "health_ms": 0,
        "trace": "trace.log",
        "channels": [_channel(column) for column in range(columns)],
        "sensor": {
            "kind": "replay",
            "file": RECORDING,
            "time_column": 0,
            "value_columns": list(range(1, columns + 1)),
            "exit_at_end": True,
        },
    }


def _channel(number: int) -> dict[str, Any]:
    scale = {"unit": "", "exponent": 0, "time_exponent": -3, "privacy": 0}
    return {"number": number, "name": f"c{number}", **scale}
