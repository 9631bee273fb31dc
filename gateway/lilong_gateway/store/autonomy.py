"""How long the store lasts: the rate at which batches come, and the room there is for them."""

import math
import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from lilong_gateway.store import tally
from lilong_gateway.store.cursors import last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.room import Room
from lilong_gateway.store.thinning import ONE_IN_MOST, stands_for

_HALF_H = 6.0
"""What came so long ago weighs half."""

_BYTES = "rate bytes"
_MS = "rate ms"
_LEAST_MS = 60_000.0
_HOUR_MS = 3_600_000.0


class Left(NamedTuple):
    """Hours; None while nothing is known of the rate."""

    full_resolution_h: float | None
    thinned_h: float | None


def note_rate(connection: sqlite3.Connection, stored_bytes: int, passed_ms: int) -> None:
    """Remember how much was stored in a time, beside what was before, which fades."""
    counts = tally.read(connection)
    fade = math.pow(0.5, passed_ms / _HOUR_MS / _HALF_H)
    tally.put(connection, _BYTES, round(counts.get(_BYTES, 0) * fade) + stored_bytes)
    tally.put(connection, _MS, round(counts.get(_MS, 0) * fade) + passed_ms)


def autonomy(database: Database, room: Room, confirmed: int, counts: Mapping[str, int]) -> Left:
    """Return how long all that comes can be kept with no delivery at all.

    full_resolution_h: what is delivered goes, nothing else. thinned_h: then telemetry is thinned
    down to one batch in ONE_IN_MOST, and what was thinned before less so.
    """
    passed_ms = counts.get(_MS, 0)
    per_h = counts.get(_BYTES, 0) / passed_ms * _HOUR_MS if passed_ms >= _LEAST_MS else 0.0
    if per_h <= 0:
        return Left(None, None)
    with database.reading() as connection:
        last = last_position(connection)
        oldest = connection.execute("SELECT MIN(pos) FROM batch").fetchone()[0]
    kept = _waiting_part(oldest, confirmed, last) * room.used_bytes
    stood = stands_for(counts, confirmed, last)
    capacity = room.capacity
    return Left(
        max(0.0, capacity - kept) / per_h,
        max(0.0, ONE_IN_MOST * capacity - kept * stood) / per_h,
    )


def _waiting_part(oldest: int | None, confirmed: int, last: int) -> float:
    """Return which part of what is held waits for delivery, by positions."""
    if oldest is None:
        return 0.0
    return min(1.0, max(0, last - max(confirmed, oldest - 1)) / (last - oldest + 1))
