import logging
import os

import pytest

from lilong_gateway.keys import KeyRing
from lilong_gateway.rotation import Rotation
from lilong_protocol import events
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession

EUI = bytes(range(8))
OLD, NEW, NEWER = (bytes([number] * 16) for number in range(3))
HOUR_MS = 3_600_000


class Pair:
    """A node and a gateway's session on a perfect line, with a clock that a test moves."""

    def __init__(self, ring: KeyRing, saves: bool = True) -> None:
        self.now_ms = 0
        self.saves = saves
        self.forgets = False
        """Whether its flash takes a next key and never lets it become the current one."""
        self.asked = 0
        self.keys = NodeKeys(OLD, None, self._save)
        greeting = Greeting(1, 1, "test 1")
        self.node = NodeSession(EUI, self.keys, MemoryOutbox(7), os.urandom, greeting, b"d")
        self.session = GatewaySession(ring, os.urandom)
        self.rotation = Rotation(ring)

    def _save(self, _current: bytes, following: bytes | None) -> bool:
        self.asked += 1
        return self.saves and not (self.forgets and following is None)

    def run(self, span_ms: int) -> None:
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            self._step()
            self.now_ms += 50

    def _step(self) -> None:
        while (frame := self.node.poll(self.now_ms)) is not None:
            for event in self.session.receive(frame, self.now_ms):
                self._take(event)
        self.rotation.ask(self.session, self.now_ms)
        while (frame := self.session.poll(self.now_ms)) is not None:
            self.node.receive(frame, self.now_ms)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.HelloReceived():
                self.session.accept(event.hello, [0] * 4, 0, self.now_ms, descriptor_known=False)
            case events.Described():
                self.session.described()
            case events.Responded():
                self.rotation.answered(event.eui, event.code, self.now_ms)


def warnings(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.levelno == logging.WARNING for record in caplog.records)


def test_a_node_moves_to_the_newest_key_and_is_left_alone_then() -> None:
    pair = Pair(KeyRing({EUI: [OLD, NEW]}))
    pair.run(5000)
    assert (pair.keys.current, pair.keys.next) == (NEW, None)
    assert pair.session.key == NEW
    asked = pair.asked
    pair.run(60_000)
    assert pair.asked == asked


def test_a_node_with_one_key_is_not_asked() -> None:
    pair = Pair(KeyRing({EUI: [OLD]}))
    pair.run(60_000)
    assert pair.asked == 0


def test_a_node_that_cannot_save_is_asked_ever_more_rarely_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair = Pair(KeyRing({EUI: [OLD, NEW]}), saves=False)
    pair.run(HOUR_MS - 60_000)
    assert 5 < pair.asked < 15
    assert warnings(caplog) == 1
    pair.saves = True
    pair.run(HOUR_MS + 120_000)
    assert pair.keys.current == NEW


def test_a_key_that_is_newer_still_does_not_wait_for_the_hour() -> None:
    ring = KeyRing({EUI: [OLD, NEW]})
    pair = Pair(ring, saves=False)
    pair.run(5000)
    pair.saves = True
    ring.take(KeyRing({EUI: [OLD, NEWER]}))
    pair.run(5000)
    assert pair.keys.current == NEWER


def test_a_node_that_comes_back_on_its_old_key_costs_few_sessions() -> None:
    pair = Pair(KeyRing({EUI: [OLD, NEW]}))
    pair.forgets = True
    pair.run(600_000)
    assert pair.keys.current == OLD
    assert pair.session.key == OLD
    assert 3 < pair.node.counters["sessions"] < 40
