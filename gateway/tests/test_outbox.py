import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lilong_gateway.outbox import Outbox
from lilong_gateway.outbox_parts import Group, Limits, Part
from lilong_gateway.spans import Spans
from lilong_gateway.store.records import Cursor, Lane, SinkState
from lilong_gateway.uplink.receipts import parse_receipt

ALARM, LIVE, BACKLOG = Part


def outbox_at(
    done: int = 100, last: int = 100, *, city: bool = False, **limits: int
) -> Outbox[str]:
    state = SinkState("store", (Cursor(done), Cursor(done)), last)
    return Outbox(state, Limits(**({"window": 4} | limits)), city=city)


def give(outbox: Outbox[str], positions: Iterable[int], part: Part = LIVE) -> list[Group[str]]:
    return [outbox.give(part, [pos], f"p{pos}") for pos in positions]


def done(outbox: Outbox[str], lane: Lane = Lane.REST) -> int:
    return outbox.cursors[lane].done


def test_the_cursor_passes_only_what_is_confirmed_without_a_gap() -> None:
    outbox = outbox_at()
    first, second, third = give(outbox, [101, 102, 103])
    outbox.acknowledged(second, 1)
    outbox.acknowledged(third, 1)
    assert (outbox.cursors[1], outbox.confirmed) == (Cursor(100, 101, 103), 2)
    outbox.acknowledged(first, 1)
    assert (outbox.cursors[1], outbox.confirmed) == (Cursor(103), 3)


def test_no_more_than_the_window_is_unconfirmed() -> None:
    outbox = outbox_at()
    groups = give(outbox, [101, 102, 103, 104])
    assert outbox.ask(LIVE) is None
    outbox.acknowledged(groups[1], 1)
    ask = outbox.ask(LIVE)
    assert ask is not None
    assert (ask.pos, ask.limit, ask.upto) == (104, 1, None)


def test_alarms_have_room_of_their_own() -> None:
    outbox = outbox_at()
    give(outbox, [101, 102, 103, 104])
    ask = outbox.ask(ALARM)
    assert ask is not None
    assert (ask.pos, ask.limit) == (100, 4)
    (alarm,) = give(outbox, [105], ALARM)
    outbox.acknowledged(alarm, 1)
    assert (done(outbox, Lane.ALARM), done(outbox)) == (105, 100)


def test_a_batch_that_is_never_confirmed_costs_one_place_and_no_memory() -> None:
    outbox = outbox_at(window=2)
    give(outbox, [101])
    for pos in range(102, 5000):
        (group,) = give(outbox, [pos])
        outbox.acknowledged(group, 1)
    assert outbox.cursors[1] == Cursor(100, 101, 4999)
    assert outbox.waiting(4999) == 1


def test_a_lost_connection_reads_again_what_was_on_the_way_and_nothing_else() -> None:
    outbox = outbox_at()
    groups = give(outbox, [101, 102, 103])
    outbox.acknowledged(groups[1], 1)
    outbox.lost()
    ask = outbox.ask(LIVE)
    assert ask is not None
    assert (ask.pos, ask.limit) == (100, 4)
    assert [outbox.needs(LIVE, pos) for pos in (101, 102, 103)] == [True, False, True]


def test_what_was_acknowledged_on_a_connection_that_is_gone_is_not_believed_late() -> None:
    outbox = outbox_at()
    (group,) = give(outbox, [101])
    outbox.lost()
    outbox.acknowledged(group, 5)
    assert done(outbox) == 100


def test_with_the_city_only_a_receipt_confirms() -> None:
    outbox = outbox_at(city=True)
    for group in give(outbox, [101, 102]):
        outbox.acknowledged(group, 5)
    assert done(outbox) == 100
    outbox.receipt([(1, 101)])
    assert done(outbox) == 101


