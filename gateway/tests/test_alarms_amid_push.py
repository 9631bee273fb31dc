import asyncio
import os
from pathlib import Path

from pushed_node import Maker, PushedNode

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Downlink as Settings
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.shelf import Shelf
from lilong_gateway.downlink.visit import Visit
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.store import Store
from lilong_protocol import events
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession
from lilong_protocol.serial import FRAME_LIMIT, wrap

EUI, KEY = bytes(range(8)), bytes(16)
BYTES_PER_MS = 11.52
"""Of a line of 115200 baud."""

LONGEST_MS = FRAME_LIMIT / BYTES_PER_MS + 2
FILES = {"a.mpy": os.urandom(120_000)}
COMMIT_MS = 5


class Line:
    """A node and a gateway on a line with a speed, by a clock that goes in steps of 1 ms."""

    def __init__(self, downlink: Downlink, pushed: PushedNode) -> None:
        self.now_ms = 0
        self.outbox = MemoryOutbox(7)
        self.arrived_ms: dict[int, int] = {}
        self.acknowledged_ms: dict[int, int] = {}
        self._made_ms: dict[int, int] = {}
        self._pushed = pushed
        greeting = Greeting(1, 1, "test 1")
        self.node = NodeSession(EUI, NodeKeys(KEY), self.outbox, os.urandom, greeting, b"d")
        self.session = GatewaySession({EUI: [KEY]}.get, os.urandom)
        self._visit = Visit(EUI, "test 1", downlink)
        self._free_ms = [0.0, 0.0]
        self._todo: list[tuple[float, object]] = []

    def run(self, span_ms: int, until=lambda: False) -> None:
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms and not until():
            self._step()
            self.now_ms += 1

    def alarm(self) -> None:
        self._made_ms[self.outbox.append(0, b"alarm" * 4)] = self.now_ms

    def _step(self) -> None:
        due = [action for at_ms, action in self._todo if at_ms <= self.now_ms]
        self._todo = [entry for entry in self._todo if entry[0] > self.now_ms]
        for action in due:
            action()
        self._visit.ask(self.session, self.now_ms)
        self._carry(0, self.node, self._reach_gateway)
        self._carry(1, self.session, self._reach_node)

    def _carry(self, side: int, end, arrive) -> None:
        if self._free_ms[side] > self.now_ms:
            return
        frame = end.poll(self.now_ms)
        if frame is not None:
            self._free_ms[side] = self.now_ms + len(wrap(frame)) / BYTES_PER_MS
            self._todo.append((self._free_ms[side], lambda: arrive(frame)))

    def _reach_node(self, frame: bytes) -> None:
        for event in self.node.receive(frame, self.now_ms):
            if isinstance(event, events.Requested):
                self.node.respond(event.number, *self._pushed.answer(event.method, event.body))
            elif isinstance(event, events.Acknowledged) and event.stream == 0:
                for seq in range(event.next):
                    self.acknowledged_ms.setdefault(seq, self.now_ms - self._made_ms[seq])

    def _reach_gateway(self, frame: bytes) -> None:
        for event in self.session.receive(frame, self.now_ms):
            match event:
                case events.HelloReceived():
                    self.session.accept(
                        event.hello, [0] * 4, 0, self.now_ms, descriptor_known=False
                    )
                case events.Described():
                    self.session.described()
                case events.BatchReceived():
                    self.arrived_ms[event.seq] = self.now_ms - self._made_ms[event.seq]
                    self._commit(event)
                case events.Responded():
                    self._visit.answered(event.code, event.payload, self.now_ms)

    def _commit(self, event) -> None:
        def stored() -> None:
            self.session.stored(event.epoch, event.stream, event.seq)

        self._todo.append((self.now_ms + COMMIT_MS, stored))


def alarms_on(folder: Path, pushes: bool) -> tuple[Line, PushedNode, int]:
    """Raise an alarm every 173 ms while an update of 120 kB goes down, or nothing does."""
    maker = Maker()
    folder.mkdir()
    backoff = Backoff(lambda: 0.5, 0.05, 0.2)
    ingest = Ingest(Store(folder), asyncio.Event(), backoff)
    downlink = Downlink(Settings(), ingest, Clock())
    pushed = PushedNode(maker.public)
    line = Line(downlink, pushed)
    line.run(2000)
    if pushes:
        downlink.plan.shelf = Shelf((maker.update(folder, 7, FILES),))
    began_ms = line.now_ms
    for _ in range(40):
        line.alarm()
        line.run(173)
    line.run(20_000, lambda: pushed.sequence == 7 or not pushes)
    return line, pushed, line.now_ms - began_ms


async def test_a_push_delays_no_alarm_and_its_acknowledgement_by_one_frame_at_most(
    tmp_path: Path,
) -> None:
    quiet, _, _ = alarms_on(tmp_path / "quiet", pushes=False)
    busy, pushed, took_ms = alarms_on(tmp_path / "busy", pushes=True)
    assert pushed.slot == FILES
    assert len(busy.arrived_ms) == len(busy.acknowledged_ms) == len(quiet.arrived_ms) == 40
    response_ms = 40 / BYTES_PER_MS
    alarm_ms, quiet_ms = max(busy.arrived_ms.values()), max(quiet.arrived_ms.values())
    assert alarm_ms <= quiet_ms + response_ms
    ack_ms, quiet_ack_ms = max(busy.acknowledged_ms.values()), max(quiet.acknowledged_ms.values())
    assert ack_ms <= quiet_ack_ms + LONGEST_MS
    share = sum(map(len, FILES.values())) / took_ms / BYTES_PER_MS
    assert share > 0.8
    print(f"alarm {quiet_ms} -> {alarm_ms} ms, acknowledged {quiet_ack_ms} -> {ack_ms} ms")
    print(f"payload {share:.0%} of the line")
