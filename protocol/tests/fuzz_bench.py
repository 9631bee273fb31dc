"""A gateway with a store for the fuzzer, which checks what is handed to it and what it says."""

import random
from collections.abc import Callable
from typing import Any

import link_ends as ends
from fuzz_input import NUMBERS

from lilong_protocol import events, frame, request, schedule
from lilong_protocol.cipher import FrameCipher
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.serial import wrap

OTHER_EUI = bytes(range(8, 16))
OTHER_KEY = bytes(range(32, 48))
KINDS = (
    frame.HELLO,
    frame.WELCOME,
    frame.DATA,
    frame.ACK,
    frame.TIME,
    frame.DESCRIBE,
    frame.REQUEST,
    frame.RESPONSE,
    4,
    31,
)
Note = Callable[[bytes], bytes]
"""Counts and remembers a case; returns it."""


class FindingError(Exception):
    """A session did what it must not do."""


def sealed(
    cipher: FrameCipher, kind: int, plaintext: bytes, counter: int, stream: int = 0
) -> bytes:
    """A frame under our own end's key with any counter at all."""
    head = frame.Header(kind, counter, stream).pack()
    nonce = schedule.nonce(cipher._iv, cipher._ours, counter)
    return head + cipher._sealer.seal(nonce, plaintext, head)


def counter_of(dice: random.Random, cipher: FrameCipher) -> int:
    cipher.sent += 1
    return dice.choice(NUMBERS[:10]) if dice.random() < 0.02 else cipher.sent


class Slots:
    """The durable keys of a node: only what an authentic REKEY said gets into them."""

    def __init__(self, dice: random.Random, refusals: float = 0.0) -> None:
        self.told: set[bytes] = set()
        self.keys = NodeKeys(ends.KEY, None, self._save)
        self._pair: tuple[bytes, bytes | None] = (ends.KEY, None)
        self._dice = dice
        self._refusals = refusals

    def check(self) -> None:
        if (self.keys.current, self.keys.next) != self._pair:
            raise FindingError("a key that is not durable")

    def _save(self, current: bytes, following: bytes | None) -> bool:
        was, next_was = self._pair
        staged = current == was and (following is None or following in self.told)
        if not staged and (current != next_was or following is not None):
            raise FindingError("a key that nobody gave to the node")
        if self._dice.random() < self._refusals:
            return False
        self._pair = (current, following)
        return True


class Gateway:
    """A gateway session with a store, which checks what is handed to it and what it says.

    It asks the node for the last of its keys, and forgets the others when they are of no use.
    """

    def __init__(
        self,
        dice: random.Random,
        store: dict[Any, bytes],
        genuine: dict[Any, bytes] | None,
        keys: list[bytes] | None = None,
    ) -> None:
        self.keys = [ends.KEY] if keys is None else keys
        known = {ends.EUI: self.keys, OTHER_EUI: [OTHER_KEY]}
        self.session = GatewaySession(known.get, dice.randbytes)
        self.asking: int | None = None
        self.responses = 0
        self.store = store
        self.given_up: dict[tuple[bytes, int, int], int] = {}
        self.closed = 0
        self._genuine = genuine
        self._handed: set[tuple[int, int, int]] = set()

    def receive(self, data: bytes, now_ms: int) -> None:
        closed, key = self.closed, self.session.key
        for event in self.session.receive(data, now_ms):
            self._take(event, now_ms)
        if self.session.key not in (None, key):
            self.closed = closed  # The node has moved to its next key.
        self._check_size()

    def ask(self, method: int, body: bytes) -> None:
        if self.session.request(method, body):
            if self.asking is not None:
                raise FindingError("two requests at once")
            self.asking = method

    def poll(self, now_ms: int) -> bytes | None:
        if self.session.key is not None and self.session.key != self.keys[-1]:
            self.ask(request.REKEY, self.keys[-1])
        data = self.session.poll(now_ms)
        if data is not None:
            wrap(data)
        return data

    def durable(self, eui: bytes, epoch: int, stream: int) -> int:
        position = self.given_up.get((eui, epoch, stream), 0)
        while (epoch, stream, position) in self.store:
            position += 1
        return position

    def _take(self, event: events.Event, now_ms: int) -> None:
        session = self.session
        if isinstance(event, events.HelloReceived):
            hello = event.hello
            durable = [self.durable(hello.eui, hello.epoch, stream) for stream in range(4)]
            time_ms = ends.TIME_MS + now_ms
            session.accept(hello, durable, time_ms, now_ms, descriptor_known=False)
        elif isinstance(event, events.Opened | events.Closed):
            self._take_session(event)
        elif isinstance(event, events.Responded | events.Unanswered):
            self._take_answer(event)
        elif isinstance(event, events.Described):
            self._take_description(event)
        elif isinstance(event, events.BatchReceived):
            self._take_batch(event)
        elif isinstance(event, events.Advanced):
            self.given_up[event.eui, event.epoch, event.stream] = event.first
            session.advanced(event.epoch, event.stream, event.first)

    def _take_session(self, event: events.Opened | events.Closed) -> None:
        if self._genuine is not None and event.eui != ends.EUI:
            raise FindingError("a session without its node")
        self._handed = set()
        self.asking = None
        self.closed += isinstance(event, events.Closed)

    def _take_answer(self, event: events.Responded | events.Unanswered) -> None:
        if event.method != self.asking:
            raise FindingError("an answer to what was not asked")
        self.asking = None
        self.responses += isinstance(event, events.Responded)
        if self._genuine is not None and isinstance(event, events.Responded) and event.payload:
            raise FindingError("a forged response")

    def _take_description(self, event: events.Described) -> None:
        if self._genuine is not None and event.descriptor != b"descriptor":
            raise FindingError("a forged description")
        if self.session.key == self.keys[-1]:
            self.keys[:] = self.keys[-1:]
        self.session.described()

    def _take_batch(self, event: events.BatchReceived) -> None:
        key = (event.epoch, event.stream, event.seq)
        if self._genuine is not None and self._genuine.get(key[1:]) != event.item:
            raise FindingError(f"a forged batch {key}")
        if key in self._handed:
            raise FindingError(f"a batch twice {key}")
        self._handed.add(key)
        self.store[key] = event.item
        self.session.stored(*key)

    def _check_size(self) -> None:
        session = self.session
        if len(session._candidates._waiting) > 8 or session._events:
            raise FindingError("the gateway holds too much")
        for receiver in session._session.receivers if session._session is not None else ():
            if len(receiver._stored) > 16 or len(receiver._pending) > 17:
                raise FindingError("a receiver holds too much")
