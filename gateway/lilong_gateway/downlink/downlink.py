"""All that goes down to the nodes of this gateway: one plan for all lines, and its numbers."""

from dataclasses import asdict, dataclass

from lilong_gateway.clock import Clock
from lilong_gateway.config import Downlink as Settings
from lilong_gateway.downlink.ledger import DONE, FAILED, REFUSED, Ledger
from lilong_gateway.downlink.node_status import NodeStatus
from lilong_gateway.downlink.parcel import Parcel
from lilong_gateway.downlink.plan import Plan
from lilong_gateway.downlink.push import Push
from lilong_gateway.ingest import Ingest


@dataclass(slots=True)
class Counters:
    """Since the start of the process: STATUS that were understood, bytes that nodes took."""

    told: int = 0
    bytes: int = 0


class Downlink:
    """What all lines share of it, in one event loop."""

    def __init__(self, settings: Settings, ingest: Ingest, clock: Clock) -> None:
        self.ledger = Ledger(ingest.offer, clock.wall_ms)
        self.plan = Plan(self.ledger, settings.at_once, settings.failures)
        self.counters = Counters()
        self._pushes: dict[bytes, Push] = {}
        self._told: dict[bytes, NodeStatus] = {}

    def heard(self, eui: bytes, firmware: str, payload: bytes, status: NodeStatus) -> None:
        """Take what a node says of itself; payload is how it said it."""
        self.counters.told += 1
        self._told[eui] = status
        self.ledger.report(eui, firmware, payload)
        self.plan.heard(eui, status)

    def begin(self, eui: bytes, parcel: Parcel) -> Push:
        """Begin to push a parcel to a node."""
        push = self._pushes[eui] = Push(parcel)
        return push

    def end(self, eui: bytes) -> None:
        """Note that nothing is on its way to a node any more."""
        self._pushes.pop(eui, None)

    def nodes_to_configure(self) -> list[bytes]:
        """Return the nodes for which new settings lie ready."""
        return self.plan.euis_to_configure()

    def nodes_on_trial(self) -> list[bytes]:
        """Return the nodes that have to find this gateway soon, to keep what they were given."""
        return self.plan.euis_awaited()

    def nodes_to_update(self) -> list[bytes]:
        """Return the nodes, of those that said what they run, that could take an update now."""
        return [eui for eui, status in self._told.items() if self.plan.may_update(eui, status)]

    def node_status(self, eui: bytes) -> dict[str, object]:
        """Return what one node runs and what it is getting, for the status file."""
        status, push = self._told.get(eui), self._pushes.get(eui)
        pushing = None
        if push is not None:
            parcel = push.parcel
            pushing = {"what": parcel.what, "sequence": parcel.sequence, "percent": push.percent}
        return {"runs": None if status is None else status.as_dict(), "push": pushing}

    def status(self) -> dict[str, object]:
        """Return the numbers of all nodes together, for the status file."""
        plan, shelf = self.plan, self.plan.shelf
        outcomes = self.ledger.outcomes
        return {
            "updates": len(shelf.updates),
            "configurations": len(shelf.configurations),
            "stopped": [update.sequence for update in shelf.updates if plan.is_stopped(update)],
            "pushing": len(self._pushes),
            "on_trial": plan.places.applied,
            "done": outcomes[DONE],
            "refused": outcomes[REFUSED],
            "failed": outcomes[FAILED],
            **asdict(self.counters),
            "troubles": list(shelf.troubles),
        }
