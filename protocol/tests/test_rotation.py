import importlib
import pathlib
import random
import sys
import tracemalloc

import pytest

from lilong_protocol import cbor, events, frame, request
from lilong_protocol.errors import RangeError
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import CLOSED, DESCRIBING, GREETING, OPEN, NodeSession

sys.path.insert(0, str(pathlib.Path(__file__).parent))
bench = importlib.import_module("check_session")
hostile = importlib.import_module("hostile_bench")
simulator = importlib.import_module("link_simulator")

OLD, NEW, LATER = bench.KEY, bytes(range(64, 80)), bytes(range(80, 96))
EPOCH = 9
DELAY_MS = 7
ASK_MS = 45
AGAIN_MS = 2000
BATCHES = 40
END_MS = 300_000
FRAME_FAULTS = ("lost", "doubled") + tuple(
    f"{end} restarted {when}"
    for end in ("node", "gateway", "both")
    for when in ("before", "after")
)
SAVE_FAULTS = ("refused", "cut before", "cut after")


class PowerCutError(Exception):
    """The node's supply fails in the middle of what it does."""


class Flash:
    """What a node still has after a reset; `faults` says what becomes of each save."""

    def __init__(self, faults) -> None:
        self.pair = (OLD, None)
        self.outbox = MemoryOutbox(EPOCH)
        self.boots = self.saves = 0
        self._faults = faults

    def save(self, current: bytes, following: bytes | None) -> bool:
        fault = self._faults.get(("save", self.saves))
        self.saves += 1
        if fault == "refused":
            return False
        if fault == "cut before":
            raise PowerCutError
        assert (current, following) != self.pair
        assert current == self.pair[0] or (current, following) == (self.pair[1], None)
        self.pair = (current, following)
        if fault == "cut after":
            raise PowerCutError
        return True

    def boot(self) -> NodeSession:
        self.boots += 1
        keys = NodeKeys(*self.pair, self.save)
        greeting = Greeting(self.boots, 1, "check")
        dice = bench.Random(self.boots)
        return NodeSession(bench.EUI, keys, self.outbox, dice, greeting, b"descriptor")


class Driver:
    """A gateway with a store and keys that outlive it; it asks for the newest key when it can."""

    def __init__(self, keys: list[bytes]) -> None:
        self.keys = keys
        self.store = {}
        self.given_up = []
        self.starts = 0
        self.restart(0)

    def restart(self, now_ms: int) -> None:
        self.starts += 1
        self.session = GatewaySession(lambda _: self.keys, bench.Random(1000 + self.starts))
        self.session.hint()
        self._hint_ms = now_ms
        self._ask_ms = ASK_MS

    def poll(self, now_ms: int) -> bytes | None:
        session = self.session
        if session.eui is None and now_ms - self._hint_ms >= 5000:
            self._hint_ms = now_ms
            session.hint()
        due = self._ask_ms is not None and now_ms >= self._ask_ms
        if due and session.key != self.keys[-1] and session.request(request.REKEY, self.keys[-1]):
            self._ask_ms = None
        return session.poll(now_ms)

    def receive(self, data: bytes, now_ms: int) -> None:
        for event in self.session.receive(data, now_ms):
            self._take(event, now_ms)

    def _take(self, event: events.Event, now_ms: int) -> None:
        session = self.session
        if isinstance(event, events.HelloReceived):
            durable = [self._durable(stream) for stream in range(frame.STREAMS)]
            session.accept(event.hello, durable, now_ms, now_ms, descriptor_known=False)
        elif isinstance(event, events.Opened):
            self._ask_ms = ASK_MS
        elif isinstance(event, events.Described):
            if session.key == self.keys[-1]:
                self.keys = self.keys[-1:]
            session.described()
        elif isinstance(event, events.BatchReceived):
            place = (event.epoch, event.stream, event.seq)
            assert self.store.setdefault(place, event.item) == event.item
            session.stored(*place)
        elif isinstance(event, events.Advanced):
            self.given_up.append(event)
            session.advanced(event.epoch, event.stream, event.first)
        elif isinstance(event, events.Unanswered) or (
            isinstance(event, events.Responded) and event.code != request.DONE
        ):
            self._ask_ms = now_ms + AGAIN_MS

    def _durable(self, stream: int) -> int:
        position = 0
        while (EPOCH, stream, position) in self.store:
            position += 1
        return position


