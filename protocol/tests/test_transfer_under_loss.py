import dataclasses
import importlib
import pathlib
import sys
import tracemalloc

import pytest

from lilong_protocol import frame
from lilong_protocol.acknowledgement import Acknowledgement
from lilong_protocol.node_session import OPEN
from lilong_protocol.round_trip import RoundTrip
from lilong_protocol.sender import Sender

sys.path.insert(0, str(pathlib.Path(__file__).parent))
simulator = importlib.import_module("link_simulator")
SERIAL = simulator.Line()
LINES = {
    "clean": SERIAL,
    "lossy": simulator.Line(loss=0.1),
    "very lossy": simulator.Line(loss=0.3),
    "fast with a slow disk": simulator.Line(loss=0.05, bytes_per_s=92160.0, commit_ms=120.0),
    "slow and far": simulator.Line(loss=0.05, bytes_per_s=1200.0, delay_ms=300.0),
    "relayed": simulator.Line(loss=0.1, duplicated=0.1, overtaken=0.2),
}


def item(number: int) -> bytes:
    return number.to_bytes(4, "big") * 30


def feed(link, count: int, every_ms: float) -> None:
    """Appends batches of all streams while the line is at work."""

    def append() -> None:
        number = len(link.outbox.appended)
        if number % 10 == 0:
            link.node.alarm(item(number))
        else:
            link.outbox.append(1 + number % 3, item(number))
            link.simulator.wake(0)

    for number in range(count):
        link.simulator.at(number * every_ms, append)


def disturb(link, restarts: int, every_ms: float) -> None:
    """Restarts one end or the other now and then."""
    for number in range(restarts):
        end = link.simulator.random.choice([link.node, link.gateway])
        link.simulator.at((number + 0.3 + link.simulator.random.random()) * every_ms, end.restart)


def assert_all_arrived_once(link) -> None:
    wanted = {(0xFEEDBEEF, *place): data for place, data in link.outbox.appended.items()}
    assert link.store == wanted
    for stream in range(frame.STREAMS):
        assert link.gateway.durable(stream) == link.outbox.next(stream)
        assert link.outbox.first(stream) == link.outbox.next(stream)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LINES)
def test_every_batch_arrives_once_whatever_the_line_does(name: str, seed: int) -> None:
    link = simulator.Link(LINES[name], seed)
    feed(link, 150, 40)
    assert not link.simulator.run(150 * 40 - 1, lambda: False)
    assert link.simulator.run(600_000, link.is_delivered)
    assert_all_arrived_once(link)


@pytest.mark.parametrize("seed", range(6))
def test_restarts_of_either_end_lose_and_repeat_nothing(seed: int) -> None:
    link = simulator.Link(dataclasses.replace(SERIAL, loss=0.1), seed)
    feed(link, 200, 60)
    disturb(link, 8, 1500)
    link.simulator.run(14_000)
    assert link.node.boots + link.gateway.starts == 10
    assert link.simulator.run(300_000, link.is_delivered)
    assert_all_arrived_once(link)


@pytest.mark.parametrize("seed", range(4))
def test_something_arrives_in_every_minute_at_a_loss_of_30_percent(seed: int) -> None:
    link = simulator.Link(dataclasses.replace(SERIAL, loss=0.3), seed)
    for number in range(1500):
        link.outbox.append(frame.DATA_STREAM, item(number))
    while not link.is_delivered():
        before = link.outbox.first(frame.DATA_STREAM)
        link.simulator.run(60_000, link.is_delivered)
        assert link.outbox.first(frame.DATA_STREAM) > before


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_an_alarm_waits_for_one_frame_of_a_backlog_at_most(loss: float) -> None:
    link = simulator.Link(dataclasses.replace(SERIAL, loss=loss), 5)
    for number in range(400):
        link.outbox.append(frame.BULK_STREAM, item(number))
    for number in range(20):
        link.simulator.at(500 + 400 * number, lambda: link.node.alarm(b"alarm"))
    assert link.simulator.run(600_000, link.is_delivered)
    assert_all_arrived_once(link)


