"""The node, composed: everything is built here, one task for each duty."""

import asyncio
import gc
import time

from lilong_firmware.batcher import Batcher
from lilong_firmware.boot import next_boot_id
from lilong_firmware.collection import Collection, Shelf
from lilong_firmware.configuration import Configuration, Configurations
from lilong_firmware.crash import CLOCK_WRONG, DUTY_FAILED, CrashNotes, describe
from lilong_firmware.depots import open_updates
from lilong_firmware.ending import Ending
from lilong_firmware.errors import FirmwareError, SettingsError
from lilong_firmware.health import Checkup, Health, Past, absent_channels
from lilong_firmware.health_channels import describe_node, health_channels
from lilong_firmware.journal import Journal
from lilong_firmware.keys import read_keys
from lilong_firmware.link import Link
from lilong_firmware.probation import Probation
from lilong_firmware.protection import Protection
from lilong_firmware.requests import LIMIT_MS, Requests
from lilong_firmware.restart import Restart
from lilong_firmware.settings import read_settings
from lilong_firmware.sink import Inbox
from lilong_firmware.source import open_source
from lilong_firmware.status import Status
from lilong_firmware.supervision import Supervisor
from lilong_firmware.trace import Trace
from lilong_firmware.transfer import Transfer
from lilong_firmware.version import FIRMWARE
from lilong_protocol.events import Acknowledged, Lost, Opened, Requested, Synchronised
from lilong_protocol.frame import ALARM_STREAM, BULK_STREAM
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_session import NodeSession
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.request import APPLY, OFFER, STATUS, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.settings import Sampling
    from lilong_firmware.supervision import Duty
    from lilong_protocol.events import Event
    from lilong_protocol.node_keys import NodeKeys
    from loader import Boot

_EARLY_CRASHES = 3
_MEASURE_S = 5.0
_LIMIT_MS = 30000
_PAUSE_S = 2
_HOUR_MS = 3600000
_SETTINGS = "settings.json"


class App:
    """Everything that runs on one board, in the folder that is current."""

    def __init__(self, board: "Board", boot: "Boot") -> None:
        self._board = board
        self._boot = boot
        self._heap_after_import = _heap_bytes()

    def run(self) -> None:
        """Run until an orderly end. Without a usable key the node cannot talk: it says so.

        An error outside of all duties is noted and resets the node too: MicroPython's prompt
        would wait for a person.
        """
        board = self._board
        try:
            keys = read_keys("key.bin")
        except SettingsError as problem:
            board.log(str(problem))
            board.give_up()
            return
        clock = board.clock()
        notes = CrashNotes("crash.txt", "reset.txt", board)
        if self._boot.returned:
            notes.early = 0
        try:
            node = _Node(board, self._boot, keys, clock, notes, self._heap_after_import)
            asyncio.run(node.run())
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would handle it
            board.log("the node failed: " + repr(error))
            notes.write(DUTY_FAILED, "node", clock.uptime_ms(), describe(error))
            time.sleep(_PAUSE_S)
            board.reset()


