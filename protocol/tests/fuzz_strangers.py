"""Whoever has no key, between a node and its gateway."""

import random
from typing import Any

import link_ends as ends
from fuzz_bench import KINDS, OTHER_EUI, OTHER_KEY, FindingError, Gateway, Note
from fuzz_input import NUMBERS, mutated

from lilong_protocol import events, frame, handshake
from lilong_protocol.node_session import OPEN, Greeting, NodeSession

STEP_MS = 5


class Pair:
    """A node and a gateway; `seen` is what an attacker could record."""

    def __init__(self, dice: random.Random, boot: int, seen: list[bytes]) -> None:
        self.dice = dice
        self.now_ms = 0
        self.seen = seen
        self.store: dict[Any, bytes] = {}
        self.outbox = ends.WatchedOutbox(self.store)
        greeting = Greeting(boot, 1, "fuzzed")
        self.node = NodeSession(
            ends.EUI, ends.KEY, self.outbox, dice.randbytes, greeting, b"descriptor"
        )
        self.gateway = Gateway(dice, self.store, self.outbox.appended)

    def step(self, loss: float = 0.0) -> None:
        """Let both say what they have to say."""
        self.now_ms += STEP_MS
        for source, sink in ((self.node, self.to_gateway), (self.gateway, self.to_node)):
            for _ in range(64):
                data = source.poll(self.now_ms)
                if data is None:
                    break
                self.seen.append(data)
                if self.dice.random() >= loss:
                    sink(data)
            else:
                raise FindingError("an end that never stops talking")
        self.node.events()

    def to_gateway(self, data: bytes) -> None:
        self.gateway.receive(data, self.now_ms)

    def to_node(self, data: bytes) -> None:
        for event in self.node.receive(data, self.now_ms):
            if isinstance(event, events.Synchronised):
                error_ms = abs(event.epoch_ms_at_boot - ends.TIME_MS)
                if error_ms > event.uncertainty_ms + 1:
                    raise FindingError("a forged time")

    def finish(self) -> None:
        """Without an attacker everything has to arrive."""
        for _ in range(12000):
            if self.node.state == OPEN and self.node.idle:
                break
            self.step()
        else:
            raise FindingError("stuck after the attack")
        if {key[1:]: item for key, item in self.store.items()} != self.outbox.appended:
            raise FindingError("the store is not what the node sent")


def recorded(dice: random.Random) -> list[bytes]:
    """Frames of earlier boots and of another node, which any stranger may hold."""
    seen: list[bytes] = []
    for boot in range(dice.randint(1, 4)):
        pair = Pair(dice, 100 + boot, seen)
        pair.outbox.append(2, b"earlier")
        for _ in range(4):
            pair.step(loss=dice.choice((0.0, 0.7)))
    counts = [0] * 4
    for key in (OTHER_KEY, ends.KEY):
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
        if dice.random() < 0.3:
            pair.step(loss)
        if dice.random() < 0.01 and pair.node.state == OPEN:
            pair.now_ms += dice.choice((500, 1500, 5000))
        sink = pair.to_gateway if dice.random() < 0.6 else pair.to_node
        sink(note(_strange_frame(dice, pair.seen)))
        if loss == 0.0 and turn > 8 and (pair.node.counters["lost"] or pair.gateway.closed):
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