def test_a_watch_on_alarms_sees_one_that_has_to_wait() -> None:
    link = simulator.Link(SERIAL, 1)
    link.outbox.append(frame.BULK_STREAM, b"bulk")
    link.simulator.run(1000, lambda: link.node.session.state == OPEN)
    link.node.alarms.add(link.outbox.append(frame.ALARM_STREAM, b"alarm"))
    with pytest.raises(simulator.ends.BrokenRuleError):
        link.node._watch_alarms(frame.BULK_STREAM)


def test_a_watched_outbox_sees_what_is_let_go_too_early() -> None:
    link = simulator.Link(SERIAL, 1)
    link.outbox.append(frame.DATA_STREAM, b"kept")
    with pytest.raises(simulator.ends.BrokenRuleError):
        link.outbox.acknowledged(frame.DATA_STREAM, 1)


@pytest.mark.parametrize("every_ms", [500, 30, 15])
def test_alarms_get_through_while_bulk_overflows_the_outbox(every_ms: int) -> None:
    link = simulator.Link(SERIAL, 2, capacity=20)

    def append() -> None:
        link.outbox.append(frame.BULK_STREAM, bytes(240))
        link.simulator.at(every_ms, append)

    append()
    link.simulator.run(2000)
    for _ in range(5):
        link.node.alarm(b"alarm")
        assert link.simulator.run(10_000, link.is_alarmed)


def test_what_both_ends_hold_does_not_grow_with_the_traffic() -> None:
    link = simulator.Link(dataclasses.replace(SERIAL, loss=0.2, duplicated=0.2), 3)
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(4):
            for number in range(300):
                link.outbox.append(frame.DATA_STREAM, item(number))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            assert link.simulator.run(600_000, link.is_delivered)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert max(peaks) < 500_000
    assert peaks[-1] < peaks[0]


def sent(sender: Sender, end: int, now_ms: int) -> list[int]:
    numbers = []
    while (seq := sender.due(end, now_ms)) is not None:
        sender.sent(seq, now_ms)
        numbers.append(seq)
    return numbers


def test_a_repeat_that_is_lost_too_is_repeated_when_something_later_arrives() -> None:
    sender = Sender(RoundTrip())
    assert sent(sender, 3, 0) == [0, 1, 2]
    sender.acknowledge(Acknowledgement(2, 0, 0b11, 16), 9, 50)
    assert sent(sender, 4, 50) == [0, 3]
    sender.acknowledge(Acknowledgement(2, 0, 0b111, 16), 9, 100)
    assert sent(sender, 4, 100) == [0]


def test_the_wait_for_a_gap_to_close_is_no_round_trip() -> None:
    round_trip = RoundTrip()
    sender = Sender(round_trip)
    assert len(sent(sender, 20, 0)) == 16
    sender.acknowledge(Acknowledgement(2, 0, 0x7FFF, 16), 20, 30)
    assert round_trip.timeout_ms == 200
    assert sent(sender, 16, 3000) == [0]
    sender.acknowledge(Acknowledgement(2, 16, 0, 16), 20, 3030)
    assert round_trip.timeout_ms == 200


@pytest.mark.parametrize("name", simulator.LINES)
def test_a_loss_of_1_percent_costs_less_than_6_percent(name: str) -> None:
    line = simulator.LINES[name]
    lossy = dataclasses.replace(line, loss=0.01)
    for seed in (1, 2):
        assert simulator.ours(lossy, seed, 600) >= 0.94 * simulator.ours(line, seed, 600)


@pytest.mark.parametrize("name", simulator.LINES)
def test_without_loss_the_window_keeps_every_line_full(name: str) -> None:
    line = simulator.LINES[name]
    assert simulator.ours(line, 1, 600) >= 0.89 * line.bytes_per_s / 1000


@pytest.mark.parametrize("loss", [0.01, 0.1])
def test_selective_repeats_beat_going_back(loss: float) -> None:
    lossy = dataclasses.replace(SERIAL, loss=loss)
    ours = simulator.ours(lossy, 1, 500)
    assert ours > simulator.theirs(lossy, 1, 500, 16) > simulator.theirs(lossy, 1, 500, 1)
