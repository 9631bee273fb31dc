import importlib
import pathlib
import subprocess
import sys

import pytest

from lilong_protocol import frame
from lilong_protocol.node_session import CLOSED, DESCRIBING, GREETING, OPEN
from lilong_protocol.pieces import PieceReader, PieceWriter

TESTS = pathlib.Path(__file__).parent
sys.path.insert(0, str(TESTS))
bench = importlib.import_module("check_session")
hostile = importlib.import_module("hostile_bench")


@pytest.fixture
def gateway():
    return bench.Gateway({bench.EUI: [bench.KEY]})


@pytest.fixture
def outbox():
    return hostile.filled(2)


def brought_to(state, node, gateway, now_ms=0):
    """Let the session come so far and no further."""
    while node.state != state:
        gateway.receive(node.poll(now_ms), now_ms)
        if node.state != state:
            node.receive(gateway.session.poll(now_ms), now_ms)


@pytest.mark.parametrize("state", [GREETING, DESCRIBING, OPEN])
def test_a_connection_that_ends_ends_the_session_and_the_next_begins_with_hello(
    gateway, outbox, state
):
    node = hostile.node_of_boot(1, outbox)
    brought_to(state, node, gateway)
    node.interrupted(10)
    assert node.state == CLOSED
    lost = [] if state == GREETING else ["the link is gone"]
    assert [event.reason for event in node.events()] == lost
    assert node.due_ms(10) == 0
    said = node.poll(10)
    assert frame.parse_header(said).kind == frame.HELLO
    again = bench.Gateway({bench.EUI: [bench.KEY]}, seed=9)
    again.receive(said, 10)
    bench.exchange(node, again, 10, 3000)
    assert [key[3] for key in sorted(again.store)] == [0, 1]
    assert node.idle


def test_a_connection_without_a_session_ends_without_a_word():
    node = hostile.node_of_boot(1)
    node.interrupted(5)
    assert node.events() == []
    assert node.counters["lost"] == 0


def test_each_visit_repeats_its_hello_as_soon_as_the_first_one_did():
    node = hostile.node_of_boot(1)
    for now_ms in range(0, 60_000, 100):
        node.poll(now_ms)
    assert node.due_ms(60_000) > 1000
    node.interrupted(60_000)
    node.poll(60_000)
    assert 500 <= node.due_ms(60_000) <= 625


def test_what_was_said_in_an_earlier_visit_does_nothing_in_a_later_one(gateway, outbox):
    node = hostile.node_of_boot(1, outbox)
    brought_to(OPEN, node, gateway)
    batch = node.poll(0)
    gateway.receive(batch, 0)
    acknowledgement = gateway.session.poll(0)
    node.interrupted(10)
    node.events()
    again = bench.Gateway({bench.EUI: [bench.KEY]}, seed=9)
    brought_to(OPEN, node, again, 10)
    assert node.receive(acknowledgement, 20) == []
    again.receive(batch, 20)
    assert not again.store
    assert outbox.first(frame.DATA_STREAM) == 0


def test_strange_pieces_cost_the_frames_that_they_fall_into_and_no_session(gateway):
    node = hostile.node_of_boot(1)
    bench.exchange(node, gateway, 0, 3000)
    writer, reader = PieceWriter(), PieceReader()
    frames = []
    for data in (bytes(40), bytes(8), bytes(41)):
        writer.put(data)
        while writer.waiting:
            frames += reader.feed(writer.take(20))
            frames += reader.feed(b"\x80\x01x")
    assert frames == [bytes(8)]
    writer.put(hostile.RESET)
    frames += reader.feed(writer.take(20))
    assert frames[-1] == hostile.RESET
    for data in frames:
        node.receive(data, 3000)
    assert node.state == OPEN


def test_pieces_of_one_byte_cost_a_node_little_more_than_the_frame(micropython32):
    done = subprocess.run(
        [str(micropython32), "-X", "heapsize=400k", str(TESTS / "check_pieces_memory.py")],
        env={"MICROPYPATH": f".frozen:{TESTS.parent}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * frame.MAX_FRAME_BYTES + 512
