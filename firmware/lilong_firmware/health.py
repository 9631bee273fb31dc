"""Reads what the node can tell of itself; a sensor like any other."""

from lilong_firmware import health_channels as channels
from lilong_firmware.batcher import Batcher
from lilong_firmware.collection import Collection, Shelf
from lilong_firmware.sampler import Sampler
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.journal import Journal
    from lilong_firmware.link import Link
    from lilong_firmware.trace import Trace
    from lilong_protocol.dispatch import Dispatch

_DELAY_MS = const(60000)
_BATCH_ROWS = const(3)


class Past:
    """What is known from the start: why the node started, its boot number, the last crash."""

    def __init__(self, reset_cause: int, boot_id: int, crash_code: int) -> None:
        self.reset_cause = reset_cause
        self.boot_id = boot_id
        self.crash_code = crash_code


class Health:
    """The sensor of scenario 0; channels without a value have a gap."""

    def __init__(
        self,
        past: Past,
        board: "Board",
        clock: "Clock",
        journal: "Journal",
        link: "Link",
        dispatch: "Dispatch",
    ) -> None:
        self._past = past
        self._board = board
        self.clock = clock
        self.journal = journal
        self._link = link
        self._dispatch = dispatch
        self._watched: list[tuple[Collection, Shelf]] = []
        self._heap_low: int | None = None

    def watch(self, collection: "Collection", shelf: "Shelf") -> None:
        """Count the faults of this collection too."""
        self._watched.append((collection, shelf))

    def read(self, uptime_ms: int, _time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return what has a value now."""
        found: list[tuple[int, int | None]] = [
            (channels.UPTIME, uptime_ms // 1000),
            (channels.RESET_CAUSE, self._past.reset_cause),
            (channels.BOOT, self._past.boot_id),
            (channels.CRASH, self._past.crash_code),
        ]
        found += self._time(uptime_ms) + self._memory() + self._transfer() + self._hardware()
        return [(number, value) for number, value in found if value is not None]

    def _time(self, uptime_ms: int) -> "list[tuple[int, int | None]]":
        discipline = self.clock.discipline
        error_ms = discipline.error_ms(uptime_ms)
        if error_ms is None:
            return []
        round_trip_ms = self._dispatch.round_trip.smoothed_ms
        if round_trip_ms is None:
            round_trip_ms = 2 * discipline.uncertainty_ms
        return [
            (channels.CLOCK_ERROR, error_ms),
            (channels.DRIFT, discipline.drift_ppb),
            (channels.ROUND_TRIP, round_trip_ms),
        ]

    def _memory(self) -> "list[tuple[int, int | None]]":
        """What is free after a collection; the lowest of this boot."""
        free = self._board.free_heap()
        if self._heap_low is None or free < self._heap_low:
            self._heap_low = free
        block = self._board.largest_block()
        return [(channels.HEAP_LOW, self._heap_low), (channels.LARGEST_BLOCK, block)]

    def _transfer(self) -> "list[tuple[int, int | None]]":
        faults = sum([shelf.lost + collection.failed for collection, shelf in self._watched])
        return [
            (channels.FILL, self.journal.fill_permille),
            (channels.DROPPED, self.journal.counters["dropped"]),
            (channels.FAULTS, faults),
            (channels.DAMAGED, self._link.damaged),
            (channels.REPEATED, self._dispatch.repeated),
        ]

    def _hardware(self) -> "list[tuple[int, int | None]]":
        return [
            (channels.SUPPLY, self._board.supply_mv()),
            (channels.CHIP_TEMPERATURE, self._board.chip_celsius()),
        ]


class Checkup:
    """Scenario 0 at work: its sensor and the collection that reads it.

    The first reading comes when the node has had a minute to find a gateway; three readings of a
    channel make a batch.
    """

    def __init__(
        self,
        health: Health,
        numbers: "list[int]",
        interval_ms: int,
        boot_id: int,
        shelf: Shelf,
        trace: "Trace",
        log: "Callable[[str], None]",
    ) -> None:
        self.health = health
        told = [channels.HealthChannel(number, interval_ms) for number in numbers]
        delay_ms = min(_DELAY_MS, interval_ms)
        source = Sampler(health, told, health.clock, boot_id, log, delay_ms)
        batcher = Batcher(shelf.put, _BATCH_ROWS * len(told), _BATCH_ROWS * interval_ms)
        self.collection = Collection(source, batcher, health.journal, trace, health.clock)


def absent_channels(board: "Board") -> "tuple[int, ...]":
    """Return the numbers of the channels that this board cannot fill."""
    absent = []
    if board.supply_mv() is None:
        absent.append(channels.SUPPLY)
    if board.chip_celsius() is None:
        absent.append(channels.CHIP_TEMPERATURE)
    if board.largest_block() is None:
        absent.append(channels.LARGEST_BLOCK)
    return tuple(absent)
