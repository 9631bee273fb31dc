"""The two ends of a simulated line, which refuse to go on when a rule of the transfer is broken.

A simulator gives them its clock (now_ms), chance (random), line, at(delay_ms, action), wake(side).
"""

from collections.abc import Callable
from typing import Any

from lilong_protocol import events, frame, request
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession

EUI = bytes(range(8))
KEY = bytes(range(16, 32))
EPOCH = 0xFEEDBEEF
TIME_MS = 845_000_000_000
WINDOW = 16


class BrokenRuleError(Exception):
    """Something happened that must not happen on any line."""


class WatchedOutbox(MemoryOutbox):
    """Refuses to let go of anything that the store does not hold unchanged."""

    def __init__(self, store: dict[Any, bytes], capacity: int = 1 << 30) -> None:
        super().__init__(EPOCH, capacity)
        self.given_up = 0
        self.appended: dict[tuple[int, int], bytes] = {}
        self._store = store

    def append(self, stream: int, item: bytes) -> int:
        first = self.first(stream)
        seq = super().append(stream, item)
        self.given_up += self.first(stream) - first
        self.appended[stream, seq] = item
        return seq

    def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002
        for seq in range(self.first(stream), next):
            if self._store.get((EPOCH, stream, seq)) != self.appended.get((stream, seq), b"?"):
                raise BrokenRuleError(f"{stream}.{seq} was let go before it was stored")
        super().acknowledged(stream, next)


class NodeEnd:
    """A node whose flash outlives its restarts."""

    def __init__(self, simulator: Any, outbox: WatchedOutbox) -> None:
        self.outbox = outbox
        self.keys = NodeKeys(KEY)
        self.boots = 0
        self.alarms_overtaken = 0
        self._simulator = simulator
        self.alarms: set[int] = set()
        self.restart()

    def restart(self) -> None:
        self.boots += 1
        self._began_ms = int(self._simulator.now_ms)
        greeting = Greeting(self.boots, 1, "simulated")
        random_bytes = self._simulator.random.randbytes
        self.session = NodeSession(
            EUI, self.keys, self.outbox, random_bytes, greeting, b"descriptor"
        )

    def alarm(self, item: bytes) -> None:
        self.alarms.add(self.outbox.append(frame.ALARM_STREAM, item))
        self._simulator.wake(0)

    def poll(self, now_ms: int) -> bytes | None:
        data = self.session.poll(now_ms - self._began_ms)
        self.session.events()
        header = None if data is None else frame.parse_header(data)
        if header is not None and header.kind == frame.DATA:
            self._watch_alarms(header.stream)
        return data

    def _watch_alarms(self, stream: int) -> None:
        """An alarm waits for the frame that is under way, and for no other."""
        first = self.outbox.first(frame.ALARM_STREAM)
        if stream == frame.ALARM_STREAM:
            self.alarms.discard(min(self.alarms, default=-1))
        elif any(seq < first + WINDOW for seq in self.alarms if seq >= first):
            raise BrokenRuleError("an alarm had to wait for a less urgent batch")

    def receive(self, data: bytes, now_ms: int) -> None:
        self.session.receive(data, now_ms - self._began_ms)

    def due_ms(self, now_ms: int) -> int:
        return self.session.due_ms(now_ms - self._began_ms)


class GatewayEnd:
    """A gateway with a disk that takes its time and outlives restarts.

    It asks the node for the last of `keys`, once a session.
    """

    def __init__(self, simulator: Any, store: dict[Any, bytes]) -> None:
        self.store = store
        self.keys = [KEY]
        self.given_up: dict[int, int] = {}
        self.stored_bytes = 0
        self.repeated = 0
        self.starts = 0
        self._known = False
        self._simulator = simulator
        self.restart()

    def restart(self) -> None:
        self.starts += 1
        self._handed: set[tuple[int, int, int]] = set()
        self.session = GatewaySession({EUI: self.keys}.get, self._simulator.random.randbytes)
        self.session.hint()
        self._asked = False

    def poll(self, now_ms: int) -> bytes | None:
        session = self.session
        if not self._asked and session.key not in (None, self.keys[-1]):
            self._asked = session.request(request.REKEY, self.keys[-1])
        return session.poll(now_ms)

    def due_ms(self, now_ms: int) -> int:  # noqa: ARG002
        return 1000 if self._asked else 5000

    def receive(self, data: bytes, now_ms: int) -> None:
        for event in self.session.receive(data, now_ms):
            self._take(event, now_ms)
        if self.session.eui is None and frame.parse_header(data).kind != frame.HELLO:
            self.session.hint()

    def durable(self, stream: int) -> int:
        position = self.given_up.get(stream, 0)
        while (EPOCH, stream, position) in self.store:
            position += 1
        return position

    def _take(self, event: events.Event, now_ms: int) -> None:
        session = self.session
        if isinstance(event, events.HelloReceived):
            durable = [self.durable(stream) for stream in range(frame.STREAMS)]
            time_ms = TIME_MS + now_ms
            session.accept(event.hello, durable, time_ms, now_ms, descriptor_known=self._known)
        elif isinstance(event, events.Opened):
            self._handed = set()
            self._asked = False
        elif isinstance(event, events.Described):
            self._commit(session.described)
        elif isinstance(event, events.BatchReceived):
            self._take_batch(event)
        elif isinstance(event, events.Advanced):
            self.given_up[event.stream] = event.first
            self._commit(lambda: session.advanced(event.epoch, event.stream, event.first))

    def _take_batch(self, event: events.BatchReceived) -> None:
        session = self.session
        key = (event.epoch, event.stream, event.seq)
        if key in self._handed:
            raise BrokenRuleError(f"{key} was handed over twice in one session")
        self._handed.add(key)

        def store() -> None:
            if key in self.store:
                self.repeated += 1
            else:
                self.store[key] = event.item
                self.stored_bytes += len(event.item)
            session.stored(*key)

        self._commit(store)

    def _commit(self, action: Callable[[], None]) -> None:
        """Do it once it is on disk, unless the gateway restarts before that."""
        start = self.starts

        def done() -> None:
            if start == self.starts:
                action()
                self._simulator.wake(1)

        self._simulator.at(self._simulator.line.commit_ms, done)