class Rig:
    """A node and a gateway on a line with a virtual clock; frames and saves meet their faults."""

    def __init__(self, faults=None, keys=(OLD, NEW)) -> None:
        self.faults = faults or {}
        self.now_ms = 0
        self.flash = Flash(self.faults)
        self.gateway = Driver(list(keys))
        self.appended = {}
        self.arrived = 0
        self._line = []
        self.restart_node()

    def restart_node(self) -> None:
        self._began_ms = self.now_ms
        self.node = self.flash.boot()

    def append(self) -> None:
        number = len(self.appended)
        stream = number % frame.STREAMS
        item = b"item" + bytes([number])
        self.appended[EPOCH, stream, self.flash.outbox.append(stream, item)] = item

    def is_done(self) -> bool:
        """Whether all batches are stored, the node knows it, and it is on the newest key alone."""
        return (
            len(self.appended) >= BATCHES
            and self.node.idle
            and self.flash.pair == (self.gateway.session.key, None)
            and self.gateway.keys == [self.flash.pair[0]]
            and not self._line
        )

    def run(self) -> "Rig":
        while not self.is_done():
            assert self.now_ms < END_MS, "stuck"
            if len(self.appended) < BATCHES and self.now_ms >= 3 * len(self.appended):
                self.append()
            self._let_speak()
            self._let_pass()
        return self

    def _let_speak(self) -> None:
        for source, sink in ((self.node, "gateway"), (self.gateway, "node")):
            start_ms = self._began_ms if sink == "gateway" else 0
            while (data := source.poll(self.now_ms - start_ms)) is not None:
                self._line.append((self.now_ms + DELAY_MS, sink, data))
        self.node.events()

    def _let_pass(self) -> None:
        next_ms = self.now_ms + max(1, self.node.due_ms(self.now_ms - self._began_ms))
        next_ms = min(next_ms, self.now_ms + 250)
        if len(self.appended) < BATCHES:
            next_ms = min(next_ms, max(self.now_ms + 1, 3 * len(self.appended)))
        if self._line:
            next_ms = min(next_ms, self._line[0][0])
        self.now_ms = next_ms
        if self._line and self._line[0][0] <= self.now_ms:
            _, sink, data = self._line.pop(0)
            self._arrive(sink, data)

    def _arrive(self, sink: str, data: bytes) -> None:
        fault = self.faults.get(("frame", self.arrived), "")
        self.arrived += 1
        if fault.endswith(" before"):
            self._restart(fault)
        for _ in range({"lost": 0, "doubled": 2}.get(fault, 1)):
            self._hand_over(sink, data)
        if fault.endswith(" after"):
            self._restart(fault)

    def _restart(self, fault: str) -> None:
        if fault.startswith(("node", "both")):
            self.restart_node()
        if fault.startswith(("gateway", "both")):
            self.gateway.restart(self.now_ms)

    def _hand_over(self, sink: str, data: bytes) -> None:
        if sink == "gateway":
            self.gateway.receive(data, self.now_ms)
            return
        try:
            self.node.receive(data, self.now_ms - self._began_ms)
        except PowerCutError:
            self.restart_node()


def assert_moved(faults) -> Rig:
    rig = Rig(faults).run()
    assert rig.flash.pair == (NEW, None)
    assert rig.gateway.keys == [NEW]
    assert rig.node.state == OPEN
    rig.gateway.restart(rig.now_ms)
    rig.append()
    rig.run()
    assert rig.gateway.store == rig.appended
    assert not rig.gateway.given_up
    return rig


@pytest.fixture(scope="module")
def frames() -> int:
    """How many frames a rotation takes that nothing disturbs."""
    return Rig().run().arrived


def test_the_rotation_that_is_disturbed_is_a_whole_one() -> None:
    rig = Rig()
    kinds, sessions = [], []
    arrive = rig._arrive

    def tap(sink: str, data: bytes) -> None:
        kinds.append(frame.parse_header(data).kind)
        if kinds[-1] == frame.REQUEST:
            held = rig.flash.outbox
            sessions.append(
                [stream for stream in range(4) if held.first(stream) < held.next(stream)]
            )
        arrive(sink, data)

    rig._arrive = tap
    rig.run()
    assert sessions == [[0, 1, 2, 3]]
    assert kinds.count(frame.REQUEST) == kinds.count(frame.RESPONSE) == 1
    assert kinds.count(frame.DESCRIBE) == 2
    assert kinds.count(frame.DATA) >= BATCHES
    assert rig.flash.saves == 2


