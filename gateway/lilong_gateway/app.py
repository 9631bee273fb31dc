"""The gateway: everything is built here and runs in one TaskGroup."""

import asyncio
import logging
import random
import secrets
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import UNIX_2000_MS, Clock
from lilong_gateway.config import Config
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.watch import Watch
from lilong_gateway.errors import RadioStuckError, StoreError, StoreUnavailableError
from lilong_gateway.housekeeping import Housekeeping
from lilong_gateway.ingest import Ingest
from lilong_gateway.key_watch import KeyWatch
from lilong_gateway.keys import KeyRing
from lilong_gateway.links import Link
from lilong_gateway.links.serial import open_serial
from lilong_gateway.logs import pairs
from lilong_gateway.privacy import Privacy
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.stations import Stations
from lilong_gateway.status import write_status
from lilong_gateway.store.store import Store
from lilong_gateway.supervision import Supervisor
from lilong_gateway.surroundings import Surroundings
from lilong_gateway.uplink.render import Renderer
from lilong_gateway.uplink.uplink import Uplink

if TYPE_CHECKING:
    from lilong_gateway.radio.ear import Recover
    from lilong_gateway.radio.rounds import Rounds

_STATUS_S = 1.0
_LOG = logging.getLogger(__name__)


class Gateway:
    """All parts of one gateway; run() until SIGTERM or SIGINT. SIGHUP: the keys are read anew.

    recover brings a Bluetooth adapter back to work; without it the system's own means do.
    """

    def __init__(
        self, config: Config, keys: KeyRing, clock: Clock, recover: "Recover | None" = None
    ) -> None:
        self._config = config
        self._keys = keys
        self._proofs = Proofs(keys)
        self._key_watch = KeyWatch(config.keys, keys)
        self._clock = clock
        self._started_ms = clock.steady_ms()
        self._jitter = random.SystemRandom().random
        committed = asyncio.Event()
        self._store = Store(config.data)
        self._ingest = Ingest(self._store, committed, self._backoff(30.0))
        self._roster = Roster()
        self._downlink = Downlink(config.downlink, self._ingest, clock)
        self._watch = Watch(config.downlink, config.data, self._downlink, self._store, clock)
        self._supervisor = Supervisor()
        self._renderer = Renderer(
            config.topic, config.uplink.format, Privacy(config.release, config.grants)
        )
        self._uplink = Uplink(
            config, self._store, self._renderer, committed, clock, self._backoff(30.0)
        )
        self._housekeeping = Housekeeping(
            self._store, self._ingest, committed, clock, config.keep_confirmed_s
        )
        around = self._surroundings()
        self._stations = Stations(
            config.ports,
            config.scan_s,
            around,
            self._open_port,
            self._supervisor,
            lambda: self._backoff(10.0),
        )
        self._rounds = self._build_rounds(around, recover) if config.ble.adapters else None
        self._stop = asyncio.Event()
        self._stuck = ""

    async def run(self) -> None:
        """Serve until told to stop.

        StoreUnavailableError if the data folder cannot be used, RadioStuckError if only a new
        process can help the radio.
        """
        stop = self._stop
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._key_watch.hasten)
        try:
            await self._open_store()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._supervisor.keep(name, duty, self._backoff(30.0)), name=name
                    )
                    for name, duty in self._duties()
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
            await self._write_status()
        finally:
            await self._store.close()
            _LOG.info("stopped")
        if self._stuck:
            raise RadioStuckError(f"{self._stuck}; nothing helps but a new start")

    async def _open_store(self) -> None:
        try:
            store_id = await self._store.open()
        except StoreUnavailableError:
            raise
        except StoreError as error:
            _LOG.error("store waits %s", pairs(error=error))
        else:
            ports = len(self._config.ports)
            _LOG.info("started %s", pairs(store=store_id, nodes=len(self._keys), ports=ports))

    def _duties(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        duties: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("ingest", self._ingest.run),
            ("stations", self._stations.run),
            ("keys", self._key_watch.run),
            ("downlink", self._watch.run),
            ("uplink", self._uplink.run),
            ("housekeeping", self._housekeeping.run),
        ]
        if self._rounds is not None:
            duties.append(("rounds", self._rounds.run))
        file = self._config.status_file
        if file is not None:
            duties.append(("status", lambda: self._report(file)))
        return duties

    def _build_rounds(self, around: Surroundings, recover: "Recover | None") -> "Rounds":
        """Import what only a gateway with a radio needs, and not every one has."""
        from lilong_gateway.radio import rounds  # noqa: PLC0415
        from lilong_gateway.radio.listener import Listener  # noqa: PLC0415
        from lilong_gateway.radio.recovery import Recovery  # noqa: PLC0415

        premises = rounds.Premises(
            self._supervisor,
            lambda: self._backoff(10.0),
            self._jitter,
            recover or Recovery(self._clock),
            lambda: all(station.eui is None for station in self._stations.all),
            self._give_up,
        )
        shared = (around.keys, around.proofs, around.roster, around.store, around.ingest)
        listener = Listener(*shared, around.clock)
        return rounds.Rounds(self._config.ble, around, listener, premises)

    def _give_up(self, reason: str) -> None:
        _LOG.error("the radio does not come back %s", pairs(why=reason))
        self._stuck = reason
        self._stop.set()

    async def _open_port(self, port: str, on_change: Callable[[], None]) -> Link:
        return await open_serial(port, self._config.baud, on_change)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self._keys,
            self._proofs,
            self._store,
            self._ingest,
            self._roster,
            self._downlink,
            self._clock,
            secrets.token_bytes,
        )

    def _backoff(self, most_s: float) -> Backoff:
        return Backoff(self._jitter, 0.5, most_s)

    async def _report(self, file: Path) -> None:
        well = True
        while True:
            wrote = await self._write_status()
            if well != wrote:
                well = wrote
                _LOG.warning("status file %s", pairs(file=file, written=wrote))
            await asyncio.sleep(_STATUS_S)

    async def _write_status(self) -> bool:
        file = self._config.status_file
        if file is None:
            return True
        status = await self._status()
        return await asyncio.to_thread(write_status, file, status)

    async def _status(self) -> dict[str, object]:
        wall_ms = self._clock.wall_ms()
        return {
            "gateway": self._config.id,
            "site": self._config.site,
            "unix_ms": None if wall_ms is None else wall_ms + UNIX_2000_MS,
            "uptime_ms": self._clock.steady_ms() - self._started_ms,
            "ports": [
                {
                    "port": station.port,
                    "state": station.state,
                    "eui": None if station.eui is None else station.eui.hex(),
                    **station.counters,
                }
                for station in self._stations.all
            ],
            "ble": None if self._rounds is None else self._rounds.status(),
            "nodes": {
                eui: {
                    **asdict(node),
                    "key": self._key_state(bytes.fromhex(eui)),
                    **self._downlink.node_status(bytes.fromhex(eui)),
                }
                for eui, node in self._roster.nodes.items()
            },
            "refused": {
                eui: {"port": entry.port, "reason": entry.reason, "count": entry.count}
                for eui, entry in self._roster.refused.items()
            },
            "keys": {
                "nodes": len(self._keys),
                "rotating": self._keys.rotating,
                "revoked": len(self._keys.revoked),
                **asdict(self._key_watch.counters),
            },
            "downlink": self._downlink.status(),
            "store": await self._store_status(),
            "uplink": {
                "connected": self._uplink.connected,
                "trouble": self._uplink.trouble,
                "confirmed": self._uplink.confirmed,
                **asdict(self._uplink.counters),
                **asdict(self._renderer.counters),
            },
            "failures": dict(self._supervisor.failures),
        }

    def _key_state(self, eui: bytes) -> str:
        keys = self._keys(eui)
        if not keys:
            return "revoked" if eui in self._keys.revoked else "none"
        return "current" if len(keys) == 1 or self._proofs.is_current(eui) else "old"

    async def _store_status(self) -> dict[str, object]:
        ingest = self._ingest
        status: dict[str, object] = {
            **asdict(ingest.counters),
            "queued": ingest.waiting,
            "trouble": "" if ingest.trouble is None else str(ingest.trouble),
            "pruned": self._housekeeping.pruned,
            "dated": self._housekeeping.dated,
            "damaged_files": self._store.damaged_files,
        }
        try:
            summary = await self._store.summary()
        except StoreError as error:
            return status | {"trouble": str(error)}
        return status | {
            "id": summary.store_id,
            "last": summary.last,
            "cursor": summary.cursor,
            "waiting": summary.waiting,
            "quarantine": summary.quarantined,
            "size_bytes": summary.size_bytes,
        }
