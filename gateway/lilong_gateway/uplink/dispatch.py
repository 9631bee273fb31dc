"""Groups of batches -> messages on one connection, and what the broker says to them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from lilong_gateway.outbox import Outbox
from lilong_gateway.outbox_parts import Group, Part
from lilong_gateway.senml import Telemetry
from lilong_gateway.uplink.broker import Broker
from lilong_gateway.uplink.gate import Gate
from lilong_gateway.uplink.means import Means
from lilong_gateway.uplink.message import Message
from lilong_gateway.uplink.pace import Size
from lilong_gateway.uplink.packet import Answer, packet_bytes

_UNFORMATTABLE = "no message could be made of it"
_TOPICS = 64
"""Topics that the broker refuses, remembered by name."""


@dataclass(slots=True)
class Shipment:
    """What a group carries: its batches until the broker has them, its messages until the end."""

    batches: Sequence[Telemetry]
    messages: Sequence[Message] = field(default_factory=tuple)


@dataclass(slots=True)
class _Flight:
    """A group's messages that are not answered yet, and the first refusal."""

    group: Group[Shipment]
    awaited: int
    refusal: Answer | None = None


class Dispatch:
    """One connection's. moved is called when the broker has answered for a group.

    Positions that can never be delivered are added to refusals, each with the reason.
    """

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox[Shipment],
        means: Means,
        refusals: list[tuple[int, str]],
        moved: Callable[[], None],
    ) -> None:
        self.gate = Gate(broker.receive_maximum, means.replay_per_s, means.clock)
        self.size = Size(means.form.batch_limit)
        self._refusals = refusals
        self._refusing: dict[str, str] = {}
        self._spoilt: list[tuple[Group[Shipment], str]] = []
        self._broker = broker
        self._outbox = outbox
        self._form = means.form
        self._counters = means.counters
        self._clock = means.clock
        self._moved = moved

    @property
    def trouble(self) -> str:
        """Name a topic that the broker does not take now; "" for none."""
        for topic, meaning in self._refusing.items():
            return f"the broker refuses {topic}: {meaning}"
        return ""

    def send(self, part: Part, batches: Sequence[Telemetry]) -> None:
        """Give batches out and send them, at once; UplinkError."""
        positions = [batch.pos for batch in batches]
        if part is Part.BACKLOG:
            self.gate.allowance.take(len(batches), self._clock.steady_ms())
        self._encode(self._outbox.give(part, positions, Shipment(batches)))

    def repeat(self, group: Group[Shipment]) -> None:
        """Send a group again; UplinkError."""
        self._counters.repeated += len(group.positions)
        self._post(group)

    def mend(self) -> None:
        """Send otherwise, or set aside, what the broker will never take; UplinkError."""
        while self._spoilt:
            self._divide(*self._spoilt.pop())

    def say(self, messages: Sequence[Message]) -> None:
        """Send what carries no batches; UplinkError."""
        for message in messages:
            if self._broker.takes(message):
                self._launch(message, Part.LIVE, partial(self._heed, message.topic))

    def _encode(self, group: Group[Shipment]) -> None:
        batches = group.payload.batches
        begun_s = time.thread_time()
        messages = self._form.messages(batches)
        took_ms = (time.thread_time() - begun_s) * 1000
        if messages is None:
            self._divide(group, _UNFORMATTABLE)
        elif not all(self._broker.takes(message) for message in messages):
            self.size.limit(len(batches) // 2)
            self._divide(group, "longer than the broker takes")
        else:
            size_bytes = sum(packet_bytes(message) for message in messages)
            self.size.learn(len(batches), size_bytes, took_ms)
            group.payload.messages = messages
            self._outbox.weigh(group, size_bytes)
            self._post(group)

    def _post(self, group: Group[Shipment]) -> None:
        self._counters.published += len(group.positions)
        messages = group.payload.messages
        if not messages:
            self._outbox.drop(group)
            return
        flight = _Flight(group, len(messages))
        for message in messages:
            self._launch(message, group.part, partial(self._land, flight, message.topic))

    def _launch(self, message: Message, part: Part, told: Callable[[Answer], None]) -> None:
        size_bytes = packet_bytes(message)
        sent_ms = self._clock.steady_ms()

        def answered(answer: Answer) -> None:
            self.gate.answered(part, size_bytes, sent_ms)
            told(answer)

        self._broker.send(message, answered)
        self.gate.sent(part, size_bytes)
        self._counters.messages += 1
        self._counters.bytes += size_bytes

    def _land(self, flight: _Flight, topic: str, answer: Answer) -> None:
        self._heed(topic, answer)
        flight.awaited -= 1
        if answer.refused and flight.refusal is None:
            flight.refusal = answer
        if flight.awaited == 0:
            self._settle(flight.group, flight.refusal)

    def _settle(self, group: Group[Shipment], refusal: Answer | None) -> None:
        if refusal is None:
            group.payload.batches = ()
            self._outbox.acknowledged(group, self._clock.steady_ms())
        elif refusal.final and group.payload.batches:
            self._spoilt.append((group, f"the broker refuses it: {refusal.meaning}"))
        else:
            self._counters.held += 1
            self._outbox.hold(group, self._clock.steady_ms())
        self._moved()

    def _heed(self, topic: str, answer: Answer) -> None:
        if not answer.refused:
            self._refusing.pop(topic, None)
        elif len(self._refusing) < _TOPICS:
            self._refusing[topic] = answer.meaning

    def _divide(self, group: Group[Shipment], why: str) -> None:
        """Send what cannot go together in smaller groups; a single batch is set aside."""
        batches = group.payload.batches
        if len(batches) > 1:
            middle = len(batches) // 2
            halves = Shipment(batches[:middle]), Shipment(batches[middle:])
            self.say(self._form.begin())  # what it believes to have told may not have gone
            for smaller in self._outbox.divide(group, halves):
                self._encode(smaller)
            return
        self._counters.refused += 1
        self._counters.unformattable += why == _UNFORMATTABLE
        self._refusals.append((group.positions[0], why))
        self._outbox.drop(group)