def test_without_a_receipt_it_is_given_out_again_after_ten_seconds() -> None:
    outbox = outbox_at(city=True)
    (group,) = give(outbox, [101])
    assert outbox.wait_ms(LIVE, 5) is None
    outbox.acknowledged(group, 5)
    assert outbox.wait_ms(LIVE, 5) == 10_000
    assert outbox.overdue(LIVE, 10_004) == []
    assert outbox.overdue(LIVE, 10_005) == [group]
    assert outbox.overdue(LIVE, 10_005) == []


def test_what_the_broker_does_not_take_now_is_given_out_again_later() -> None:
    outbox = outbox_at(held_ms=300)
    held, other = give(outbox, [101, 102])
    outbox.hold(held, 0)
    outbox.acknowledged(other, 0)
    assert outbox.overdue(LIVE, 299) == []
    assert outbox.overdue(LIVE, 300) == [held]
    outbox.acknowledged(held, 301)
    assert done(outbox) == 102


def test_a_receipt_that_overtakes_the_broker_counts_once() -> None:
    outbox = outbox_at(city=True)
    (group,) = give(outbox, [101])
    outbox.receipt([(101, 101), (101, 101)])
    outbox.acknowledged(group, 5)
    assert (done(outbox), outbox.confirmed, outbox.wait_ms(LIVE, 5)) == (101, 1, None)


def test_a_receipt_after_a_reconnect_is_believed_of_what_went_before_it() -> None:
    outbox = outbox_at(city=True)
    give(outbox, [101, 102])
    outbox.lost()
    outbox.receipt([(101, 999)])
    assert (done(outbox), outbox.confirmed) == (102, 2)
    assert not outbox.needs(LIVE, 101)


def test_what_is_withheld_does_not_hold_up_the_rest() -> None:
    outbox = outbox_at()
    first, third = give(outbox, [101, 103])
    outbox.through(LIVE, 110)
    outbox.acknowledged(first, 1)
    assert done(outbox) == 101
    outbox.acknowledged(third, 1)
    assert (done(outbox), outbox.confirmed) == (110, 2)


def test_a_receipt_for_what_was_never_given_out_moves_nothing() -> None:
    outbox = outbox_at(city=True)
    outbox.receipt([(0, 1 << 63)])
    assert (done(outbox), outbox.confirmed) == (100, 0)
    give(outbox, [101, 102])
    outbox.receipt([(-5, 1 << 63), (102, 102)] * 1000)
    assert (done(outbox), outbox.confirmed) == (102, 2)


def test_ranges_may_overlap_and_come_in_any_order() -> None:
    outbox = outbox_at(city=True)
    give(outbox, [101, 102, 103, 104])
    outbox.receipt([(103, 103), (90, 200), (101, 101)])
    assert done(outbox) == 104


def test_what_the_city_refuses_is_done_and_named_once() -> None:
    outbox = outbox_at(city=True)
    give(outbox, [101, 102, 103])
    assert outbox.receipt([(101, 101)], [(101, 102), (500, 600)]) == [102]
    assert outbox.receipt([], [(102, 102)]) == []
    assert (done(outbox), outbox.confirmed) == (102, 1)


def test_a_group_that_is_divided_is_confirmed_half_by_half() -> None:
    outbox = outbox_at()
    group = outbox.give(LIVE, [101, 105, 109], "all")
    one, two = outbox.divide(group, ("one", "two"))
    outbox.acknowledged(group, 1)
    assert done(outbox) == 100
    assert (one.positions, two.positions) == ((101,), (105, 109))
    outbox.acknowledged(two, 1)
    assert outbox.cursors[1] == Cursor(100, 101, 109)
    outbox.drop(one)
    assert (done(outbox), outbox.confirmed) == (109, 2)


def test_dividing_a_group_whose_receipt_has_come_leaves_nothing_to_send() -> None:
    outbox = outbox_at(city=True)
    group = outbox.give(LIVE, [101, 102], "all")
    outbox.receipt([(101, 101)])
    (left,) = outbox.divide(group, ("one", "two"))
    assert left.payload == "two"
    outbox.receipt([(102, 102)])
    assert outbox.divide(group, ("one", "two")) == []


