import importlib
import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import events, frame
from lilong_protocol.node_session import DESCRIBING, GREETING, OPEN

sys.path.insert(0, str(pathlib.Path(__file__).parent))
bench = importlib.import_module("check_session")
hostile = importlib.import_module("hostile_bench")


@pytest.fixture
def gateway():
    return bench.Gateway({bench.EUI: [bench.KEY]})


def test_a_replayed_hello_does_not_come_between_welcome_and_describe(gateway) -> None:
    old = [hostile.node_of_boot(boot).poll(0) for boot in range(2, 8)]
    node = hostile.node_of_boot(1)
    gateway.receive(node.poll(0), 0)
    node.receive(gateway.session.poll(0), 0)
    assert node.state == DESCRIBING
    for replayed in old:
        gateway.receive(replayed, 1)
    gateway.receive(node.poll(1), 1)
    assert gateway.session.eui == bench.EUI
    assert len(hostile.kinds(gateway.seen, events.HelloReceived)) == 7


def test_a_replayed_hello_right_behind_the_real_one_leaves_its_welcome_alone(gateway) -> None:
    old = hostile.node_of_boot(2).poll(0)
    node = hostile.node_of_boot(1)
    gateway.receive(node.poll(0), 0)
    gateway.receive(old, 0)
    bench.exchange(node, gateway, 0, 100)
    assert node.counters["sessions"] == 1
    assert node.idle


def test_earlier_hellos_of_a_boot_get_no_answer_beside_a_later_one(gateway) -> None:
    node = hostile.node_of_boot(1)
    early = [node.poll(now_ms) for now_ms in (0, 2000, 6000)]
    gateway.receive(node.poll(14000), 14000)
    gateway.seen.clear()
    for replayed in early * 50:
        gateway.receive(replayed, 14001)
    assert not gateway.seen
    assert gateway.session.counters["repeated"] == 150


def test_a_flood_of_hellos_holds_eight_candidates_and_no_live_session_up(gateway) -> None:
    outbox = hostile.filled(1)
    node = hostile.node_of_boot(1, outbox)
    bench.exchange(node, gateway, 0, 1000)
    for boot in range(2, 200):
        gateway.receive(hostile.node_of_boot(boot).poll(0), 1000)
    assert len(gateway.session._candidates._waiting) == 8
    outbox.append(frame.DATA_STREAM, b"after")
    bench.exchange(node, gateway, 1005, 100)
    assert gateway.store[bench.EUI, 9, 2, 1] == b"after"
    assert not hostile.kinds(gateway.seen, events.Closed)
    assert node.counters["sessions"] == 1


def test_a_welcome_serves_one_hello_once(gateway) -> None:
    node = hostile.node_of_boot(1)
    gateway.receive(node.poll(0), 0)
    welcome = gateway.session.poll(0)
    node.poll(2000)
    assert not node.receive(welcome, 2001)
    assert node.state == GREETING
    bench.exchange(node, gateway, 5000, 1000)
    assert not node.receive(welcome, 6001)
    assert node.state == OPEN


def test_resets_end_no_session_however_quiet_it_is(gateway) -> None:
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 3000)
    for now_ms in range(3000, 63000, 50):
        node.receive(hostile.RESET, now_ms)
        bench.exchange(node, gateway, now_ms, 5)
    assert node.state == OPEN
    assert node.counters["sessions"] == 1


def test_a_reset_in_a_quiet_session_brings_one_question_a_second_at_most(gateway) -> None:
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 3000)
    said = 0
    for now_ms in range(10000, 20000, 10):
        node.receive(hostile.RESET, now_ms)
        while (data := node.poll(now_ms)) is not None:
            said += 1
            gateway.receive(data, now_ms)
            node.receive(gateway.session.poll(now_ms), now_ms)
    assert 5 <= said <= 10


