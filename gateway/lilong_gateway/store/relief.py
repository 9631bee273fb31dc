"""Making room, in small steps, from a high mark of use down to a low one."""

from collections.abc import Sequence
from dataclasses import dataclass

from lilong_gateway.store import tally
from lilong_gateway.store.database import Database
from lilong_gateway.store.room import Room, measure
from lilong_gateway.store.thinning import thin
from lilong_gateway.store.upkeep import prune

_FAR_MS = 1 << 52
_STEP = 200


@dataclass(frozen=True, slots=True)
class Relief:
    """What one step did. more: go on at once; began, ended: thinning did; cause: as of Room."""

    more: bool = False
    began: bool = False
    ended: bool = False
    exhausted: bool = False
    cause: str = ""
    pruned: int = 0
    thinned: int = 0


def relieve(
    database: Database,
    sinks: Sequence[str],
    last: Sequence[str],
    now_ms: int | None,
    *,
    full: bool = False,
) -> Relief:
    """Take one step: what is delivered goes first, the oldest first, then telemetry is thinned.

    last: patterns of channels that are thinned last. Begins at the high mark, ends at the low one;
    full: something found no place, so at least what is delivered goes.
    """
    room = measure(database)
    with database.reading() as connection:
        pressed = tally.PRESSED in tally.read(connection)
    if pressed and room.is_relieved:
        with database.transaction() as connection:
            tally.drop(connection, tally.PRESSED)
        return Relief(ended=True, cause=room.cause)
    if not pressed and not room.is_pressed:
        pruned = prune(database, sinks, _FAR_MS, _STEP) if full else 0
        return Relief(more=pruned > 0, pruned=pruned)
    return _step(database, sinks, last, now_ms, room, began=not pressed)


def _step(
    database: Database,
    sinks: Sequence[str],
    last: Sequence[str],
    now_ms: int | None,
    room: Room,
    *,
    began: bool,
) -> Relief:
    if began:
        with database.transaction() as connection:
            tally.put(connection, tally.PRESSED, now_ms or 0)
    pruned = prune(database, sinks, _FAR_MS, _STEP)
    if pruned:
        return Relief(more=True, began=began, cause=room.cause, pruned=pruned)
    if not room.may_thin:
        return Relief(began=began, exhausted=True, cause=room.cause)
    done = thin(database, sinks, last, _STEP, now_ms)
    found = done.looked_at > 0
    return Relief(*(found, began), exhausted=not found, cause=room.cause, thinned=done.batches)