def test_a_backlog_is_read_beside_what_is_new() -> None:
    outbox = outbox_at(done=100, last=5000, split=50)
    live, old = outbox.ask(LIVE), outbox.ask(BACKLOG)
    assert live is not None
    assert old is not None
    assert (live.pos, old.pos, old.upto) == (5000, 100, 5000)
    assert (outbox.replaying, outbox.replay_waiting) == (True, 4900)


def test_a_short_wait_is_no_backlog() -> None:
    outbox = outbox_at(done=100, last=150, split=50)
    ask = outbox.ask(LIVE)
    assert ask is not None
    assert (ask.pos, outbox.ask(BACKLOG), outbox.replaying) == (100, None, False)


def test_the_cursor_remembers_what_is_confirmed_on_both_sides_of_a_gap() -> None:
    outbox = outbox_at(done=100, last=5000, split=50)
    (new,) = give(outbox, [5003])
    outbox.through(LIVE, 5007)
    (old,) = give(outbox, [102], BACKLOG)
    outbox.acknowledged(new, 1)
    outbox.acknowledged(old, 1)
    assert outbox.cursors[1] == Cursor(102, 5000, 5007)


def test_after_a_crash_both_sides_go_on_where_they_were() -> None:
    state = SinkState("store", (Cursor(90), Cursor(102, 5000, 5007)), 5010)
    outbox: Outbox[str] = Outbox(state, Limits(split=50), city=False)
    live, old, alarm = outbox.ask(LIVE), outbox.ask(BACKLOG), outbox.ask(ALARM)
    assert live is not None
    assert old is not None
    assert alarm is not None
    assert (live.pos, old.pos, old.upto, alarm.pos) == (5007, 102, 5000, 90)


def test_a_backlog_that_reaches_what_went_beside_it_is_none_any_more() -> None:
    outbox = outbox_at(done=100, last=200, split=50)
    (new,) = give(outbox, [201])
    (old,) = give(outbox, [199], BACKLOG)
    outbox.through(BACKLOG, 200)
    outbox.acknowledged(new, 1)
    assert outbox.replaying
    outbox.acknowledged(old, 1)
    assert (outbox.cursors[1], outbox.replaying) == (Cursor(201), False)
    assert outbox.ask(BACKLOG) is None


def test_what_live_data_could_not_keep_up_with_becomes_a_backlog_without_doubles() -> None:
    outbox = outbox_at(split=50)
    on_the_way = give(outbox, [101, 102])
    assert outbox.fall_behind(1000)
    old = outbox.ask(BACKLOG)
    assert old is not None
    assert (old.pos, old.upto) == (100, 1000)
    assert [outbox.needs(BACKLOG, pos) for pos in (101, 102, 103)] == [False, False, True]
    outbox.pass_by(BACKLOG, 101)
    outbox.pass_by(BACKLOG, 102)
    (third,) = give(outbox, [103], BACKLOG)
    outbox.acknowledged(third, 1)
    assert outbox.cursors[1] == Cursor(100, 102, 103)
    for group in on_the_way:
        outbox.acknowledged(group, 1)
    assert done(outbox) == 103


def test_a_backlog_goes_around_what_was_confirmed_within_it() -> None:
    outbox = outbox_at(done=100, last=1000, split=50)
    (new,) = give(outbox, [1005])
    outbox.acknowledged(new, 1)
    assert outbox.fall_behind(9000)
    outbox.through(BACKLOG, 1000)
    old = outbox.ask(BACKLOG)
    assert old is not None
    assert (old.pos, old.upto) == (1005, 9000)


def test_a_backlog_is_bounded_in_batches_and_in_bytes() -> None:
    outbox = outbox_at(done=0, last=10**9, backlog=10, backlog_bytes=1000)
    groups = give(outbox, range(1, 5), BACKLOG)
    ask = outbox.ask(BACKLOG)
    assert ask is not None
    assert ask.limit == 6
    outbox.weigh(groups[0], 1000)
    assert outbox.ask(BACKLOG) is None
    outbox.acknowledged(groups[0], 1)
    assert outbox.ask(BACKLOG) is not None


