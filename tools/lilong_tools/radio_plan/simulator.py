"""The gateway's own plan of visits in virtual time, on a radio that is drawn by chance."""

from dataclasses import dataclass, field
from functools import partial
from random import Random

from lilong_gateway.radio.itinerary import Itinerary, Outcome
from lilong_gateway.radio.slots import Visit
from lilong_protocol.advert import Told
from lilong_tools.radio_plan.agenda import Agenda
from lilong_tools.radio_plan.air import Air
from lilong_tools.radio_plan.book import Book
from lilong_tools.radio_plan.tally import Tally

_AGAIN_MS = 5_000
"""So often an advertisement that tells nothing new is passed on; more of them change nothing."""

_LOOK_MS = 500
_CHUNK = 64
"""So many batches go over before the visit is asked whether it should leave."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One gateway and its nodes. Every report_s a node makes a batch."""

    nodes: int
    slots: int = 5
    adapters: int = 1
    report_s: float = 60
    alarms_per_h: float = 0
    """Of all nodes together."""

    passive: bool = False
    visit_every_s: float = 600
    bystanders: int = 0
    """Nodes in earshot that other gateways visit: they fill the air."""


@dataclass(slots=True)
class _Node:
    number: int
    rssi_dbm: dict[str, int]
    waiting: list[int] = field(default_factory=list)
    """When each batch was made."""

    alarm_ms: int | None = None
    alarm_known: bool = False
    connected: bool = False
    visits: int = 0
    expected: set[str] = field(default_factory=set)
    """The adapters that are yet to hear its news."""

    @property
    def eui(self) -> bytes:
        return self.number.to_bytes(8, "big")

    def told(self, now_ms: int) -> Told:
        """Give what its advertisement says, as a gateway reads it."""
        age_s = (now_ms - self.waiting[0]) // 1000 if self.waiting else 0
        return Told(
            alarm=self.alarm_ms is not None,
            raised=self.alarm_ms is not None,
            device_class=2,
            waiting=_told(len(self.waiting)),
            age_s=_told(age_s),
            supply_mv=None,
            channel=0,
            seq=0,
        )


