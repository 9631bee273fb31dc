from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol.acknowledgement import Acknowledgement, parse_acknowledgements
from lilong_protocol.receiver import Receiver, pack_acknowledgements
from lilong_protocol.round_trip import RoundTrip
from lilong_protocol.sender import MAX_TRIES, Sender
from lilong_protocol.time_exchange import TimeExchange


def drain(sender: Sender, end: int, now_ms: int) -> list[int]:
    sent = []
    while (seq := sender.due(end, now_ms)) is not None:
        sender.sent(seq, now_ms)
        sent.append(seq)
    return sent


def test_a_gap_is_repeated_at_once_and_only_once() -> None:
    sender = Sender(RoundTrip())
    assert drain(sender, 4, 0) == [0, 1, 2, 3]
    sender.acknowledge(Acknowledgement(2, 1, 0b11, 16), 4, 50)
    assert drain(sender, 4, 50) == [1]
    sender.acknowledge(Acknowledgement(2, 1, 0b11, 16), 4, 60)
    assert drain(sender, 4, 60) == []


def test_what_the_bitmap_names_is_not_sent_again_after_the_time_out() -> None:
    sender = Sender(RoundTrip())
    drain(sender, 3, 0)
    sender.acknowledge(Acknowledgement(2, 0, 0b10, 16), 3, 10)
    assert drain(sender, 3, 100000) == [0, 1]


def test_a_full_window_is_held_by_the_bitmap_and_no_slot_serves_two_batches() -> None:
    sender = Sender(RoundTrip())
    assert drain(sender, 100, 0) == list(range(16))
    sender.acknowledge(Acknowledgement(2, 0, 0x7FFF, 16), 100, 10)
    assert drain(sender, 100, 10) == [0]
    sender.acknowledge(Acknowledgement(2, 16, 0, 16), 100, 20)
    assert drain(sender, 100, 20) == list(range(16, 32))
    sender.acknowledge(Acknowledgement(2, 17, 0, 3), 100, 30)
    sender.acknowledge(Acknowledgement(2, 31, 0, 3), 100, 40)
    assert drain(sender, 100, 40) == [32, 33]


def test_an_acknowledgement_of_the_unsent_or_the_past_is_ignored() -> None:
    sender = Sender(RoundTrip())
    drain(sender, 2, 0)
    assert not sender.acknowledge(Acknowledgement(2, 9, 0, 16), 2, 10)
    assert sender.acknowledge(Acknowledgement(2, 2, 0, 16), 2, 10)
    assert not sender.acknowledge(Acknowledgement(2, 1, 0, 16), 2, 10)
    assert sender.base == 2


def test_a_batch_is_tried_a_bounded_number_of_times() -> None:
    sender = Sender(RoundTrip())
    tries = 0
    now_ms = 0
    while sender.due(1, now_ms) is None or sender.sent(0, now_ms):
        now_ms += 100
        tries += 1
        assert now_ms < 100000
    assert tries >= MAX_TRIES


def test_a_closed_window_is_probed_now_and_then() -> None:
    sender = Sender(RoundTrip())
    sender.acknowledge(Acknowledgement(2, 0, 0, 0), 5, 0)
    sent = [now_ms for now_ms in range(0, 20000, 100) if drain(sender, 5, now_ms)]
    assert sent == [0, 4000, 8000, 12000, 16000]


def test_due_ms_says_when_due_has_something() -> None:
    sender = Sender(RoundTrip())
    assert sender.due_ms(0, 0) is None
    assert sender.due_ms(2, 0) == 0
    drain(sender, 2, 0)
    wait_ms = sender.due_ms(2, 0)
    assert wait_ms is not None
    assert sender.due(2, wait_ms - 1) is None
    assert sender.due(2, wait_ms) == 0


def test_the_time_out_follows_the_round_trip_between_its_bounds() -> None:
    round_trip = RoundTrip()
    assert round_trip.timeout_ms == 1000
    for _ in range(20):
        round_trip.measured(5)
    assert round_trip.timeout_ms == 200
    for _ in range(40):
        round_trip.measured(900)
    assert 900 < round_trip.timeout_ms < 2000
    for _ in range(5):
        round_trip.expired()
    assert round_trip.timeout_ms == 4000


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(17)), st.lists(st.integers(0, 60), max_size=20))
def test_a_receiver_takes_each_number_once_in_any_order(
    order: list[int], noise: list[int]
) -> None:
    receiver = Receiver(2, 0)
    taken = []
    for seq in [*order, *noise]:
        if receiver.accept(seq):
            taken.append(seq)
            receiver.stored(seq)
    assert len(taken) == len(set(taken))
    assert set(range(17)) <= set(taken)
    entry = receiver.acknowledgement()
    assert entry.next >= 17
    held = {entry.next + 1 + bit for bit in range(16) if entry.bitmap >> bit & 1}
    assert held == {seq for seq in taken if seq > entry.next}


def test_only_what_is_stored_is_acknowledged() -> None:
    receiver = Receiver(2, 5)
    assert receiver.accept(5)
    assert receiver.accept(6)
    receiver.stored(6)
    entry = receiver.acknowledgement()
    assert (entry.next, entry.bitmap) == (5, 1)


def test_acknowledgements_survive_the_wire() -> None:
    entries = [Acknowledgement(0, 1 << 32, 0xFFFF, 16), Acknowledgement(3, 0, 0, 0)]
    parsed = parse_acknowledgements(pack_acknowledgements(entries))
    assert [vars(entry) for entry in parsed] == [vars(entry) for entry in entries]


def test_the_exchange_with_the_smallest_delay_decides() -> None:
    exchange = TimeExchange(0)
    exchange.measured(0, 1000300, 600)
    exchange.measured(1000, 1001010, 1004)
    assert exchange.uncertainty_ms == 2
    assert exchange.offset_ms == 1000008
