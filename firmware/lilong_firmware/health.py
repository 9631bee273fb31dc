"""Reads what the node can tell of itself; a sensor like any other."""

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

# The numbers of the channels; what they mean is in introduction.py.
UPTIME = const(200)
RESET_CAUSE = const(201)
BOOT = const(202)
CRASH = const(203)
CLOCK_ERROR = const(204)
DRIFT = const(205)
HEAP_LOW = const(206)
LARGEST_BLOCK = const(207)
FILL = const(208)
DROPPED = const(209)
FAULTS = const(210)
DAMAGED = const(211)
REPEATED = const(212)
ROUND_TRIP = const(213)
SUPPLY = const(214)
CHIP_TEMPERATURE = const(215)

SECONDS = const(0)

_DELAY_MS = const(60000)
_BATCH_ROWS = const(3)


class HealthChannel:
    """When one of the channels is read."""

    time_exponent = SECONDS

    def __init__(self, number: int, interval_ms: int) -> None:
        self.number = number
        self.interval_ms = interval_ms


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
            (UPTIME, uptime_ms // 1000),
            (RESET_CAUSE, self._past.reset_cause),
            (BOOT, self._past.boot_id),
            (CRASH, self._past.crash_code),
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
            (CLOCK_ERROR, error_ms),
            (DRIFT, discipline.drift_ppb),
            (ROUND_TRIP, round_trip_ms),
        ]

    def _memory(self) -> "list[tuple[int, int | None]]":
        """What is free after a collection; the lowest of this boot."""
        free = self._board.free_heap()
        if self._heap_low is None or free < self._heap_low:
            self._heap_low = free
        block = self._board.largest_block()
        return [(HEAP_LOW, self._heap_low), (LARGEST_BLOCK, block)]

    def _transfer(self) -> "list[tuple[int, int | None]]":
        faults = sum([shelf.lost + collection.failed for collection, shelf in self._watched])
        return [
            (FILL, self.journal.fill_permille),
            (DROPPED, self.journal.counters["dropped"]),
            (FAULTS, faults),
            (DAMAGED, self._link.damaged),
            (REPEATED, self._dispatch.repeated),
        ]

    def _hardware(self) -> "list[tuple[int, int | None]]":
        return [
            (SUPPLY, self._board.supply_mv()),
            (CHIP_TEMPERATURE, self._board.chip_celsius()),
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
        told = [HealthChannel(number, interval_ms) for number in numbers]
        delay_ms = min(_DELAY_MS, interval_ms)
        source = Sampler(health, told, health.clock, boot_id, log, delay_ms)
        batcher = Batcher(shelf.put, _BATCH_ROWS * len(told), _BATCH_ROWS * interval_ms)
        self.collection = Collection(source, batcher, health.journal, trace, health.clock)