class Simulator:
    """One course of events; all chance comes from the seed. Counts from from_ms on."""

    def __init__(self, setup: Setup, book: Book, seed: int = 1, from_ms: float = 0) -> None:
        self.setup = setup
        self.tally = Tally(from_ms)
        self.agenda = Agenda()
        self._random = Random(seed)  # noqa: S311 - a simulation
        crowd = setup.nodes + setup.bystanders
        self.air = Air(book, crowd, self._random, passive=setup.passive)
        adapters = [f"hci{number}" for number in range(setup.adapters)]
        self._calling_until_ms = dict.fromkeys(adapters, 0)
        every_ms = round(setup.visit_every_s * 1000)
        self._plan = Itinerary(adapters, setup.slots, self._random.random, every_ms)
        self._nodes = [self._node(number) for number in range(setup.nodes)]
        for node in self._nodes:
            self._keep_advertising(node)

    def fill(self, batches: int) -> None:
        """Let every node have so many batches now."""
        for node in self._nodes:
            node.waiting.extend([self.agenda.now_ms] * batches)

    def make_reports(self) -> None:
        """Let every node make its batches from now on, and some of them raise alarms."""
        for node in self._nodes:
            first_ms = self._random.random() * self.setup.report_s * 1000
            self.agenda.after(first_ms, partial(self._report, node))
        if self.setup.alarms_per_h:
            self.agenda.after(self._until_alarm_ms(), self._raise_alarm)

    @property
    def waiting(self) -> int:
        """How many batches wait on the nodes."""
        return sum(len(node.waiting) for node in self._nodes)

    @property
    def unvisited(self) -> int:
        """How many nodes were not visited yet."""
        return sum(not node.visits for node in self._nodes)

    def _node(self, number: int) -> _Node:
        rssi_dbm = {adapter: self._random.randint(-90, -50) for adapter in self._calling_until_ms}
        return _Node(number, rssi_dbm)

    def _until_alarm_ms(self) -> float:
        return self._random.expovariate(self.setup.alarms_per_h) * 3_600_000

    def _report(self, node: _Node) -> None:
        node.waiting.append(self.agenda.now_ms)
        self._advertise(node)
        self.agenda.after(self.setup.report_s * 1000, partial(self._report, node))

    def _raise_alarm(self) -> None:
        node = self._random.choice(self._nodes)
        if node.alarm_ms is None:
            node.alarm_ms, node.alarm_known = self.agenda.now_ms, False
            node.waiting.append(self.agenda.now_ms)
            node.expected.clear()
            self._advertise(node)
        self.agenda.after(self._until_alarm_ms(), self._raise_alarm)

    def _keep_advertising(self, node: _Node) -> None:
        self._advertise(node)
        self.agenda.after(_AGAIN_MS, partial(self._keep_advertising, node))

    def _advertise(self, node: _Node) -> None:
        """Let each adapter hear it once more; an alarm does not wait for what is on its way."""
        for adapter in self._calling_until_ms:
            if not node.connected and adapter not in node.expected:
                node.expected.add(adapter)
                self._expect(node, adapter, 0)

    def _expect(self, node: _Node, adapter: str, pause_ms: float) -> None:
        alarm = node.alarm_ms is not None
        until_ms = pause_ms + self.air.until_heard_ms(self._plan.used(adapter), alarm=alarm)
        self.agenda.after(until_ms, partial(self._hear, node, adapter))

    def _hear(self, node: _Node, adapter: str) -> None:
        now_ms = self.agenda.now_ms
        if node.connected:
            node.expected.discard(adapter)
            return
        deaf_ms = self._calling_until_ms[adapter] - now_ms
        if deaf_ms > 0:
            self._expect(node, adapter, deaf_ms)
            return
        node.expected.discard(adapter)
        self._know(node)
        rssi_dbm = node.rssi_dbm[adapter]
        if self._plan.heard(adapter, node.eui, adapter, rssi_dbm, node.told(now_ms), now_ms):
            self._visit()

    def _know(self, node: _Node) -> None:
        if node.alarm_ms is not None and not node.alarm_known:
            node.alarm_known = True
            self.tally.known(node.alarm_ms, self.agenda.now_ms)

    def _visit(self) -> None:
        now_ms = self.agenda.now_ms
        while (visit := self._plan.next_visit(now_ms)) is not None:
            self._begin(visit)
        due_ms = self._plan.due_ms(now_ms)
        if due_ms is not None:
            self.agenda.after(due_ms - now_ms, self._visit_if_due)

    def _visit_if_due(self) -> None:
        visit = self._plan.next_visit(self.agenda.now_ms)
        if visit is not None:
            self._begin(visit)
            self._visit()

    def _begin(self, visit: Visit) -> None:
        node = self._nodes[int.from_bytes(visit.eui, "big")]
        attempt = self.air.attempt(alarm=node.alarm_ms is not None)
        self._calling_until_ms[visit.adapter] = self.agenda.now_ms + round(attempt.calling_ms)
        if not attempt.works:
            self._call_in_vain(visit)
            return
        self.agenda.after(attempt.calling_ms, partial(_connect, node))
        self.agenda.after(
            attempt.calling_ms + attempt.asking_ms, partial(self._connected, visit, node)
        )

    def _call_in_vain(self, visit: Visit) -> None:
        now_ms = self.agenda.now_ms
        left_ms = self._calling_until_ms[visit.adapter] - now_ms
        if left_ms > 0 and not self._plan.should_leave(visit, now_ms):
            self.agenda.after(min(left_ms, _LOOK_MS), partial(self._call_in_vain, visit))
            return
        self._calling_until_ms[visit.adapter] = now_ms
        self.tally.failed(visit.began_ms, now_ms)
        self._plan.ended(visit, Outcome.FAILED, now_ms)
        self._visit()

    def _connected(self, visit: Visit, node: _Node) -> None:
        self.tally.connected(visit.began_ms, self.agenda.now_ms)
        self._plan.connected(visit)
        self.agenda.after(self.air.handshake_ms(), partial(self._serve, visit, node))
        self._visit()

    def _serve(self, visit: Visit, node: _Node) -> None:
        batches = min(_CHUNK, len(node.waiting))
        if not batches or self._plan.should_leave(visit, self.agenda.now_ms):
            self.agenda.after(self.air.farewell_ms(), partial(self._end, visit, node))
            return
        self.agenda.after(
            self.air.transfer_ms(batches), partial(self._deliver, visit, node, batches)
        )

    def _deliver(self, visit: Visit, node: _Node, batches: int) -> None:
        now_ms = self.agenda.now_ms
        if node.alarm_ms is not None:
            self._know(node)
            self.tally.confirmed(node.alarm_ms, now_ms)
            node.alarm_ms = None
        for made_ms in node.waiting[:batches]:
            self.tally.delivered(made_ms, now_ms)
        del node.waiting[:batches]
        self._serve(visit, node)

    def _end(self, visit: Visit, node: _Node) -> None:
        now_ms = self.agenda.now_ms
        node.connected = False
        node.visits += 1
        self.tally.visited(visit.began_ms, now_ms)
        self._plan.ended(visit, Outcome.SESSION, now_ms, drained=not node.waiting)
        self._advertise(node)
        self._visit()


def _connect(node: _Node) -> None:
    node.connected = True


def _told(number: int) -> int:
    """Give the lower bound that an advertisement leaves of a number."""
    return 1 << min(15, number.bit_length()) - 1 if number else 0
