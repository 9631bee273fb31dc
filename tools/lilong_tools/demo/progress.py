"""How far the demonstration has come, node by node."""

import contextlib
import json
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from lilong_tools.city.arrivals import Arrivals, Arrived
from lilong_tools.city.measures import percentile
from lilong_tools.demo.plan import TRACE, NodePlan
from lilong_tools.demo.trace import BatchKey, TraceFile

_RECENT = 512


class NodeProgress:
    """One node: what it took and journalled, what of it reached the city."""

    def __init__(self, plan: NodePlan, folder: Path) -> None:
        """Follow the trace in the node's folder."""
        self.plan = plan
        self.batches = 0
        self.delivered = 0
        self.waiting = 0
        self._file = TraceFile(folder / TRACE)
        self._recent_ms: deque[int] = deque(maxlen=_RECENT)
        self._early: dict[BatchKey, Arrived] = {}

    @property
    def sampled(self) -> int:
        """Readings taken."""
        return self._file.trace.sampled

    @property
    def ended(self) -> bool:
        """Whether the node ended in order."""
        return self._file.trace.ended

    @property
    def latency_ms(self) -> int | None:
        """Median from sample to city of the latest readings."""
        return percentile(sorted(self._recent_ms), 50)

    def values(self) -> list[tuple[str, Decimal, str]]:
        """Give name, last value and unit of each channel that has one."""
        latest = self._file.trace.latest
        return [
            (channel.name, Decimal(latest[channel.number]).scaleb(channel.exponent), channel.unit)
            for channel in self.plan.channels
            if channel.number in latest
        ]

    def read(self) -> None:
        """Take what the node wrote since the last call."""
        for key in self._file.read():
            self.waiting += len(self._file.trace.batches[key])
            if key in self._early:
                self._settle(key, self._early.pop(key))

    def take(self, arrived: Arrived) -> None:
        """Take a batch that reached the city, before or after the node's line about it."""
        self.batches += 1
        self.delivered += arrived.readings
        if arrived.key in self._file.trace.batches:
            self._settle(arrived.key, arrived)
        else:
            self._early[arrived.key] = arrived

    def _settle(self, key: BatchKey, arrived: Arrived) -> None:
        samples = self._file.trace.batches.pop(key)
        self.waiting -= len(samples)
        self._recent_ms.extend(arrived.received_ms - sample.unix_ms for sample in samples)


class Progress:
    """All nodes, and what the gateway says of itself."""

    def __init__(self, nodes: Sequence[NodeProgress], arrivals: Arrivals, status: Path) -> None:
        """Follow the nodes, the city's store and the gateway's status file."""
        self.nodes = list(nodes)
        self._by_eui = {node.plan.eui: node for node in nodes}
        self._arrivals = arrivals
        self._status = status
        self.uplink = ""

    @property
    def sampled(self) -> int:
        """Readings taken by all nodes."""
        return sum(node.sampled for node in self.nodes)

    @property
    def delivered(self) -> int:
        """Readings of all nodes at the city."""
        return sum(node.delivered for node in self.nodes)

    @property
    def waiting(self) -> int:
        """Readings journalled and not yet at the city."""
        return sum(node.waiting for node in self.nodes)

    @property
    def batches(self) -> int:
        """Batches at the city."""
        return sum(node.batches for node in self.nodes)

    @property
    def complete(self) -> bool:
        """Whether every node ended in order and all that it journalled is at the city."""
        return all(node.ended and not node.waiting for node in self.nodes)

    def update(self) -> None:
        """Read everything that is new."""
        for node in self.nodes:
            node.read()
        for arrived in self._arrivals.fresh():
            if arrived.eui in self._by_eui:
                self._by_eui[arrived.eui].take(arrived)
        self.uplink = self._uplink()

    def troubles(self) -> list[str]:
        """Say in a line each what the gateway reports of ports that it cannot use."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return [
                f"{port['port']}: {port['state']}"
                for port in json.loads(self._status.read_text("utf-8"))["ports"]
                if port["eui"] is None and port["state"] != "open"
            ]
        return []

    def _uplink(self) -> str:
        try:
            (uplink,) = json.loads(self._status.read_text("utf-8"))["uplink"].values()
            return f"MQTT {uplink['connected']}" if uplink["connected"] else "no broker"
        except (OSError, ValueError, KeyError, TypeError):
            return "starting"