def test_a_receipt_beyond_all_measure_is_not_even_read() -> None:
    ranges = [[number, number] for number in range(10_000)]
    payload = json.dumps({"store": "a", "positions": ranges}).encode()
    assert parse_receipt(payload, "a") is None
    assert parse_receipt(b'{"store": "a", "positions": [[1, 2]]}', "a") == ([(1, 2)], [])


@pytest.mark.parametrize("refused", ["[[3, 1]]", "7", '"x"', "null"])
def test_a_receipt_with_nonsense_among_what_is_refused_is_none(refused: str) -> None:
    text = '{"store": "a", "positions": [], "refused": %s}'
    assert parse_receipt((text % refused).encode(), "a") is None
    assert parse_receipt((text % "[[1, 3]]").encode(), "a") == ([], [(1, 3)])


class SpansAreSets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.spans = Spans()
        self.model: set[int] = set()

    @rule(low=st.integers(0, 40), size=st.integers(-2, 10))
    def add(self, low: int, size: int) -> None:
        self.spans.add(low, low + size)
        self.model |= set(range(low + 1, low + size + 1))

    @invariant()
    def same(self) -> None:
        ranges = list(self.spans)
        assert {number for low, high in ranges for number in range(low + 1, high + 1)} == (
            self.model
        )
        assert all(one[1] < other[0] for one, other in pairwise(ranges))

    @rule(number=st.integers(0, 55))
    def asked(self, number: int) -> None:
        assert (number in self.spans) == (number in self.model)
        end = number
        while end + 1 in self.model:
            end += 1
        assert self.spans.end(number) == end
        above = [pos - 1 for pos in self.model if pos - 1 >= number and pos - 1 not in self.model]
        assert self.spans.next(end) == min((low for low in above if low >= end), default=None)
        assert self.spans.held(number, number + 9) == len(
            self.model & set(range(number + 1, number + 10))
        )


