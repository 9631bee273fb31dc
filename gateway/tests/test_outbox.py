import json

import pytest

from lilong_gateway.outbox import Outbox
from lilong_gateway.uplink.receipts import parse_receipt


def filled(count: int, *, city: bool, window: int = 4) -> Outbox[str]:
    outbox: Outbox[str] = Outbox(100, window, city=city)
    for pos in range(101, 101 + count):
        outbox.add(pos, f"p{pos}")
    return outbox


def positions(outbox: Outbox[str], now_ms: int, limit: int = 99) -> list[int]:
    return [pos for pos, _ in outbox.due(now_ms, limit)]


def test_the_cursor_passes_only_what_is_confirmed_without_a_gap() -> None:
    outbox = filled(3, city=False)
    assert positions(outbox, 0) == [101, 102, 103]
    outbox.sent(102, 1)
    outbox.sent(103, 1)
    assert (outbox.cursor, outbox.confirmed) == (100, 2)
    outbox.sent(101, 1)
    assert (outbox.cursor, outbox.confirmed) == (103, 3)


def test_no_more_than_the_window_is_unconfirmed() -> None:
    outbox = filled(4, city=False)
    assert outbox.room == 0
    positions(outbox, 0)
    outbox.sent(102, 1)
    assert outbox.room == 1


def test_one_position_that_is_never_confirmed_cannot_make_it_grow_for_ever() -> None:
    outbox = filled(1, city=True, window=2)
    pos = 101
    while outbox.room:
        pos += 1
        outbox.add(pos, "p")
        outbox.due(0, 99)
        outbox.receipt([(pos, pos)])
    assert pos - outbox.cursor == 16


def test_a_lost_connection_publishes_again_what_was_on_the_way() -> None:
    outbox = filled(3, city=False)
    positions(outbox, 0)
    outbox.sent(102, 1)
    outbox.lost()
    assert positions(outbox, 2) == [101, 103]


def test_the_limit_of_the_broker_holds() -> None:
    outbox = filled(4, city=False)
    assert positions(outbox, 0, limit=3) == [101, 102, 103]
    assert positions(outbox, 0, limit=1) == [104]


def test_with_the_city_only_a_receipt_confirms() -> None:
    outbox = filled(2, city=True)
    positions(outbox, 0)
    outbox.sent(101, 5)
    assert outbox.cursor == 100
    outbox.receipt([(1, 101)])
    assert outbox.cursor == 101


def test_without_a_receipt_it_is_published_again_after_ten_seconds() -> None:
    outbox = filled(1, city=True)
    positions(outbox, 0)
    outbox.sent(101, 5)
    assert outbox.wait_ms(5) == 10_000
    assert positions(outbox, 10_004) == []
    assert positions(outbox, 10_005) == [101]


def test_a_receipt_that_overtakes_the_broker_counts_once() -> None:
    outbox = filled(1, city=True)
    positions(outbox, 0)
    outbox.receipt([(101, 101), (101, 101)])
    outbox.sent(101, 5)
    assert (outbox.cursor, outbox.confirmed, outbox.wait_ms(5)) == (101, 1, None)


def test_what_is_withheld_does_not_hold_up_the_rest() -> None:
    outbox = filled(1, city=False)
    outbox.skip(102)
    outbox.add(103, "p")
    positions(outbox, 0)
    outbox.sent(101, 1)
    assert outbox.cursor == 102
    outbox.sent(103, 1)
    assert (outbox.cursor, outbox.confirmed) == (103, 2)


@pytest.mark.parametrize("city", [True, False])
def test_everything_confirmed_leaves_nothing_behind(*, city: bool) -> None:
    outbox = filled(4, city=city)
    for pos in positions(outbox, 0):
        outbox.sent(pos, 0)
    outbox.receipt([(0, 1 << 60)])
    assert (outbox.cursor, outbox.room, outbox.wait_ms(0)) == (104, 4, None)
    assert positions(outbox, 99_999) == []


def test_a_receipt_for_what_was_never_published_moves_nothing() -> None:
    outbox = filled(4, city=True)
    outbox.receipt([(0, 1 << 63)])
    assert (outbox.cursor, outbox.confirmed) == (100, 0)
    assert positions(outbox, 0, limit=2) == [101, 102]
    outbox.receipt([(-5, 1 << 63), (102, 102)] * 1000)
    assert (outbox.cursor, outbox.confirmed) == (102, 2)


def test_ranges_may_overlap_and_come_in_any_order() -> None:
    outbox = filled(4, city=True)
    positions(outbox, 0)
    outbox.receipt([(103, 103), (90, 200), (101, 101)])
    assert outbox.cursor == 104


def test_a_receipt_beyond_all_measure_is_not_even_read() -> None:
    ranges = [[number, number] for number in range(10_000)]
    payload = json.dumps({"store": "a", "positions": ranges}).encode()
    assert parse_receipt(payload, "a") is None
    assert parse_receipt(b'{"store": "a", "positions": [[1, 2]]}', "a") == [(1, 2)]