@pytest.mark.parametrize("fault", FRAME_FAULTS)
def test_a_node_moves_whatever_becomes_of_any_one_frame(fault: str, frames: int) -> None:
    for at in range(frames):
        rig = assert_moved({("frame", at): fault})
        assert rig.flash.boots + rig.gateway.starts == 3 + {"n": 1, "g": 1, "b": 2}.get(
            fault[0], 0
        )


@pytest.mark.parametrize("fault", SAVE_FAULTS)
@pytest.mark.parametrize("at", range(2))
def test_a_node_moves_whatever_becomes_of_any_save(at: int, fault: str) -> None:
    rig = assert_moved({("save", at): fault})
    assert rig.flash.boots == 1 + (fault != "refused")
    assert rig.flash.saves == 2 + (fault != "cut after")


@pytest.mark.parametrize("seed", range(4))
def test_a_node_moves_whatever_pair_of_faults_meets_it(seed: int, frames: int) -> None:
    dice = random.Random(seed)
    for number in range(60):
        faults = {("frame", at): dice.choice(FRAME_FAULTS) for at in dice.sample(range(frames), 2)}
        if number % 3 == 0:
            faults.popitem()
            faults["save", dice.randrange(2)] = dice.choice(SAVE_FAULTS)
        elif number % 3 == 1:
            faults = {("save", at): dice.choice(SAVE_FAULTS) for at in dice.sample(range(3), 2)}
        assert_moved(faults)


def test_a_rig_sees_a_node_that_forgets_its_old_key_too_early() -> None:
    rig = Rig()
    rig.gateway.keys = [OLD]
    rig.flash.pair = (NEW, None)
    rig.restart_node()
    with pytest.raises(AssertionError, match="stuck"):
        rig.run()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "line",
    [
        simulator.Line(),
        simulator.Line(loss=0.2),
        simulator.Line(bytes_per_s=1200.0, delay_ms=300.0),
        simulator.Line(bytes_per_s=1200.0, delay_ms=1300.0),
        simulator.Line(loss=0.1, duplicated=0.1, overtaken=0.2),
    ],
)
def test_a_node_moves_on_any_line_in_a_few_sessions(line, seed: int) -> None:
    link = simulator.Link(line, seed)
    for number in range(40):
        link.outbox.append(number % 4, bytes([number]) * 100)
    link.gateway.keys.append(NEW)

    def is_moved() -> bool:
        return link.node.keys.current == NEW and link.is_delivered()

    assert link.simulator.run(120_000, is_moved)
    assert link.node.keys.next is None
    assert link.node.session.counters["sessions"] <= 5


# A node in the middle of it


def node_with(current: bytes, following: bytes | None, save=None, outbox=None):
    keys = NodeKeys(current, following) if save is None else NodeKeys(current, following, save)
    outbox = hostile.filled(3) if outbox is None else outbox
    greeting = Greeting(1, 1, "check")
    node = NodeSession(bench.EUI, keys, outbox, bench.Random(1), greeting, b"descriptor")
    return node, keys


def gateway_with(*keys: bytes, seed: int = 2):
    return bench.Gateway({bench.EUI: list(keys)}, seed)


def rekey(node, gateway, key: bytes, start_ms: int) -> list[int]:
    """Codes of the responses to one REKEY."""
    gateway.seen.clear()
    assert gateway.session.request(request.REKEY, key)
    bench.exchange(node, gateway, start_ms, 4000)
    return [event.code for event in hostile.kinds(gateway.seen, events.Responded)]


@pytest.mark.parametrize("known", [OLD, NEW])
def test_a_node_between_two_keys_is_served_by_a_gateway_with_one(known: bytes) -> None:
    node, keys = node_with(OLD, NEW)
    gateway = gateway_with(known)
    bench.exchange(node, gateway, 0, 2000)
    assert len(gateway.store) == 3
    assert gateway.session.key == known
    assert (keys.current, keys.next) == ((OLD, NEW) if known == OLD else (NEW, None))


def test_a_gateway_without_the_new_key_serves_a_node_again_and_again() -> None:
    node, keys = node_with(OLD, NEW)
    for start in range(6):
        gateway = gateway_with(OLD, seed=start)
        gateway.session.hint()
        bench.exchange(node, gateway, 5000 * start, 5000)
        assert gateway.session.eui == bench.EUI
    assert node.counters["sessions"] == 6
    assert (keys.current, keys.next) == (OLD, NEW)