class Sink(RuleBasedStateMachine):
    """A store of numbered batches, a broker or city that loses and refuses, and the outbox."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: dict[int, Lane] = {}
        self.last = 0
        self.delivered: set[int] = set()
        self.set_aside: set[int] = set()
        self.saved = (Cursor(0), Cursor(0))
        self.now_ms = 0
        self.city = False
        self.begin()

    def begin(self) -> None:
        state = SinkState("store", self.saved, self.last)
        limits = Limits(window=3, backlog=6, split=5, again_ms=100, held_ms=50)
        self.outbox: Outbox[str] = Outbox(state, limits, city=self.city)
        self.flying: list[Group[str]] = []
        self.given: dict[Part, int] = dict.fromkeys(Part, 0)

    @rule(lanes=st.lists(st.sampled_from(Lane), min_size=1, max_size=12))
    def commit(self, lanes: list[Lane]) -> None:
        for lane in lanes:
            self.last += 1
            self.lanes[self.last] = lane

    @rule(part=st.sampled_from(Part), together=st.integers(1, 4), wanted=st.integers(0, 7))
    def read(self, part: Part, together: int, wanted: int) -> None:
        """Read, give out in groups, keep back some batches (those of a filter)."""
        ask = self.outbox.ask(part)
        if ask is None:
            return
        end = self.last if ask.upto is None else min(ask.upto, self.last)
        rows = [pos for pos in range(ask.pos + 1, end + 1) if self.lanes[pos] is part.lane][
            : ask.limit
        ]
        load: list[int] = []
        for pos in rows:
            if not self.outbox.needs(part, pos):
                self.give(part, load)
                load = []
                self.outbox.pass_by(part, pos)
            elif pos % 8 == wanted:
                self.set_aside.add(pos)
            else:
                load.append(pos)
            if len(load) == together:
                self.give(part, load)
                load = []
        self.give(part, load)
        self.outbox.through(part, rows[-1] if len(rows) == ask.limit else max(end, ask.pos))

    def give(self, part: Part, load: list[int]) -> None:
        if not load:
            return
        assert load == sorted(load)
        assert load[0] > self.given[part], "the order of a part is kept"
        assert not set(load) & self.delivered & self.held_by_outbox()
        self.given[part] = load[-1]
        self.flying.append(self.outbox.give(part, load, ""))

    def held_by_outbox(self) -> set[int]:
        """What the outbox itself knows to be confirmed."""
        return {
            pos
            for pos in range(1, self.last + 1)
            if not self.outbox.needs(
                Part.ALARM if self.lanes[pos] is Lane.ALARM else Part.LIVE, pos
            )
        }

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self.flying))
        self.flying.remove(group)
        if not self.city:
            self.delivered |= set(group.positions)
        self.outbox.acknowledged(group, self.now_ms)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), finally_=st.booleans())
    def refuse(self, data: st.DataObject, finally_: bool) -> None:
        group = data.draw(st.sampled_from(self.flying))
        self.flying.remove(group)
        if not finally_:
            self.outbox.hold(group, self.now_ms)
        elif len(group.positions) > 1:
            self.flying += self.outbox.divide(group, ("", ""))
        else:
            self.set_aside |= set(group.positions)
            self.outbox.drop(group)

    @rule(first=st.integers(0, 60), size=st.integers(0, 20), readable=st.booleans())
    def receipt(self, first: int, size: int, readable: bool) -> None:
        ranges = [(first, first + size)]
        if readable:
            known = self.known()
            self.outbox.receipt(ranges)
            self.delivered |= known - self.known()
        else:
            self.set_aside |= set(self.outbox.receipt([], ranges))

    def known(self) -> set[int]:
        """What the outbox would believe a receipt of."""
        return {pos for line in self.outbox._lines for pos in line.parcels}

    @rule(wait_ms=st.integers(1, 120), part=st.sampled_from(Part))
    def wait(self, wait_ms: int, part: Part) -> None:
        self.now_ms += wait_ms
        self.flying += self.outbox.overdue(part, self.now_ms)

    @rule()
    def lose(self) -> None:
        self.outbox.lost()
        self.outbox.fall_behind(self.last)
        self.flying = []
        self.given = dict.fromkeys(Part, 0)

    @rule()
    def fall_behind(self) -> None:
        self.outbox.fall_behind(self.last)

    @rule()
    def save(self) -> None:
        self.saved = self.outbox.cursors

    @rule(city=st.booleans())
    def crash(self, city: bool) -> None:
        self.city = city
        self.begin()

    @invariant()
    def nothing_is_taken_for_confirmed_that_is_not(self) -> None:
        for lane, cursor in zip(Lane, self.outbox.cursors, strict=True):
            for pos in range(1, self.last + 1):
                passed = pos <= cursor.done or cursor.ahead_from < pos <= cursor.ahead_to
                if passed and self.lanes[pos] is lane:
                    assert pos in self.delivered | self.set_aside

    @invariant()
    def no_more_than_allowed_is_on_its_way(self) -> None:
        for part, most in ((ALARM, 3), (LIVE, 3), (BACKLOG, 6)):
            parcels = self.outbox._lines[part.lane].parcels.values()
            assert sum(one.group is not None and one.group.part is part for one in parcels) <= most

    def teardown(self) -> None:
        """Whatever happened: with a good line everything arrives."""
        self.city = False
        self.saved = self.outbox.cursors
        self.begin()
        for _ in range(self.last + 3):
            for part in Part:
                self.read(part, 4, 7)
                for group in self.flying:
                    self.delivered |= set(group.positions)
                    self.outbox.acknowledged(group, 0)
                self.flying = []
        for lane, cursor in zip(Lane, self.outbox.cursors, strict=True):
            assert cursor == Cursor(max(self.last, cursor.done)), lane
        assert set(self.lanes) <= self.delivered | self.set_aside
        assert not self.outbox.replaying


TestSpans = SpansAreSets.TestCase
TestSpans.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestSink = Sink.TestCase
TestSink.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
