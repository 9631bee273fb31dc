"""Whoever has no key, between a node and its gateway."""

import random
from typing import Any

import link_ends as ends
from fuzz_bench import KINDS, OTHER_EUI, OTHER_KEY, FindingError, Gateway, Note, Slots
from fuzz_input import NUMBERS, mutated

from lilong_protocol import events, frame, handshake
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_session import OPEN, NodeSession

STEP_MS = 5
NEXT_KEY = bytes(range(64, 80))


class Pair:
    """A node and a gateway; `seen` is what an attacker could record."""

    def __init__(self, dice: random.Random, boot: int, seen: list[bytes]) -> None:
        self.dice = dice
        self.now_ms = 0
        self.seen = seen
        self.store: dict[Any, bytes] = {}
        self.outbox = ends.WatchedOutbox(self.store)
        greeting = Greeting(boot, 1, "fuzzed")
        self.slots = Slots(dice)
        self.node = NodeSession(
            ends.EUI, self.slots.keys, self.outbox, dice.randbytes, greeting, b"descriptor"
        )
        self.gateway = Gateway(dice, self.store, self.outbox.appended)
        self.lost = 0

    def rotate(self) -> None:
        """Give the node the other one of two keys, if it is not on the move."""
        keys = self.gateway.keys
        if len(keys) == 1:
            keys.append(NEXT_KEY if keys == [ends.KEY] else ends.KEY)
            self.slots.told = set(keys)

    def step(self, loss: float = 0.0) -> None:
        """Let both say what they have to say."""
        self.now_ms += STEP_MS
        for source, sink in ((self.node, self.to_gateway), (self.gateway, self.to_node)):
            for _ in range(4 * ends.WINDOW + 8):
                data = source.poll(self.now_ms)
                if data is None:
                    break
                self.seen.append(data)
                if self.dice.random() >= loss:
                    sink(data)
            else:
                raise FindingError("an end that never stops talking")
        self._count_lost(self.node.events())
        self.slots.check()

    def to_gateway(self, data: bytes) -> None:
        self.gateway.receive(data, self.now_ms)

    def to_node(self, data: bytes) -> None:
        happened = self.node.receive(data, self.now_ms)
        self._count_lost(happened)
        self.slots.check()
        for event in happened:
            if isinstance(event, events.Requested):
                raise FindingError("a forged request")
            if isinstance(event, events.Synchronised):
                error_ms = abs(event.epoch_ms_at_boot - ends.TIME_MS)
                if error_ms > event.uncertainty_ms + 1:
                    raise FindingError("a forged time")

    def finish(self) -> None:
        """Without an attacker everything has to arrive."""
        for _ in range(12000):
            if self.node.state == OPEN and self.node.idle and self._is_moved():
                break
            self.step()
        else:
            raise FindingError("stuck after the attack")
        if {key[1:]: item for key, item in self.store.items()} != self.outbox.appended:
            raise FindingError("the store is not what the node sent")

    def _is_moved(self) -> bool:
        return [self.slots.keys.current] == self.gateway.keys and self.slots.keys.next is None

    def _count_lost(self, happened: list[events.Event]) -> None:
        """Count the sessions that did not end because of a new key."""
        for event in happened:
            self.lost += isinstance(event, events.Lost) and event.reason != "a new key"


def recorded(dice: random.Random) -> list[bytes]:
    """Frames of earlier boots and of another node, which any stranger may hold."""
    seen: list[bytes] = []
    for boot in range(dice.randint(1, 4)):
        pair = Pair(dice, 100 + boot, seen)
        pair.outbox.append(2, b"earlier")
        if dice.random() < 0.5:
            pair.rotate()
        for _ in range(4):
            pair.step(loss=dice.choice((0.0, 0.7)))
    counts = [0] * 4
    for key in (OTHER_KEY, ends.KEY, NEXT_KEY):
        hello = handshake.Hello(OTHER_EUI, 1, 1, 1, counts, counts, bytes(8))
        seen.append(hello.pack(key, dice.randbytes(8)))
    return seen


def stranger(dice: random.Random, note: Note) -> None:
    """Whoever has no key records, repeats, turns round, damages, loses and invents frames."""
    pair = Pair(dice, 1, recorded(dice))
    loss = dice.choice((0.0, 0.0, 0.3))
    # Fewer than a session's failure budget: with none lost, one session has to last.
    for turn in range(dice.randrange(900)):
        if dice.random() < 0.1:
            pair.outbox.append(dice.randrange(4), dice.randbytes(dice.randrange(1, 40)))
        if dice.random() < 0.005:
            pair.rotate()
        if dice.random() < 0.3:
            pair.step(loss)
        if dice.random() < 0.01 and pair.node.state == OPEN:
            pair.now_ms += dice.choice((500, 1500, 5000))
        sink = pair.to_gateway if dice.random() < 0.6 else pair.to_node
        sink(note(_strange_frame(dice, pair.seen)))
        if loss == 0.0 and turn > 8 and (pair.lost or pair.gateway.closed):
            raise FindingError("a stranger ended a session")
    pair.finish()


def _strange_frame(dice: random.Random, seen: list[bytes]) -> bytes:
    choice = dice.random()
    if choice < 0.1:
        return frame.Header(frame.RESET).pack()
    if choice < 0.2:
        head = frame.Header(dice.choice(KINDS), dice.choice(NUMBERS[:10]), dice.randrange(4))
        return head.pack() + dice.randbytes(dice.randrange(60))
    data = dice.choice(seen[-20:] if dice.random() < 0.5 else seen)
    if choice < 0.5:
        return mutated(dice, data)
    return data
