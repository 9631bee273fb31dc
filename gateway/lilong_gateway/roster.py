"""What became of each node: for the status file, and so that a stranger cannot flood the log."""

import logging
import re
from dataclasses import dataclass, field

from lilong_gateway.logs import pairs

_STRANGERS = 256
"""Against somebody who makes up identities: further ones share one entry."""

_STRANGER = "unknown node"

_VISIT = re.compile(r"(hci\d+)/")
_AGAIN_MS = 3_600_000
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Node:
    """One authenticated node. missing: batches it gave up before any gateway had them."""

    port: str = ""
    firmware: str = ""
    boot_id: int = 0
    reset_cause: int = 0
    sessions: int = 0
    batches: int = 0
    readings: int = 0
    missing: int = 0
    heard_ms: int = 0


@dataclass(slots=True)
class Refusal:
    """How often an identity was turned away, why the last time, and when each why was logged."""

    port: str
    reason: str
    count: int = 0
    logged_ms: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Traffic:
    """What came over one port or adapter and was stored, and when the last of it was."""

    batches: int = 0
    readings: int = 0
    moved_ms: int = 0


class Roster:
    """Counts by node. Times are those of the steady clock."""

    def __init__(self) -> None:
        self.traffic: dict[str, Traffic] = {}
        """By port or adapter."""
        self.nodes: dict[str, Node] = {}
        self.refused: dict[str, Refusal] = {}

    def node(self, eui: bytes) -> Node:
        """Return the entry of an authenticated node."""
        return self.nodes.setdefault(eui.hex(), Node())

    def stored(self, eui: bytes, place: str, readings: int | None, now_ms: int) -> None:
        """Count a batch that is on disk; readings is None for one that its node gave up."""
        node = self.node(eui)
        visit = _VISIT.match(place)
        traffic = self.traffic.setdefault(visit[1] if visit else place, Traffic())
        if readings is None:
            node.missing += 1
        else:
            node.batches += 1
            node.readings += readings
            traffic.batches += 1
            traffic.readings += readings
        node.heard_ms = traffic.moved_ms = now_ms

    def refuse(self, eui: bytes | None, port: str, reason: str, now_ms: int) -> None:
        """Count a refusal; log the first of each identity and reason, then once an hour.

        Strangers beyond the first ones share an entry; a node whose key we have never does.
        """
        name = eui.hex() if eui is not None else "unreadable"
        crowded = len(self.refused) >= _STRANGERS and reason == _STRANGER
        if crowded and name not in self.refused:
            name = "others"
        entry = self.refused.setdefault(name, Refusal(port, reason))
        entry.count += 1
        entry.port, entry.reason = port, reason
        logged_ms = entry.logged_ms.get(reason)
        if logged_ms is not None and now_ms - logged_ms < _AGAIN_MS:
            return
        entry.logged_ms[reason] = now_ms
        _LOG.warning(
            "node refused %s", pairs(eui=name, port=port, reason=reason, count=entry.count)
        )
