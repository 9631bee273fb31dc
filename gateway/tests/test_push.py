import random
from pathlib import Path

import pytest
from pushed_node import Maker, PushedNode

from lilong_gateway.downlink import method, push
from lilong_gateway.downlink.parcel import Parcel, configuration_parcel
from lilong_gateway.downlink.push import Push
from lilong_protocol import cbor
from lilong_protocol.request import BODY_LIMIT, DONE, FAILED, OFFER, REFUSED, UNKNOWN, WRITE

FILES = {
    "a/x.mpy": bytes(range(256)) * 20,
    "b.mpy": b"y",
    "c.mpy": b"z" * 952,
    "d.mpy": b"w" * 953,
}
SETTINGS = b'{"version": 3}'


class Trouble:
    """A line and a node on which everything that may go wrong does, with a seed."""

    def __init__(self, node: PushedNode, seed: int) -> None:
        self.node = node
        self.dice = random.Random(seed)
        self.pushes = 0

    def run(self, parcel: Parcel) -> None:
        """Push until the node runs it, which STATUS would tell after a lost answer."""
        while self.node.sequence != parcel.sequence:
            self.pushes += 1
            assert self.pushes < 3000
            tried = Push(parcel)
            while (wanted := tried.request()) is not None:
                if not self.step(tried, *wanted):
                    break
            ends = {push.LATER, push.SILENT, push.APPLIED}
            assert tried.outcome is None or tried.outcome.end in ends

    def step(self, tried: Push, asked: int, body: bytes) -> bool:
        """Carry one request and its answer; False when the session is over."""
        assert len(body) <= BODY_LIMIT
        chance = self.dice.random()
        if chance < 0.02:
            return False
        if chance < 0.04:
            self.node.lose_power()
            return False
        code, payload = self.node.answer(asked, body)
        if chance < 0.06:
            return False
        if chance < 0.10 and asked == WRITE:
            code, payload = self.node.answer(asked, body)  # it was done twice
        if chance < 0.12:
            code, payload = FAILED, b"flash"
        elif chance < 0.13:
            code = None
        elif chance < 0.16 and asked in {OFFER, WRITE}:
            payload = self.wrong_offset()
        tried.answered(code, payload)
        return True

    def wrong_offset(self) -> bytes:
        """Give an offset that the node does not want, or nothing that is one."""
        rubbish = (b"", b"\xff", b"\x20", b"\xf5", cbor.encode(1 << 30), cbor.encode(0))
        return self.dice.choice(rubbish)


@pytest.mark.parametrize("seed", range(25))
def test_whatever_goes_wrong_on_the_way_the_node_ends_with_the_exact_bytes(
    tmp_path: Path, seed: int
) -> None:
    maker = Maker()
    node = PushedNode(maker.public)
    Trouble(node, seed).run(maker.update(tmp_path, 7, FILES).parcel)
    assert node.slot == FILES
    assert node.sequence == 7


def test_a_quiet_push_asks_no_more_than_it_needs(tmp_path: Path) -> None:
    maker = Maker()
    node = PushedNode(maker.public)
    parcel = maker.update(tmp_path, 7, FILES).parcel
    pushed = Push(parcel)
    percents = []
    while (wanted := pushed.request()) is not None:
        percents.append(pushed.percent)
        pushed.answered(*node.answer(*wanted))
    assert node.slot == FILES
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    writes = sum(-(-len(part.data) // 952) for part in parcel.parts)
    assert node.asked.count(OFFER) == len(parcel.parts)
    assert writes - 2 <= node.asked.count(WRITE) <= writes


def test_a_write_is_as_long_as_a_frame_can_carry() -> None:
    for offset in (0, 23, 24, 255, 256, 65_535, 65_536, 1 << 23):
        body = method.write(offset, bytes((1 << 23) + 2000))
        assert len(body) == BODY_LIMIT
        assert cbor.decode_sequence(body)[0] == offset


def test_a_push_goes_on_where_the_node_is(tmp_path: Path) -> None:
    maker = Maker()
    node = PushedNode(maker.public)
    parcel = maker.update(tmp_path, 7, FILES).parcel
    first = Push(parcel)
    for _ in range(6):
        first.answered(*node.answer(*first.request()))
    again = Push(parcel)
    while again.sent < first.sent:
        again.answered(*node.answer(*again.request()))
    assert node.asked[6:].count(WRITE) == 0


@pytest.mark.parametrize(
    ("code", "end"),
    [(REFUSED, push.REFUSED), (UNKNOWN, push.UNKNOWN), (FAILED, push.LATER), (9, push.LATER)],
)
def test_a_first_offer_that_is_not_done_ends_it_with_the_reason(code: int, end: str) -> None:
    pushed = Push(configuration_parcel(3, SETTINGS))
    pushed.answered(code, b"no \x1b[2Jroom" + b"!" * 900)
    assert pushed.outcome.end == end
    assert pushed.request() is None
    if code == REFUSED:
        assert pushed.outcome.why.startswith("no  [2Jroom!")
        assert len(pushed.outcome.why) <= 200
    pushed.answered(DONE, b"\x00")
    assert pushed.outcome.end == end


def test_a_refusal_amid_it_is_asked_once_more_from_the_beginning() -> None:
    pushed = Push(configuration_parcel(3, SETTINGS))
    for _ in range(2):
        assert pushed.request()[0] == OFFER
        pushed.answered(DONE, cbor.encode(0))
        assert pushed.request()[0] == WRITE
        pushed.answered(REFUSED, b"why")
    assert pushed.outcome == push.Outcome(push.REFUSED, "why")


def test_a_segment_that_is_refused_sends_the_manifest_again(tmp_path: Path) -> None:
    maker = Maker()
    node = PushedNode(maker.public)
    pushed = Push(maker.update(tmp_path, 7, FILES).parcel)
    while len(node.asked) < 4:
        pushed.answered(*node.answer(*pushed.request()))
    first = Push(pushed.parcel).request()
    assert pushed.request() != first
    pushed.answered(REFUSED, b"another gateway's manifest is here")
    assert pushed.request() == first


def test_a_node_that_never_moves_on_is_left_for_later() -> None:
    pushed = Push(configuration_parcel(3, SETTINGS))
    for _ in range(100):
        pushed.answered(DONE, cbor.encode(0))
    assert pushed.outcome.end == push.LATER


def test_a_refused_manifest_is_refused_and_says_why(tmp_path: Path) -> None:
    node = PushedNode(Maker().public)
    pushed = Push(Maker().update(tmp_path, 7, FILES).parcel)
    while (wanted := pushed.request()) is not None:
        pushed.answered(*node.answer(*wanted))
    assert pushed.outcome.end == push.REFUSED
    assert "not known here" in pushed.outcome.why
    assert len(node.asked) < 8