def test_of_two_next_keys_the_later_one_wins() -> None:
    node, keys = node_with(OLD, None)
    gateway = gateway_with(OLD)
    bench.exchange(node, gateway, 0, 1000)
    assert rekey(node, gateway, NEW, 1000) == [request.DONE]
    assert node.state == OPEN
    assert rekey(node, gateway, LATER, 5000) == [request.DONE]
    assert (keys.current, keys.next) == (OLD, LATER)
    moved = gateway_with(OLD, NEW, LATER, seed=3)
    moved.session.hint()
    bench.exchange(node, moved, 20000, 5000)
    assert moved.session.key == keys.current == LATER
    assert keys.next is None


def test_the_key_in_force_empties_the_slot_and_the_session_goes_on() -> None:
    node, keys = node_with(OLD, NEW)
    gateway = gateway_with(OLD)
    bench.exchange(node, gateway, 0, 2000)
    assert rekey(node, gateway, OLD, 2000) == [request.DONE]
    assert (keys.current, keys.next) == (OLD, None)
    assert node.counters["sessions"] == 1


@pytest.mark.parametrize("size", [0, 1, 15, 17, 32, 960])
def test_a_key_of_another_length_is_refused_and_changes_nothing(size: int) -> None:
    saved = []
    node, keys = node_with(OLD, None, lambda *pair: saved.append(pair) or True)
    gateway = gateway_with(OLD)
    bench.exchange(node, gateway, 0, 1000)
    assert rekey(node, gateway, bytes(size), 1000) == [request.REFUSED]
    assert not saved
    assert (keys.current, keys.next) == (OLD, None)
    assert node.counters["sessions"] == 1


def test_a_key_that_flash_refuses_is_counted_and_the_session_goes_on() -> None:
    node, keys = node_with(OLD, None, lambda *_: False)
    gateway = gateway_with(OLD)
    bench.exchange(node, gateway, 0, 1000)
    assert rekey(node, gateway, NEW, 1000) == [request.FAILED]
    assert (keys.current, keys.next) == (OLD, None)
    assert (node.counters["sessions"], node.counters["unsaved"]) == (1, 1)


def test_a_node_whose_flash_refuses_its_new_key_asks_ever_more_rarely() -> None:
    node, keys = node_with(OLD, NEW, lambda *_: False)
    gateway = gateway_with(NEW)
    bench.exchange(node, gateway, 0, 120_000)
    assert keys.current == OLD
    assert 5 <= node.counters["unsaved"] <= 12
    assert not gateway.store


def test_a_key_that_flash_refuses_at_its_proof_stays_next_and_the_old_one_serves() -> None:
    node, keys = node_with(OLD, NEW, lambda *_: False)
    gateway = gateway_with(OLD, NEW)
    bench.exchange(node, gateway, 0, 5000)
    assert node.state == OPEN
    assert gateway.session.key == OLD
    assert (keys.current, keys.next) == (OLD, NEW)
    assert len(gateway.store) == 3


def test_both_keys_are_given_the_same_wait() -> None:
    node, _ = node_with(OLD, NEW)
    said_ms = [now_ms for now_ms in range(0, 60000, 5) if hostile.polled(node, now_ms)]
    gaps = [later - earlier for earlier, later in zip(said_ms, said_ms[1:], strict=False)]
    for at, least in enumerate((500, 500, 1000, 1000, 2000, 2000, 4000, 4000, 8000)):
        assert least <= gaps[at] <= 5 + least * 5 // 4


def test_a_recorded_welcome_of_the_old_key_does_not_bring_it_back() -> None:
    recorded = []
    node, keys = node_with(OLD, None)
    gateway = gateway_with(OLD, NEW)
    poll = gateway.session.poll

    def tap(now_ms: int) -> bytes | None:
        data = poll(now_ms)
        recorded.extend([] if data is None else [data])
        return data

    gateway.session.poll = tap
    bench.exchange(node, gateway, 0, 1000)
    assert rekey(node, gateway, NEW, 1000) == [request.DONE]
    assert keys.current == NEW
    again, _ = node_with(NEW, None)
    for now_ms in range(0, 60000, 3000):
        hostile.polled(again, now_ms)
        for data in recorded:
            assert not again.receive(data, now_ms)
            assert not node.receive(data, 5000 + now_ms)
    assert again.state == GREETING
    assert (keys.current, keys.next) == (NEW, None)


def test_a_hello_answered_under_a_key_that_was_withdrawn_opens_no_session() -> None:
    keys = [OLD, NEW]
    gateway = bench.Gateway({bench.EUI: keys})
    node, _ = node_with(OLD, None)
    gateway.receive(node.poll(0), 0)
    node.receive(gateway.session.poll(0), 0)
    keys.remove(OLD)
    gateway.receive(node.poll(0), 0)
    assert gateway.session.eui is None
    assert not hostile.kinds(gateway.seen, events.Opened)


