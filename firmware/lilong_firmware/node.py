"""The node at work: one task for each duty, and what the session tells of."""

import asyncio
import gc

from lilong_firmware.crash import CLOCK_WRONG
from lilong_firmware.requests import LIMIT_MS
from lilong_protocol.node_events import Acknowledged, Lost, Opened, Requested, Synchronised
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.assembly import Assembly
    from lilong_firmware.ble.radio import Radio
    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Source
    from lilong_firmware.configuration import Configuration
    from lilong_firmware.crash import CrashNotes
    from lilong_firmware.journal import Journal
    from lilong_firmware.probation import Patience, Probation
    from lilong_firmware.protection import Protection
    from lilong_firmware.requests import Requests
    from lilong_firmware.sleep.probe import OpenProbe
    from lilong_firmware.sleep.settings import SleepSettings
    from lilong_firmware.sleep.sleeper import Sleeper
    from lilong_firmware.sleep.waking import Waking
    from lilong_firmware.supervision import Duty, Supervisor, Watchdog
    from lilong_firmware.trace import Trace
    from lilong_protocol.node_events import Event
    from loader import Boot

_MEASURE_S = const(5)
_LIMIT_MS = const(30000)


class Prepared:
    """What the first half of a start hands to the second.

    Nothing in it may refer to code of the settings, or that stays in memory.
    """

    board: "Board"
    boot: "Boot"
    clock: "Clock"
    notes: "CrashNotes"
    configuration: "Configuration"
    eui: bytes
    boot_id: int
    cause: int
    watchdog: "Watchdog"
    radio: "Radio | None"
    """None for a node on a line."""
    advert_ms: int
    uart: "Any"
    """None for a node on the radio."""
    journal: "Journal"
    descriptor: bytes
    told: "list[int]"
    """The health channels in the descriptor."""
    health_ms: int
    source: "Source | None"
    """None when there is nothing usable to measure: the node talks all the same."""
    protection: "Protection | None"
    silent: bool
    """Whether sensors stay off."""
    sleep: "SleepSettings | None"
    """None for a node that stays awake."""
    time_exponents: "dict[int, int]"
    """Of the channels of a node that sleeps."""
    waking: "Waking | None"
    probe: "OpenProbe | None"
    states: "tuple[int, ...]"
    """The channels that tell what rules and outputs are in."""
    batch: "tuple[int, int]"
    """Readings and milliseconds that fill a batch."""
    version: int
    patience: "Patience"
    trace: str
    stop_file: str
    exit_at_end: bool


class Notices:
    """Passes on what the session tells of."""

    def __init__(
        self,
        clock: "Clock",
        trace: "Trace",
        supervisor: "Supervisor",
        journal: "Journal",
        requests: "Requests",
        probation: "Probation",
    ) -> None:
        self.sleeper: Sleeper | None = None
        self._clock = clock
        self._trace = trace
        self._supervisor = supervisor
        self._journal = journal
        self._requests = requests
        self._probation = probation

    def take(self, event: "Event") -> None:
        """Tell those whom it concerns."""
        if isinstance(event, Synchronised):
            self._synchronised(event)
        elif isinstance(event, Acknowledged):
            self._trace.acknowledged(self._journal.epoch, event.stream, event.next)
        elif isinstance(event, Requested):
            self._requests.take(event)
            if self.sleeper is not None:
                self.sleeper.stay()
        elif isinstance(event, Opened):
            self._probation.opened()
            if self.sleeper is not None:
                self.sleeper.opened()
        elif isinstance(event, Lost):
            self._requests.forget()

    def _synchronised(self, event: Synchronised) -> None:
        self._clock.measured(event.epoch_ms_at_boot, event.uncertainty_ms, event.measured_ms)
        self._trace.synchronised(event.epoch_ms_at_boot)
        if self._clock.discipline.wrong:
            self._supervisor.restart_cause = CLOCK_WRONG


class Node:
    """One boot of the node, out of what `assembly` has built."""

    def __init__(
        self,
        assembly: "Assembly",
        board: "Board",
        boot: "Boot",
        notes: "CrashNotes",
        after_import: int,
    ) -> None:
        self._board = board
        self._boot = boot
        self._notes = notes
        self._journal = assembly.journal
        self._trace = assembly.trace
        self._supervisor = assembly.supervisor
        self._probation = assembly.probation
        self._requests = assembly.requests
        self._link = assembly.link
        self._collection = assembly.collection
        self._devices = assembly.devices
        self._protection = assembly.protection
        self._health = None if assembly.checkup is None else assembly.checkup.collection
        self._ending = assembly.ending
        self._traced = assembly.traced
        self._after_import = after_import

    async def run(self) -> None:
        """Run the duties until an orderly end."""
        supervisor = self._supervisor
        supervisor.start("receive", _LIMIT_MS, self._link.receive)
        supervisor.start("send", _LIMIT_MS, self._link.send)
        supervisor.start("requests", LIMIT_MS, self._requests.run)
        supervisor.start("probation", _LIMIT_MS, self._probation.run)
        self._start_measuring()
        if self._traced:
            supervisor.start("measure", _LIMIT_MS, self._measure)
        if self._ending.possible:
            supervisor.start("end", _LIMIT_MS, self._ending.run)
        await supervisor.run()
        if self._protection is not None:
            self._protection.stop()
        if supervisor.restart_cause is not None:
            self._start_again(supervisor.restart_cause)
        self._journal.settle()
        self._note_memory()
        self._trace.ended()
        self._ending.clean()

    def _start_measuring(self) -> None:
        start = self._supervisor.start
        if self._collection is not None:
            start("collect", _LIMIT_MS, self._collection.run)
        if self._devices is not None:
            start("devices", _LIMIT_MS, self._devices)
        if self._protection is not None:
            self._protection.start(self._supervisor)
        if self._health is not None:
            start("health", _LIMIT_MS, self._health.run)

    def _start_again(self, cause: int) -> None:
        """Reset on purpose, with everything that was read in the journal: no early end."""
        if self._collection is not None:
            self._collection.stop()
        if self._health is not None:
            self._health.stop()
        self._journal.settle()
        self._boot.settle()
        self._notes.plan(cause)
        self._board.reset()

    async def _measure(self, duty: "Duty") -> None:
        while True:
            duty.beat()
            self._note_memory()
            await asyncio.sleep(_MEASURE_S)

    def _note_memory(self) -> None:
        link = self._link
        heap = heap_bytes()
        self._trace.measured(self._after_import, heap, link.sent_bytes, link.received_bytes)


def heap_bytes() -> int:
    """Return the bytes of heap in use, after collecting what is not."""
    gc.collect()
    return gc.mem_alloc()
