import importlib
import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import cbor, events, frame, schedule
from lilong_protocol.acknowledgement import parse_acknowledgements
from lilong_protocol.cipher import FRAME_LIMIT
from lilong_protocol.errors import DecodeError
from lilong_protocol.node_session import GREETING, OPEN
from lilong_protocol.serial import wrap

sys.path.insert(0, str(pathlib.Path(__file__).parent))
bench = importlib.import_module("check_session")
hostile = importlib.import_module("hostile_bench")


@pytest.fixture
def gateway():
    return bench.Gateway({bench.EUI: [bench.KEY]})


# A node that holds its key


def test_a_hello_that_holds_less_than_nothing_is_refused(gateway) -> None:
    gateway.receive(hostile.hello([0, 0, 6, 0], [0, 0, 5, 0]), 0)
    assert [type(event) for event in gateway.seen] == [events.Refused]


def test_a_hello_at_the_end_of_all_numbers_is_served(gateway) -> None:
    last = [1 << 32] * 4
    rogue = hostile.RogueNode(gateway, last, last)
    assert [event.first for event in hostile.kinds(gateway.seen, events.Advanced)] == last
    ((kind, plaintext),) = rogue.heard()
    assert kind == frame.ACK
    assert [entry.next for entry in parse_acknowledgements(plaintext)] == last
    rogue.say(frame.DATA, cbor.encode(1 << 32), 2)
    rogue.say(frame.DATA, cbor.encode((1 << 32) - 1), 2)
    assert not gateway.store