class _Node:
    """One boot of the node."""

    def __init__(
        self,
        board: "Board",
        boot: "Boot",
        keys: "NodeKeys",
        clock: "Clock",
        notes: CrashNotes,
        heap_after_import: int,
    ) -> None:
        self._board = board
        self._boot = boot
        self._heap_after_import = heap_after_import
        self._configuration = Configuration(_SETTINGS, board.log)
        self._settings = read_settings(_SETTINGS, board.eui())
        self._clock = clock
        self._boot_id = next_boot_id("boot.txt", board.random)
        self._notes = notes
        running = self._settings.running
        self._watchdog = board.watchdog(running.watchdog_ms)
        self._supervisor = Supervisor(clock, self._watchdog, notes, board.reset, board.log)
        board.measure_supply(running)
        self._protection = Protection(self._settings.sampling, board)
        self._cause = notes.explain(board.reset_cause())
        if self._cause == CLOCK_WRONG:
            # Two gateways that do not agree must not make the node start again and again.
            clock.discipline.patience_ms = _HOUR_MS
        self._journal = Journal(board.journal_flash(running.journal_bytes), board.random)
        self._trace = Trace(running.trace, board.unix_ms)
        self._trace.booted(self._boot_id, self._journal)
        self._wake = asyncio.Event()
        self._session = self._build_session(keys)
        self._restart = Restart(self._supervisor, self._session, clock, board.log)
        patience = running.patience
        self._probation = Probation(
            boot, self._configuration, patience, clock, self._restart, board.log
        )
        self._requests = self._build_requests()
        self._link = self._build_link()
        self._checkup = self._build_checkup()
        self._devices: Callable[[Duty], Coroutine[Any, Any, None]] | None = None
        self._collection = self._build_collection()

    def _build_session(self, keys: "NodeKeys") -> NodeSession:
        own = health_channels(absent_channels(self._board))
        wanted = own if self._settings.running.health_ms else []
        descriptor, self._told = describe_node(self._settings.sampling, wanted)
        sequence = self._boot.sequence
        firmware = FIRMWARE + "+" + str(sequence) if sequence else FIRMWARE
        greeting = Greeting(self._boot_id, self._cause, firmware)
        return NodeSession(
            self._settings.eui, keys, self._journal, self._board.random, greeting, descriptor
        )

    def _build_requests(self) -> Requests:
        board, boot, configuration = self._board, self._boot, self._configuration
        inbox = Inbox("inbox")
        feed = self._watchdog.feed
        settings = Configurations(inbox, configuration, _SETTINGS, self._settings.eui)
        transfer = Transfer(
            settings, lambda: open_updates(inbox, boot, board, feed), self._restart
        )
        version = self._settings.running.version
        methods = {
            STATUS: Status(boot, configuration, version, board.device_class()).tell,
            OFFER: transfer.offer,
            WRITE: transfer.write,
            APPLY: transfer.apply,
        }
        return Requests(methods, self._session.respond, self._restart, self._wake, board.log)

    def _build_link(self) -> Link:
        uart = self._board.uart(self._settings.running, self._settings.usual)
        reader = asyncio.StreamReader(uart)
        return Link(reader, uart, self._session, self._clock, self._wake, self._noticed)

    def _build_checkup(self) -> "Checkup | None":
        """Return None where the settings want no health channels, or none have room."""
        if not self._told:
            return None
        log = self._board.log
        past = Past(self._cause, self._boot_id, self._notes.code)
        health = Health(
            past, self._board, self._clock, self._journal, self._link, self._session.dispatch
        )
        interval_ms = self._settings.running.health_ms
        shelf = Shelf(self._journal, self._trace, self._wake, log, BULK_STREAM)
        return Checkup(health, self._told, interval_ms, self._boot_id, shelf, self._trace, log)

    def _build_collection(self) -> "Collection | None":
        """Return None when there is nothing usable to measure: the node talks all the same."""
        sampling = self._settings.sampling
        if self._settings.problem is not None:
            self._board.log(str(self._settings.problem))
        if self._boot.recovery:
            self._board.log("sensors stay off in recovery")
        elif self._notes.early >= _EARLY_CRASHES:
            self._board.log("sensors stay off: the last boots ended early, see crash.txt")
        elif sampling is not None:
            try:
                return self._build_source(sampling)
            except FirmwareError as problem:
                self._board.log(str(problem))
        return None

    def _build_source(self, sampling: "Sampling") -> Collection:
        log = self._board.log
        source = open_source(sampling, self._clock, self._boot_id, self._journal, log)
        self._devices = getattr(source, "run", None)
        shelf = Shelf(self._journal, self._trace, self._wake, log)
        batcher = Batcher(shelf.put, sampling.batch_readings, sampling.batch_ms, source.mark)
        alarms = Shelf(self._journal, self._trace, self._wake, log, ALARM_STREAM)
        parts = (self._journal, self._trace, self._clock)
        listen = self._protection.arm(sampling, shelf, alarms, *parts, self._boot_id)
        collection = Collection(source, batcher, *parts, listen)
        if self._checkup is not None:
            self._checkup.health.watch(collection, shelf)
            for states in self._protection.collections:
                self._checkup.health.watch(states, alarms)
        return collection

    async def run(self) -> None:
        """Run the duties until an orderly end."""
        settings, supervisor = self._settings, self._supervisor
        supervisor.start("receive", _LIMIT_MS, self._link.receive)
        supervisor.start("send", _LIMIT_MS, self._link.send)
        supervisor.start("requests", LIMIT_MS, self._requests.run)
        supervisor.start("probation", _LIMIT_MS, self._probation.run)
        if self._collection is not None:
            supervisor.start("collect", _LIMIT_MS, self._collection.run)
        if self._devices is not None:
            supervisor.start("devices", _LIMIT_MS, self._devices)
        health = None if self._checkup is None else self._checkup.collection
        if health is not None:
            supervisor.start("health", _LIMIT_MS, health.run)
        self._protection.start(supervisor)
        if settings.running.trace:
            supervisor.start("measure", _LIMIT_MS, self._measure)
        ending = Ending(
            settings,
            self._collection,
            self._protection.collections + ([] if health is None else [health]),
            self._session,
            self._journal,
            supervisor,
            may_stop=self._board.may_stop,
        )
        if ending.possible:
            supervisor.start("end", _LIMIT_MS, ending.run)
        await supervisor.run()
        self._protection.stop()
        if supervisor.restart_cause is not None:
            self._start_again(supervisor.restart_cause)
        self._journal.settle()
        self._note_memory()
        self._trace.ended()
        ending.clean()

    def _start_again(self, cause: int) -> None:
        """Reset on purpose, with everything that was read in the journal: no early end."""
        if self._collection is not None:
            self._collection.stop()
        if self._checkup is not None:
            self._checkup.collection.stop()
        self._journal.settle()
        self._boot.settle()
        self._notes.plan(cause)
        self._board.reset()

    def _synchronised(self, event: Synchronised) -> None:
        self._clock.measured(event.epoch_ms_at_boot, event.uncertainty_ms, event.measured_ms)
        self._trace.synchronised(event.epoch_ms_at_boot)
        if self._clock.discipline.wrong:
            self._supervisor.restart_cause = CLOCK_WRONG

    def _noticed(self, event: "Event") -> None:
        if isinstance(event, Synchronised):
            self._synchronised(event)
        elif isinstance(event, Acknowledged):
            self._trace.acknowledged(self._journal.epoch, event.stream, event.next)
        elif isinstance(event, Requested):
            self._requests.take(event)
        elif isinstance(event, Opened):
            self._probation.opened()
        elif isinstance(event, Lost):
            self._requests.forget()

    async def _measure(self, duty: "Duty") -> None:
        while True:
            duty.beat()
            self._note_memory()
            await asyncio.sleep(_MEASURE_S)

    def _note_memory(self) -> None:
        link = self._link
        heap = _heap_bytes()
        self._trace.measured(self._heap_after_import, heap, link.sent_bytes, link.received_bytes)


def _heap_bytes() -> int:
    """Return the bytes of heap in use, after collecting what is not."""
    gc.collect()
    return gc.mem_alloc()