def test_a_reset_finds_out_within_seconds_that_the_gateway_has_forgotten_the_keys(gateway) -> None:
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 3000)
    node.receive(hostile.RESET, 10000)
    again = bench.Gateway({bench.EUI: [bench.KEY]}, seed=8)
    bench.exchange(node, again, 10000, 1500)
    assert again.session.eui == bench.EUI


def test_resets_do_not_make_a_node_shout_for_a_gateway() -> None:
    node = hostile.node_of_boot(1)
    said = 0
    for now_ms in range(0, 60000, 10):
        node.receive(hostile.RESET, now_ms)
        said += len(hostile.polled(node, now_ms))
    assert said <= 35


def test_resets_leave_a_slow_gateway_two_seconds_for_its_answers() -> None:
    node = hostile.node_of_boot(1)
    said_ms = []
    for now_ms in range(0, 120000, 10):
        node.receive(hostile.RESET, now_ms)
        said_ms += [now_ms for _ in hostile.polled(node, now_ms)]
    assert said_ms[-1] - said_ms[-2] >= 2000


def test_frames_turned_round_are_nobodys(gateway) -> None:
    node = hostile.node_of_boot(1)
    from_node, from_gateway = [], []
    for now_ms in range(0, 1000, 10):
        from_node += hostile.polled(node, now_ms)
        for data in from_node[-1:]:
            gateway.receive(data, now_ms)
        while (data := gateway.session.poll(now_ms)) is not None:
            from_gateway.append(data)
            node.receive(data, now_ms)
    seen = len(gateway.seen)
    for data in from_gateway:
        gateway.receive(data, 1000)
    assert len(gateway.seen) == seen
    assert not [event for data in from_node for event in node.receive(data, 1000)]
    assert node.state == OPEN


def test_every_shorter_form_of_a_frame_is_refused(gateway) -> None:
    node = hostile.node_of_boot(1)
    first = node.poll(0)
    gateway.receive(first, 0)
    welcome = gateway.session.poll(0)
    fresh = bench.Gateway({bench.EUI: [bench.KEY]})
    for size in range(len(first)):
        fresh.receive(first[:size], 0)
    for size in range(len(welcome)):
        assert not node.receive(welcome[:size], 0)
    assert not hostile.kinds(fresh.seen, events.HelloReceived)
    assert node.state == GREETING


def test_a_node_does_not_speak_for_another() -> None:
    other_key = bytes(16)
    gateway = bench.Gateway({bench.EUI: [bench.KEY], bytes(8): [other_key]})
    gateway.receive(hostile.hello(key=other_key), 0)
    (refused,) = gateway.seen
    assert (refused.reason, refused.eui) == ("wrong key", bench.EUI)


def test_a_node_gives_its_keys_up_after_1024_forgeries(gateway) -> None:
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 1000)
    forged = frame.Header(frame.ACK, 1000).pack() + bytes(20)
    for _ in range(1023):
        node.receive(forged, 1000)
    assert node.state == OPEN
    (lost,) = node.receive(forged, 1000)
    assert lost.reason == "too many forged frames"
    bench.exchange(node, gateway, 1000, 1000)
    assert node.counters["sessions"] == 2


def test_replays_are_no_forgeries(gateway) -> None:
    node = hostile.node_of_boot(1)
    gateway.receive(node.poll(0), 0)
    node.receive(gateway.session.poll(0), 0)
    describe = node.poll(0)
    for _ in range(5000):
        gateway.receive(describe, 0)
    assert gateway.session.counters["unauthentic"] == 4999
    assert gateway.session.eui == bench.EUI


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=20), st.integers(0, 31))
def test_no_bytes_of_a_stranger_raise_or_do_anything(bodies: list[bytes], kind: int) -> None:
    gateway = bench.Gateway({bench.EUI: [bench.KEY]})
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 100)
    seen = len(gateway.seen)
    for body in bodies:
        for data in (body, frame.Header(kind, 1 << 19).pack() + body):
            gateway.receive(data, 100)
            assert not node.receive(data, 100)
    assert not [event for event in gateway.seen[seen:] if not isinstance(event, events.Refused)]
    assert node.state == OPEN
