"""All parts of one gateway, built and joined; nothing runs yet."""

import asyncio
import random
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Config
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.watch import Watch
from lilong_gateway.health.pulse import Pulses
from lilong_gateway.housekeeping import Housekeeping
from lilong_gateway.ingest import Ingest
from lilong_gateway.key_watch import KeyWatch
from lilong_gateway.keys import KeyRing
from lilong_gateway.links import Link
from lilong_gateway.links.serial import open_serial
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.stations import Stations
from lilong_gateway.status import Report
from lilong_gateway.store.store import Store
from lilong_gateway.supervision import Supervisor
from lilong_gateway.surroundings import Surroundings
from lilong_gateway.uplink.message import Figures
from lilong_gateway.uplink.uplinks import Uplinks

if TYPE_CHECKING:
    from lilong_gateway.radio.ear import Recover
    from lilong_gateway.radio.rounds import Rounds

GiveUp = Callable[[str], None]
"""Ends the process, with the reason."""


class Parts:
    """Each part by its name. figures tells sinks of the gateway; store: another than the usual."""

    def __init__(
        self,
        config: Config,
        keys: KeyRing,
        clock: Clock,
        pulses: Pulses,
        figures: Callable[[], Figures],
        store: Store | None = None,
    ) -> None:
        self.config = config
        self.keys = keys
        self.clock = clock
        self.pulses = pulses
        self.committed = asyncio.Event()
        self.proofs = Proofs(keys)
        self.roster = Roster()
        self.supervisor = Supervisor()
        sinks = [sink.name for sink in config.uplinks]
        self.store = store or Store(config.data, sinks, config.storage, pulses.repair)
        self.ingest = Ingest(
            self.store, self.committed, self.backoff(30.0), pulse=pulses.add("ingest")
        )
        self.key_watch = KeyWatch(config.keys, keys, pulses.add("keys"))
        self.downlink = Downlink(config.downlink, self.ingest, clock)
        self.watch = Watch(
            *(config.downlink, config.data, self.downlink, self.store, clock),
            pulses.add("downlink"),
        )
        self.housekeeping = Housekeeping(
            *(self.store, self.ingest, self.committed, clock, config.storage),
            pulses.add("housekeeping"),
        )
        self.around = self._surroundings()
        self.stations = Stations(
            *(config.ports, config.scan_s, self.around, self._open_port, self.supervisor),
            lambda: self.backoff(10.0),
            pulses=pulses,
        )
        self.uplinks = Uplinks(
            *(config, self.store, self.committed, clock, lambda: self.backoff(30.0), figures),
            pulses.add,
        )
        self.rounds: Rounds | None = None
        self.report = Report(self, config.status_file, pulses.add("status"))

    def backoff(self, most_s: float) -> Backoff:
        """Return a new waiting time of the usual kind."""
        return Backoff(random.SystemRandom().random, 0.5, most_s)

    def add_rounds(self, recover: "Recover | None", give_up: GiveUp) -> None:
        """Import and build what only a gateway with a radio needs, and not every one has."""
        from lilong_gateway.radio import rounds  # noqa: PLC0415
        from lilong_gateway.radio.listener import Listener  # noqa: PLC0415
        from lilong_gateway.radio.recovery import Recovery  # noqa: PLC0415

        premises = rounds.Premises(
            self.supervisor,
            lambda: self.backoff(10.0),
            random.SystemRandom().random,
            recover or Recovery(self.clock),
            lambda: all(station.eui is None for station in self.stations.all),
            give_up,
        )
        around, pulse = self.around, self.pulses.add("rounds")
        shared = (around.keys, around.proofs, around.roster, around.store, around.ingest)
        listener = Listener(*shared, around.clock)
        self.rounds = rounds.Rounds(self.config.ble, around, listener, premises, pulse)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            *(self.keys, self.proofs, self.store, self.ingest, self.roster, self.downlink),
            self.clock,
            secrets.token_bytes,
        )

    async def _open_port(self, port: str, on_change: Callable[[], None]) -> Link:
        return await open_serial(port, self.config.baud, on_change)
