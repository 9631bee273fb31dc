"""Which sector of a full journal becomes free, and what of it is copied before."""

from lilong_firmware.errors import JournalFullError, StorageError
from lilong_firmware.log import ROOM_BYTES
from lilong_protocol.frame import (
    ALARM_STREAM,
    BULK_STREAM,
    CONTROL_STREAM,
    DATA_STREAM,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.cursor import Cursor
    from lilong_firmware.log import Log

_KEPT = const(6)
"""One batch of so many is kept when a sector is thinned."""
_FEW_BYTES = ROOM_BYTES // _KEPT
_HALF_BYTES = ROOM_BYTES // 2
_CIRCLE = const(16384)
# The golden section of the circle: its multiples lie evenly, and in step with nothing.
_STRIDE = const(10125)


class Victim:
    """A sector to give up. Batches of streams up to `keep`, of `weight` bytes, are all copied."""

    def __init__(self, sector: int, keep: int, weight: int) -> None:
        self.sector = sector
        self.keep = keep
        self.weight = weight


def survives(seq: int, generation: int) -> bool:
    """Whether a batch that was thinned `generation` times stays once more: one in six does.

    Those that stay are spread evenly over the numbers, whatever order the channels come in.
    """
    return seq % _CIRCLE * _STRIDE % _CIRCLE < _CIRCLE // _KEPT ** (generation + 1)


def choose(log: "Log", stream: int, size: int) -> Victim:
    """Return the sector to give up so that `size` bytes of `stream` find room.

    In this order: one in which all is acknowledged; the oldest if little of it is not; one with
    bulk and little else; the oldest that is not mostly alarms and control. JournalFullError when
    all is too full of those; control gives way to alarms.
    """
    index = log.index
    ages = index.by_age()
    for sector in ages:
        if not index.is_live(sector, log.positions.first):
            return Victim(sector, BULK_STREAM, 0)
    bulk = log.positions.first[BULK_STREAM]
    victim = _lightest(log, ages[:1], BULK_STREAM, _FEW_BYTES)
    if victim is None:
        bulky = [sector for sector in ages if index.holds(sector, BULK_STREAM, bulk)]
        victim = _lightest(log, bulky, DATA_STREAM, _FEW_BYTES)
    if victim is not None:
        return victim
    for keep in (CONTROL_STREAM, ALARM_STREAM) if stream == ALARM_STREAM else (CONTROL_STREAM,):
        victim = _lightest(log, ages, keep, _HALF_BYTES) or _best(log, ages, keep, size)
        if victim is not None:
            return victim
    raise JournalFullError("journal: full of batches that may not go")


def move(log: "Log", victim: Victim, size: int) -> int:
    """Copy what is worth it into the open sector, make the victim free; return what was dropped.

    `size` bytes stay free for what is to follow. StorageError when flash fails: the open sector
    is free again then, and the victim is as it was.
    """
    target = log.sector
    try:
        dropped = _copy(log, victim, size)
    except StorageError:
        log.void(target)
        raise
    log.void(victim.sector)
    return dropped


def _copy(log: "Log", victim: Victim, size: int) -> int:
    dropped = 0
    # Held free for what is yet to come and must be copied, and for what is to follow.
    held_free = victim.weight + size
    cursor = log.cursor(victim.sector)
    while cursor.step():
        if not _is_live(log, cursor):
            continue
        sure = cursor.stream <= victim.keep
        if sure:
            held_free -= cursor.bytes
        luck = cursor.stream == DATA_STREAM and survives(cursor.seq, cursor.generation)
        if (sure or luck) and cursor.bytes + held_free <= log.room:
            if cursor.load():
                log.write_copy(cursor, older=not sure)
        else:
            dropped += 1
    return dropped


def _lightest(log: "Log", ages: "list[int]", keep: int, limit: int) -> "Victim | None":
    """Return the oldest sector of which no more than `limit` bytes must stay."""
    for sector in ages:
        weight = _weigh(log, sector, keep)
        if weight <= limit:
            return Victim(sector, keep, weight)
    return None


def _best(log: "Log", ages: "list[int]", keep: int, size: int) -> "Victim | None":
    """Return the sector of which the least must stay, if `size` bytes find room beside it."""
    least, best = min([(_weigh(log, sector, keep), sector) for sector in ages])
    return Victim(best, keep, least) if least + size <= ROOM_BYTES else None


def _weigh(log: "Log", sector: int, keep: int) -> int:
    """Return the bytes of the batches that are not acknowledged, of streams up to `keep`."""
    weight = 0
    cursor = log.cursor(sector)
    while cursor.step():
        if cursor.stream <= keep and _is_live(log, cursor):
            weight += cursor.bytes
    return weight


def _is_live(log: "Log", cursor: "Cursor") -> bool:
    return cursor.is_batch and cursor.seq >= log.positions.first[cursor.stream]
