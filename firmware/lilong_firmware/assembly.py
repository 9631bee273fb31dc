"""The second half of a start: the node, composed; everything that runs is built here."""

import asyncio

from lilong_firmware.batcher import Batcher
from lilong_firmware.collection import Collection, Shelf
from lilong_firmware.ending import Ending
from lilong_firmware.health import Checkup, Health, Past
from lilong_firmware.node import Node, Notices
from lilong_firmware.probation import Probation
from lilong_firmware.push import Push
from lilong_firmware.requests import Requests
from lilong_firmware.restart import Restart
from lilong_firmware.status import Status
from lilong_firmware.supervision import Supervisor
from lilong_firmware.trace import open_trace
from lilong_firmware.version import FIRMWARE
from lilong_protocol.frame import ALARM_STREAM, BULK_STREAM, DATA_STREAM
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_session import NodeSession
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.request import APPLY, OFFER, STATUS, WRITE

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.node import Prepared
    from lilong_firmware.sleep.settings import SleepSettings
    from lilong_protocol.node_keys import NodeKeys


class Assembly:
    """The parts of one boot of the node."""

    def __init__(self, prepared: "Prepared", keys: "NodeKeys") -> None:
        self._prepared = prepared
        self._log = prepared.board.log
        self.journal = prepared.journal
        self.traced = bool(prepared.trace)
        self.trace = open_trace(prepared.trace, prepared.board.unix_ms)
        self.trace.booted(prepared.boot_id, self.journal)
        self._wake = asyncio.Event()
        self.supervisor = self._build_supervisor()
        self._session = self._build_session(keys)
        self._restart = Restart(self.supervisor, self._session, prepared.clock, self._log)
        self.probation = self._build_probation()
        self.requests = self._build_requests()
        self._notices = self._build_notices()
        self.link = self._build_link(keys)
        self.checkup = self._build_checkup()
        self.protection = prepared.protection
        self.collection = self._build_collection()
        self.devices = getattr(prepared.source, "run", None)
        """The duty of devices, None for other sources."""
        self.ending = self._build_ending()

    def node(self, after_import: int) -> Node:
        """Return the node; `after_import` is the heap that code alone has taken."""
        prepared = self._prepared
        return Node(self, prepared.board, prepared.boot, prepared.notes, after_import)

    def _build_supervisor(self) -> Supervisor:
        prepared = self._prepared
        reset = prepared.board.reset
        return Supervisor(prepared.clock, prepared.watchdog, prepared.notes, reset, self._log)

    def _build_session(self, keys: "NodeKeys") -> NodeSession:
        prepared = self._prepared
        sequence = prepared.boot.sequence
        firmware = FIRMWARE + "+" + str(sequence) if sequence else FIRMWARE
        greeting = Greeting(prepared.boot_id, prepared.cause, firmware)
        random, descriptor = prepared.board.random, prepared.descriptor
        return NodeSession(prepared.eui, keys, self.journal, random, greeting, descriptor)

    def _build_probation(self) -> Probation:
        prepared = self._prepared
        return Probation(
            prepared.boot,
            prepared.configuration,
            prepared.patience,
            prepared.clock,
            self._restart,
            self._log,
        )

    def _build_requests(self) -> Requests:
        prepared, restart = self._prepared, self._restart
        board, boot, configuration = prepared.board, prepared.boot, prepared.configuration
        push = Push(boot, board, configuration, prepared.eui, restart, prepared.watchdog.feed)
        methods = {
            STATUS: Status(boot, configuration, prepared.version, board.device_class()).tell,
            OFFER: push.offer,
            WRITE: push.write,
            APPLY: push.apply,
        }
        return Requests(methods, self._session.respond, restart, self._wake, self._log)

    def _build_notices(self) -> Notices:
        return Notices(
            self._prepared.clock,
            self.trace,
            self.supervisor,
            self.journal,
            self.requests,
            self.probation,
        )

    def _build_link(self, keys: "NodeKeys") -> "Any":
        """Return the Link of a node on a line, or what stands in its place; no other is loaded."""
        prepared, session, take = self._prepared, self._session, self._notices.take
        if prepared.radio is not None:
            from lilong_firmware.ble.build import build_visits  # noqa: PLC0415 - see above

            return build_visits(prepared.radio, prepared, keys, session, self._wake, take)
        from lilong_firmware.link import Link  # noqa: PLC0415 - see above

        uart = prepared.uart
        reader = asyncio.StreamReader(uart)
        return Link(reader, uart, session, prepared.clock, self._wake, take)

    def _build_checkup(self) -> "Checkup | None":
        """Return None where the settings want no health channels, or none have room."""
        prepared, log = self._prepared, self._log
        told, boot_id = prepared.told, prepared.boot_id
        if not told:
            return None
        past = Past(prepared.cause, boot_id, prepared.notes.code)
        dispatch = self._session.dispatch
        health = Health(past, prepared.board, prepared.clock, self.journal, self.link, dispatch)
        shelf = self._shelf(BULK_STREAM)
        return Checkup(health, told, prepared.health_ms, boot_id, shelf, self.trace, log)

    def _build_collection(self) -> "Collection | None":
        """Return None when there is nothing to measure."""
        prepared = self._prepared
        source = prepared.source
        if prepared.sleep is not None:
            return self._build_sleeper(prepared.sleep)
        if source is None:
            return None
        shelf = self._shelf(DATA_STREAM)
        alarm_shelf = self._shelf(ALARM_STREAM)
        listen = None
        if self.protection is not None:
            listen = self.protection.arm(
                shelf, alarm_shelf, self.journal, self.trace, prepared.clock, prepared.boot_id
            )
        batcher = Batcher(shelf.put, *prepared.batch, source.mark)
        collection = Collection(source, batcher, self.journal, self.trace, prepared.clock, listen)
        if self.checkup is not None:
            self.checkup.health.watch(collection, shelf)
            for states in self._states():
                self.checkup.health.watch(states, alarm_shelf)
        return collection

    def _build_sleeper(self, settings: "SleepSettings") -> "Any":
        """Return what stands where other nodes have their Collection."""
        from lilong_firmware.sleep.build import (  # noqa: PLC0415 - no other node needs it
            add_report,
            build_sleeper,
        )

        prepared = self._prepared
        board, boot_id = prepared.board, prepared.boot_id
        sleeper: Any = build_sleeper(
            settings,
            prepared.time_exponents,
            prepared.batch[0],
            board,
            prepared.boot,
            prepared.clock,
            boot_id,
            self._session,
            self.journal,
            self.trace,
            self._wake,
            prepared.waking,
            prepared.probe,
            prepared.configuration,
            self._restart,
        )
        self._notices.sleeper = sleeper
        if prepared.silent:
            sleeper.silence()
        if self.checkup is not None:
            add_report(
                sleeper,
                self.checkup,
                prepared.told,
                prepared.health_ms,
                boot_id,
                self.journal,
                self.trace,
                self._wake,
                self._log,
            )
            self.checkup.health.watch(sleeper, self._shelf(DATA_STREAM))
        return sleeper

    def _states(self) -> "list[Collection]":
        """Return the collections of what rules and outputs are in."""
        return [] if self.protection is None else self.protection.collections

    def _shelf(self, stream: int) -> Shelf:
        return Shelf(self.journal, self.trace, self._wake, self._log, stream)

    def _build_ending(self) -> Ending:
        return Ending(
            self._prepared.stop_file,
            self.collection,
            ([] if self.checkup is None else [self.checkup.collection]) + self._states(),
            self._session if self._prepared.radio is None else self.link,
            self.journal,
            self.supervisor,
            exit_at_end=self._prepared.exit_at_end,
        )