def test_a_number_far_ahead_is_not_taken_but_told_where_we_stand(gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    rogue.heard()
    for seq in (17, 1 << 31, (1 << 32) - 1):
        rogue.say(frame.DATA, cbor.encode(seq), 2)
    assert not gateway.store
    ((_, plaintext),) = rogue.heard()
    assert [entry.next for entry in parse_acknowledgements(plaintext)] == [0]


def test_a_control_character_in_the_firmware_name_is_refused(gateway) -> None:
    gateway.receive(hostile.hello(firmware="1.0\ninfo all is well"), 0)
    assert [type(event) for event in gateway.seen] == [events.Refused]


def test_what_is_missing_is_told_once_however_often_it_describes_itself(gateway) -> None:
    gateway.session.described = lambda: None
    rogue = hostile.RogueNode(gateway, [0, 0, 5, 0], [0, 0, 9, 0])
    rogue.describe()
    rogue.describe()
    assert len(hostile.kinds(gateway.seen, events.Described)) == 3
    assert [event.missing for event in hostile.kinds(gateway.seen, events.Advanced)] == [5]


@pytest.mark.parametrize("asked", [b"x" * 1000, "ü", [[[]]], None, True, -1, 1 << 48])
def test_a_question_for_the_time_holds_an_uptime_or_gets_no_answer(gateway, asked) -> None:
    rogue = hostile.RogueNode(gateway)
    rogue.heard()
    rogue.say(frame.TIME, cbor.encode(asked))
    assert rogue.heard() == []
    assert gateway.session.counters["undecodable"] == 1


def test_a_question_for_the_time_may_hold_fields_of_a_later_version(gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    rogue.heard()
    rogue.say(frame.TIME, cbor.encode_sequence([77, "later"]))
    ((_, plaintext),) = rogue.heard()
    assert cbor.decode_sequence(plaintext)[0] == 77


def test_a_counter_past_the_limit_is_refused_and_does_no_harm(gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    head = frame.Header(frame.DATA, (1 << 32) - 1, 2).pack()
    nonce = schedule.nonce(rogue.cipher._iv, b"\x00", (1 << 32) - 1)
    gateway.receive(head + rogue.cipher._sealer.seal(nonce, cbor.encode(0), head), 0)
    assert not gateway.store
    rogue.say(frame.DATA, cbor.encode(0), 2)
    assert len(gateway.store) == 1


def test_a_gateway_whose_keys_are_used_up_asks_for_new_ones(gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    rogue.heard()
    gateway.session._session.cipher.sent = FRAME_LIMIT
    rogue.say(frame.TIME, cbor.encode(5))
    assert gateway.session.poll(0) == hostile.RESET
    assert gateway.session.eui is None


def test_what_was_stored_of_another_epoch_is_not_acknowledged_in_this_one(gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    rogue.heard()
    gateway.session.stored(8, 2, 0)
    gateway.session.stored(9, 2, 1 << 20)
    ((_, plaintext),) = rogue.heard()
    (entry,) = parse_acknowledgements(plaintext)
    assert (entry.stream, entry.next, entry.bitmap) == (2, 0, 0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([frame.DATA, frame.TIME, frame.DESCRIBE, frame.ACK, frame.WELCOME]),
            st.binary(max_size=900),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_nothing_that_a_rogue_node_seals_raises(said: list[tuple[int, bytes, int]]) -> None:
    rogue = hostile.RogueNode(bench.Gateway({bench.EUI: [bench.KEY]}))
    for kind, plaintext, stream in said:
        rogue.say(kind, plaintext, stream)
        rogue.heard()


# A gateway that holds the node's key


def test_what_was_never_sent_is_not_let_go() -> None:
    outbox = hostile.filled(100)
    node = hostile.node_of_boot(1, outbox)
    rogue = hostile.RogueGateway(node)
    rogue.acknowledge(2, 90, 0, 16)
    assert outbox.first(frame.DATA_STREAM) == 0
    assert len(hostile.polled(node, 0)) == 16
    rogue.acknowledge(2, 90, 0xFFFF, 16)
    assert outbox.first(frame.DATA_STREAM) == 16
    assert len(hostile.polled(node, 0)) == 16


def test_a_window_of_255_is_one_of_16() -> None:
    node = hostile.node_of_boot(1, hostile.filled(100))
    rogue = hostile.RogueGateway(node)
    rogue.acknowledge(2, 0, 0, 255)
    assert len(hostile.polled(node, 0)) == 16


def test_a_welcome_far_ahead_does_not_use_the_numbers_up() -> None:
    outbox = hostile.filled(3)
    node = hostile.node_of_boot(1, outbox)
    hostile.RogueGateway(node, [0, 0, 1 << 32, 0])
    assert node.state == GREETING
    assert node.counters["undecodable"] == 1
    assert (outbox.first(2), outbox.next(2)) == (0, 3)


def test_a_time_before_the_nodes_own_start_is_none(gateway) -> None:
    node = hostile.node_of_boot(1)
    node.poll(0)
    early = bench.Gateway({bench.EUI: [bench.KEY]}, time_ms=-90000)
    happened = bench.exchange(node, early, 90001, 3000)
    assert node.state == OPEN
    assert not hostile.kinds(happened, events.Synchronised)
    late = bench.Gateway({bench.EUI: [bench.KEY]}, seed=5)
    late.session.hint()
    happened = bench.exchange(node, late, 100000, 3000)
    assert hostile.kinds(happened, events.Synchronised)[0].epoch_ms_at_boot == bench.CENTURY_MS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([frame.ACK, frame.TIME, frame.DATA]), st.binary())))
def test_nothing_that_a_rogue_gateway_seals_raises(said: list[tuple[int, bytes]]) -> None:
    node = hostile.node_of_boot(1)
    rogue = hostile.RogueGateway(node)
    for now_ms, (kind, plaintext) in enumerate(said):
        node.receive(rogue.cipher.seal(kind, plaintext), now_ms)
        for data in hostile.polled(node, now_ms):
            wrap(data)
        assert 0 <= node.due_ms(now_ms) <= 60000


@pytest.mark.parametrize(
    "fields",
    [
        [2, None, 0, hostile.DIGEST, hostile.DESCRIPTOR],
        [1, None, 0, bytes(8), hostile.DESCRIPTOR],
        [1, None, 0, hostile.DIGEST, b"another"],
        [1, None, 0, hostile.DIGEST, bytes(901)],
    ],
)
def test_a_description_that_contradicts_its_hello_is_not_stored(fields, gateway) -> None:
    rogue = hostile.RogueNode(gateway)
    before = len(hostile.kinds(gateway.seen, events.Described))
    rogue.say(frame.DESCRIBE, cbor.encode_sequence(fields))
    assert len(hostile.kinds(gateway.seen, events.Described)) == before
    assert gateway.session.counters["undecodable"] == 1


@pytest.mark.parametrize("fields", [[], [2, 0, 0, 8, 2, 0, 0, 8]])
def test_an_acknowledgement_of_nothing_or_twice_of_one_stream_is_refused(fields) -> None:
    with pytest.raises(DecodeError):
        parse_acknowledgements(cbor.encode_sequence(fields))
