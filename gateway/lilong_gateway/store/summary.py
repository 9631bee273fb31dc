"""The state of the store in numbers, at a cost that does not grow with it."""

from collections.abc import Iterable
from dataclasses import dataclass

from lilong_gateway.store import tally
from lilong_gateway.store.autonomy import autonomy
from lilong_gateway.store.cursors import confirmed, last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.room import measure

_NO_AGES: tuple[int | None, ...] = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of the store; last is the highest position ever given.

    cursor is up to where every sink has confirmed everything. size_bytes: of all its files now;
    used_bytes: of what they hold; free_bytes: room for batches, under the cap and on the disk.
    full: "cap" or "disk" when what is new needs room of what is old, else "". autonomy_h: hours
    until then without any delivery, full_h: until batches are turned away, None while no rate is
    known. expired: batches deleted for their age, by privacy class. Times are ms since 2000;
    oldest_ms is that of the oldest batch that is not delivered to all, oldest_by_class that of all
    that are held, as it was when the store was last gone through.
    """

    store_id: str
    last: int
    cursor: int
    quarantined: int
    size_bytes: int
    max_bytes: int = 0
    used_bytes: int = 0
    free_bytes: int = 0
    full: str = ""
    reserve_held: bool = False
    autonomy_h: float | None = None
    full_h: float | None = None
    thinned_batches: int = 0
    thinned_readings: int = 0
    thinned_since_ms: int | None = None
    expired: tuple[int, ...] = (0, 0, 0, 0)
    damaged_rows: int = 0
    traces: int = 0
    oldest_ms: int | None = None
    oldest_by_class: tuple[int | None, ...] = _NO_AGES

    @property
    def waiting(self) -> int:
        """Batches that are not yet confirmed."""
        return max(0, self.last - self.cursor)


def summary(
    database: Database,
    sinks: Iterable[str],
    *,
    reserve_held: bool = False,
    oldest_by_class: tuple[int | None, ...] = _NO_AGES,
) -> Summary:
    """Return the state of the store."""
    room = measure(database)
    with database.reading() as connection:
        last = last_position(connection)
        upto = confirmed(connection, sinks)
        counts = tally.read(connection)
        left = autonomy(database, room, upto[1], counts)
        thinned = connection.execute(
            "SELECT SUM(batches), SUM(readings), MIN(first_ms) FROM thinned"
        ).fetchone()
        quarantined = connection.execute(
            "SELECT COUNT(*) FROM quarantine WHERE length(item) > 0"
        ).fetchone()
        oldest = connection.execute(
            "SELECT received_ms FROM batch WHERE pos > ? ORDER BY pos LIMIT 1", (min(upto),)
        ).fetchone()
    return Summary(
        *(database.store_id, last, min(upto), quarantined[0], room.size_bytes),
        max_bytes=database.limits.max_bytes,
        used_bytes=room.used_bytes,
        free_bytes=room.free_bytes,
        full=room.cause if tally.PRESSED in counts else "",
        reserve_held=reserve_held,
        autonomy_h=left.full_resolution_h,
        full_h=left.thinned_h,
        thinned_batches=thinned[0] or 0,
        thinned_readings=thinned[1] or 0,
        thinned_since_ms=thinned[2],
        expired=tuple(counts.get(name, 0) for name in tally.EXPIRED),
        damaged_rows=counts.get(tally.DAMAGED, 0),
        traces=counts.get(tally.TRACES, 0),
        oldest_ms=oldest[0] if oldest and isinstance(oldest[0], int) else None,
        oldest_by_class=oldest_by_class,
    )