# Requests


class Asked:
    """A node in a session with a gateway that seals what it likes."""

    def __init__(self, **about) -> None:
        self.node, self.keys = node_with(OLD, None, **about)
        self.rogue = hostile.RogueGateway(self.node)
        self.rogue.acknowledge(2, 0, 0, 16)
        self.said()

    def ask(self, *fields):
        return self.node.receive(self.seal(*fields), 0)

    def seal(self, *fields) -> bytes:
        return self.rogue.cipher.seal(frame.REQUEST, cbor.encode_sequence(fields))

    def said(self) -> list[bytes]:
        return [
            data
            for data in hostile.polled(self.node, 0)
            if frame.parse_header(data).kind == frame.RESPONSE
        ]


def test_a_request_is_done_once_and_answered_as_often_as_it_comes() -> None:
    asked = Asked()
    (event,) = asked.ask(0, 200, b"do it")
    assert (event.number, event.method, event.body) == (0, 200, b"do it")
    assert not asked.ask(0, 200, b"do it")
    assert not asked.said()
    asked.node.respond(0, request.DONE, b"done")
    assert len(asked.said()) == 1
    for _ in range(3):
        assert not asked.ask(0, 200, b"do it")
        assert len(asked.said()) == 1
    assert not asked.said()


def test_only_the_first_response_to_the_last_request_leaves() -> None:
    asked = Asked()
    asked.ask(3, 200, b"")
    asked.ask(5, 201, b"")
    for number in (0, 3, 4, 6):
        asked.node.respond(number, request.DONE)
    assert not asked.said()
    asked.node.respond(5, request.DONE)
    assert len(asked.said()) == 1
    asked.node.respond(5, request.FAILED)
    assert not asked.said()
    assert not asked.ask(4, 202, b"")
    assert not asked.said()


def test_a_key_asked_for_twice_is_saved_once() -> None:
    saved = []
    asked = Asked(save=lambda *pair: saved.append(pair) or True)
    asked.ask(0, request.REKEY, NEW)
    asked.ask(0, request.REKEY, NEW)
    asked.ask(1, request.REKEY, NEW)
    assert saved == [(OLD, NEW)]
    assert len(asked.said()) == 1
    assert asked.node.state == CLOSED


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (0, 1),
        (-1, 1, NEW),
        (1 << 32, 1, NEW),
        (0, 256, NEW),
        (0, -1, NEW),
        (0, True, NEW),
        (None, 1, NEW),
        (0, 1, "k" * 16),
        (0, 1, [NEW]),
        (0, 1, bytes(961)),
    ],
)
def test_a_request_with_wrong_fields_is_counted_and_does_nothing(fields) -> None:
    asked = Asked()
    assert not asked.ask(*fields)
    assert not asked.said()
    assert asked.node.counters["undecodable"] == 1
    assert asked.keys.next is None
    (event,) = asked.ask(0, 200, b"")
    assert event.number == 0


def test_fields_of_a_later_version_are_passed_over() -> None:
    asked = Asked()
    assert len(asked.ask(0, 200, b"", "later")) == 1


def test_a_forged_replayed_or_reflected_request_does_nothing() -> None:
    asked = Asked()
    sealed = asked.seal(0, request.REKEY, NEW)
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not asked.node.receive(bytes(damaged), 0)
    assert asked.keys.next is None
    genuine = asked.seal(0, 200, b"")
    (event,) = asked.node.receive(genuine, 0)
    asked.node.respond(event.number, request.DONE)
    (response,) = asked.said()
    turned = bytes([frame.VERSION << 5 | frame.REQUEST]) + response[1:]
    for data in (sealed, genuine, response, turned):
        assert not asked.node.receive(data, 0)
        assert not asked.said()
    assert (asked.node.state, asked.keys.next) == (OPEN, None)


def test_a_request_waits_for_a_session_and_for_the_one_before() -> None:
    node, _ = node_with(OLD, None)
    gateway = gateway_with(OLD)
    assert not gateway.session.request(200, b"")
    gateway.session.described = lambda: None
    bench.exchange(node, gateway, 0, 100)
    assert gateway.session.eui == bench.EUI
    assert not gateway.session.request(200, b"")
    del gateway.session.described
    bench.exchange(node, gateway, 100, 3000)
    assert node.state == OPEN
    assert gateway.session.request(200, b"")
    assert not gateway.session.request(200, b"")
    happened = bench.exchange(node, gateway, 3100, 100)
    (event,) = hostile.kinds(happened, events.Requested)
    assert not gateway.session.request(200, b"")
    node.respond(event.number, 77, b"why")
    bench.exchange(node, gateway, 3200, 100)
    (responded,) = hostile.kinds(gateway.seen, events.Responded)
    assert (responded.method, responded.code, responded.payload) == (200, 77, b"why")
    assert gateway.session.request(200, b"")


