"""The state of the gateway as JSON, for people and scripts."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lilong_gateway.blocking import in_thread
from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.errors import StoreError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.logs import pairs
from lilong_gateway.roster import Node

if TYPE_CHECKING:
    from lilong_gateway.parts import Parts
    from lilong_gateway.store.summary import Summary

_LOOK_S = 1.0
_LOOK_S_PER_NODE = 0.002
"""Many nodes are told of more rarely, so that it takes little of the machine's time."""
_AT_ONCE = 50
"""Nodes written before others have their turn."""
_WRITE_S = 10.0
_LAST_S = 0.5
_NODE = tuple(field.name for field in fields(Node))
_LOG = logging.getLogger(__name__)


class Report:
    """Asks the store for its numbers and writes the status file; run() for ever, in one task."""

    def __init__(
        self, parts: "Parts", file: Path | None, pulse: Pulse, write_s: float = _WRITE_S
    ) -> None:
        self.summary: Summary | None = None
        """What the store said last."""
        self.asked_ms: int | None = None
        """When it said so, by the steady clock."""
        self.store_trouble = ""
        """Why it did not say anything, the last time."""
        self.damaged_files = 0
        self._parts = parts
        self._file = file
        self._pulse = pulse
        self._write_s = write_s
        self._started_ms = parts.clock.steady_ms()
        self._counted_losses: int | None = None
        self._well = True
        self._writing = threading.Lock()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self.report()
            self._pulse.rest()
            await asyncio.sleep(_LOOK_S + _LOOK_S_PER_NODE * len(self._parts.roster.nodes))

    async def report(self) -> None:
        """Report once."""
        self._pulse.work()
        await self._ask()
        file = self._file
        if file is not None:
            text = await self._text()
            self._pulse.rest()
            await self._write(file, text)

    async def finish(self) -> None:
        """Report a last time, if that goes quickly."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self.report()

    async def _ask(self) -> None:
        parts = self._parts
        try:
            self.summary = await parts.store.summary()
        except StoreError as error:
            self.store_trouble = str(error)
            return
        self.store_trouble = ""
        self.asked_ms = parts.clock.steady_ms()
        if self._counted_losses != parts.store.losses:
            self._counted_losses = parts.store.losses
            self.damaged_files = parts.store.damaged_files

    async def _write(self, file: Path, text: str) -> None:
        try:
            wrote = await in_thread(partial(self._write_alone, file, text), self._write_s)
        except TimeoutError:
            wrote = False
        if self._well != wrote:
            self._well = wrote
            _LOG.warning("status file %s", pairs(file=file, written=wrote))

    def _write_alone(self, file: Path, text: str) -> bool:
        """Leave it to whoever has been at it since the last time: its disk does not answer."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            return write_status(file, text)
        finally:
            self._writing.release()

    async def _text(self) -> str:
        head = json.dumps(self._head())
        nodes = ",\n ".join([node async for node in self._nodes()])
        return f'{head[:-1]},\n"nodes": {{\n {nodes}\n}}}}\n'

    async def _nodes(self) -> AsyncIterator[str]:
        parts = self._parts
        for number, (eui, node) in enumerate(list(parts.roster.nodes.items())):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            told: dict[str, object] = {name: getattr(node, name) for name in _NODE}
            identity = bytes.fromhex(eui)
            told["key"] = self._key_state(identity)
            yield f'"{eui}": {json.dumps(told | parts.downlink.node_status(identity))}'

    def _key_state(self, eui: bytes) -> str:
        keys = self._parts.keys(eui)
        if not keys:
            return "revoked" if eui in self._parts.keys.revoked else "none"
        current = len(keys) == 1 or self._parts.proofs.is_current(eui)
        return "current" if current else "old"

    def _head(self) -> dict[str, object]:
        parts = self._parts
        wall_ms = parts.clock.wall_ms()
        keys = parts.keys
        return {
            "gateway": parts.config.id,
            "site": parts.config.site,
            "unix_ms": None if wall_ms is None else wall_ms + UNIX_2000_MS,
            "uptime_ms": parts.clock.steady_ms() - self._started_ms,
            "ports": [
                {
                    "port": station.port,
                    "state": station.state,
                    "eui": None if station.eui is None else station.eui.hex(),
                    **station.counters,
                }
                for station in parts.stations.all
            ],
            "ble": None if parts.rounds is None else parts.rounds.status(),
            "refused": {
                eui: {"port": entry.port, "reason": entry.reason, "count": entry.count}
                for eui, entry in parts.roster.refused.items()
            },
            "keys": {
                "nodes": len(keys),
                "rotating": keys.rotating,
                "revoked": len(keys.revoked),
                **asdict(parts.key_watch.counters),
            },
            "downlink": parts.downlink.status(),
            "store": self._store(),
            "uplink": parts.uplinks.status(),
            "failures": dict(parts.supervisor.failures),
        }

    def _store(self) -> dict[str, object]:
        ingest, housekeeping = self._parts.ingest, self._parts.housekeeping
        trouble = "" if ingest.trouble is None else str(ingest.trouble)
        status: dict[str, object] = {
            **asdict(ingest.counters),
            "queued": ingest.waiting,
            "trouble": self.store_trouble or trouble,
            "pruned": housekeeping.pruned,
            "dated": housekeeping.dated,
            "damaged_files": self.damaged_files,
        }
        if self.summary is None:
            return status
        summary = asdict(self.summary)
        return status | {
            "id": summary.pop("store_id"),
            "quarantine": summary.pop("quarantined"),
            "waiting": self.summary.waiting,
            **summary,
        }


def write_status(file: Path, text: str) -> bool:
    """Replace the file in one step, no reader meets half of it; False if it cannot be written."""
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        return False
    return True