def test_a_request_without_an_answer_comes_five_times_and_is_given_up() -> None:
    rogue = hostile.RogueNode(gateway_with(OLD))
    rogue.heard()
    session = rogue.gateway.session
    assert session.request(200, b"x")
    said = [(at, session.poll(at)) for at in range(0, 60000, 100)]
    tried = [at for at, data in said if data is not None]
    assert tried == [0, 1000, 3000, 7000, 15000]
    assert len({data for _, data in said}) == 6
    rogue.say(frame.TIME, cbor.encode(5))
    (event,) = hostile.kinds(rogue.gateway.seen, events.Unanswered)
    assert (event.eui, event.method) == (bench.EUI, 200)
    assert session.request(201, b"")


def test_a_response_to_anything_but_what_is_asked_is_ignored() -> None:
    rogue = hostile.RogueNode(gateway_with(OLD))
    session = rogue.gateway.session
    rogue.heard()
    rogue.say(frame.RESPONSE, cbor.encode_sequence([0, 0, b"early"]))
    assert session.request(200, b"")
    rogue.heard()
    rogue.say(frame.RESPONSE, cbor.encode_sequence([0, 0, b"first"]))
    assert session.request(201, b"")
    rogue.heard()
    for number in (0, 2, (1 << 32) - 1):
        rogue.say(frame.RESPONSE, cbor.encode_sequence([number, 0, b"wrong"]))
    rogue.say(frame.RESPONSE, cbor.encode_sequence([1, 256, b"wrong"]))
    rogue.say(frame.RESPONSE, cbor.encode_sequence([1, 3, b"second", None]))
    rogue.say(frame.RESPONSE, cbor.encode_sequence([1, 3, b"second"]))
    answers = hostile.kinds(rogue.gateway.seen, events.Responded)
    assert [event.payload for event in answers] == [b"first", b"second"]
    assert session.counters["undecodable"] == 1


def test_a_request_that_overtakes_a_lost_acknowledgement_comes_again() -> None:
    node, keys = node_with(OLD, None)
    gateway = gateway_with(OLD, NEW)
    gateway.receive(node.poll(0), 0)
    node.receive(gateway.session.poll(0), 0)
    gateway.receive(node.poll(0), 0)
    assert frame.parse_header(gateway.session.poll(0)).kind == frame.ACK
    assert gateway.session.request(request.REKEY, NEW)
    assert not node.receive(gateway.session.poll(0), 0)
    assert node.state == DESCRIBING
    assert keys.next is None
    bench.exchange(node, gateway, 5, 4000)
    assert keys.current == gateway.session.key == NEW


def test_what_no_frame_can_carry_is_refused_where_it_is_asked() -> None:
    node, _ = node_with(OLD, None)
    gateway = gateway_with(OLD)
    bench.exchange(node, gateway, 0, 100)
    for method, body in ((256, b""), (-1, b""), (1, bytes(961))):
        with pytest.raises(RangeError):
            gateway.session.request(method, body)
    assert gateway.session.request(255, bytes(960))
    (event,) = hostile.kinds(bench.exchange(node, gateway, 100, 100), events.Requested)
    with pytest.raises(RangeError):
        node.respond(event.number, request.DONE, bytes(961))
    node.respond(event.number, request.DONE, bytes(960))
    bench.exchange(node, gateway, 200, 100)
    assert hostile.kinds(gateway.seen, events.Responded)[0].payload == bytes(960)


def test_requests_and_responses_leave_nothing_behind() -> None:
    asked = Asked()
    rogue = hostile.RogueNode(gateway_with(OLD))
    rogue.heard()
    rogue.gateway.session.request(200, b"")
    tracemalloc.start()
    try:
        for number in range(500):
            asked.ask(number, 200, bytes(960))
            asked.node.respond(number, request.DONE, bytes(960))
            rogue.say(frame.RESPONSE, cbor.encode_sequence([number + 1, 0, bytes(960)]))
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held_bytes < 20_000
    assert len(asked.said()) == 1
