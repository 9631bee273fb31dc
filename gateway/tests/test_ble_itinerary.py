from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lilong_gateway.radio.candidate import Wish
from lilong_gateway.radio.itinerary import Itinerary, Outcome
from lilong_gateway.radio.neighbourhood import CANDIDATES
from lilong_gateway.radio.slots import Visit
from lilong_protocol.advert import Told

START_MS = 1_000_000
MINUTE_MS = 60_000


def told(waiting: int = 0, age_s: int = 0, *, alarm: bool = False) -> Told:
    return Told(
        alarm=alarm,
        raised=alarm,
        device_class=2,
        waiting=waiting,
        age_s=age_s,
        supply_mv=None,
        channel=0,
        seq=0,
    )


def eui(number: int) -> bytes:
    return number.to_bytes(8, "big")


def half() -> float:
    return 0.5


class Street:
    """A plan, its clock, and short words for what happens."""

    def __init__(self, adapters: tuple[str, ...] = ("hci0",), slots: int = 5) -> None:
        self.now_ms = START_MS
        self.plan = Itinerary(adapters, slots, half)

    def hear(self, number: int, news: Told | None, rssi: int = -60, adapter: str = "hci0") -> bool:
        address = f"{adapter}-{number}"
        return self.plan.heard(adapter, eui(number), address, rssi, news, self.now_ms)

    def next(self) -> Visit | None:
        return self.plan.next_visit(self.now_ms)

    def connect(self) -> Visit:
        visit = self.next()
        assert visit is not None
        self.plan.connected(visit)
        return visit

    def end(
        self, visit: Visit, outcome: Outcome = Outcome.SESSION, *, drained: bool = True
    ) -> None:
        self.plan.ended(visit, outcome, self.now_ms, drained=drained)

    def serve(self) -> int:
        """Make one whole visit; give which node it was to."""
        visit = self.connect()
        self.end(visit)
        return int.from_bytes(visit.eui, "big")

    def leave(self, visit: Visit) -> bool:
        return self.plan.should_leave(visit, self.now_ms)

    @property
    def due_in_ms(self) -> int | None:
        due_ms = self.plan.due_ms(self.now_ms)
        return None if due_ms is None else due_ms - self.now_ms


def test_nobody_is_visited_before_it_is_heard():
    street = Street()
    assert street.next() is None
    assert street.due_in_ms is None
    street.plan.wants(eui(1), Wish.PROMPT, street.now_ms)
    assert street.next() is None


def test_a_node_that_is_heard_is_visited_where_it_is_heard():
    street = Street(("hci0", "hci1"))
    assert street.hear(1, told(1), adapter="hci1")
    assert street.due_in_ms == 0
    visit = street.connect()
    assert (visit.adapter, visit.eui, visit.address) == ("hci1", eui(1), "hci1-1")


def test_a_node_is_visited_once_at_a_time():
    street = Street(("hci0", "hci1"))
    street.hear(1, told(1))
    street.hear(1, told(1), adapter="hci1")
    street.connect()
    assert not street.hear(1, told(1, alarm=True))
    assert street.next() is None


def test_an_adapter_connects_to_one_node_at_a_time():
    street = Street()
    for number in range(3):
        street.hear(number, told(1))
    first = street.next()
    assert first is not None
    assert street.next() is None
    street.plan.connected(first)
    assert street.next() is not None


def test_urgency_is_alarm_then_wish_then_batches_then_routine():
    street = Street()
    street.hear(4, told(0))
    assert street.serve() == 4
    street.now_ms += 601_000
    street.hear(4, told(0))
    street.hear(3, told(100, 100))
    street.plan.wants(eui(2), Wish.PROMPT, street.now_ms)
    street.hear(2, told(0))
    street.hear(1, told(1, alarm=True))
    assert [street.serve() for _ in range(4)] == [1, 2, 3, 4]
    assert street.next() is None


def test_what_waits_longer_goes_first_and_of_the_same_age_what_is_more():
    street = Street()
    street.hear(1, told(1, 8))
    street.hear(2, told(64, 8))
    street.hear(3, told(1, 256))
    assert [street.serve() for _ in range(3)] == [3, 2, 1]


def test_a_connect_that_is_lost_costs_a_node_its_pause_and_not_its_turn():
    street = Street()
    street.hear(1, told(16, 512))
    street.hear(2, told(1, 256))
    for count in range(4):
        street.now_ms += 61_000
        street.hear(1, told(16, 512))
        street.hear(2, told(1, 256))
        visit = street.connect()
        # Two lost ones are chance; a node that cannot be reached lets others go first.
        assert visit.eui == eui(1 if count < 3 else 2)
        street.end(visit, Outcome.FAILED)


def test_of_equal_nodes_the_one_with_the_better_signal_goes_first():
    street = Street()
    street.hear(1, told(1, 8), rssi=-80)
    street.hear(2, told(1, 8), rssi=-50)
    assert [street.serve() for _ in range(2)] == [2, 1]


def test_the_age_of_what_waits_goes_on_while_the_same_is_told():
    street = Street()
    street.hear(1, told(1, 8))
    street.now_ms += 7_000
    street.hear(1, told(1, 8))
    street.hear(2, told(1, 8))
    assert street.serve() == 1


def test_the_age_of_what_waits_is_never_more_than_the_advertisement_leaves_open():
    street = Street()
    for number in (1, 2):
        street.hear(number, told(0))
        street.serve()
    street.now_ms += 10_000
    street.hear(1, told(1, 8))
    street.now_ms += 50_000
    street.hear(1, told(1, 8))  # between 8 and 16 s: another gateway was there meanwhile
    street.hear(2, told(1, 32))
    assert street.serve() == 2


def test_an_update_takes_turns_with_the_batches_of_others():
    street = Street()
    street.plan.wants(eui(1), Wish.BULK, street.now_ms)
    street.hear(1, told(0))
    street.now_ms += 1_000
    street.hear(1, told(0))
    street.hear(2, told(1, 8))
    assert street.serve() == 2
    visit = street.connect()
    assert visit.eui == eui(1)


def test_a_wish_is_gone_when_it_is_withdrawn_or_when_nothing_is_left_to_do():
    street = Street()
    street.hear(1, told(0))
    street.serve()
    street.now_ms += 1_000
    street.hear(1, told(0))
    street.plan.wants(eui(1), Wish.PROMPT, street.now_ms)
    assert street.due_in_ms == 0
    street.plan.wants(eui(1), None, street.now_ms)
    assert street.due_in_ms == 599_000
    street.plan.wants(eui(1), Wish.PROMPT, street.now_ms)
    street.serve()
    assert street.due_in_ms == 600_000


def test_a_wish_that_was_not_met_is_tried_again_after_a_rest():
    street = Street()
    street.plan.wants(eui(1), Wish.PROMPT, street.now_ms)
    street.hear(1, told(0))
    street.end(street.connect(), drained=False)
    assert street.due_in_ms == 5_000


def test_a_drained_node_is_visited_again_when_it_has_something_or_as_a_routine():
    street = Street()
    street.hear(1, told(3))
    street.serve()
    assert street.due_in_ms == 600_000
    street.hear(1, told(1))
    assert street.due_in_ms == 5_000
    street.now_ms += 5_000
    assert street.hear(1, told(1))


def test_an_advertisement_that_could_not_be_read_changes_nothing_but_that_the_node_is_there():
    street = Street()
    street.hear(1, told(1, alarm=True))
    street.hear(1, None)
    assert street.plan.alarms == 1
    street.hear(2, None)
    street.serve()
    assert street.serve() == 2


def test_the_last_slot_is_kept_for_alarms():
    street = Street(slots=3)
    for number in range(4):
        street.hear(number, told(1))
    street.connect()
    street.connect()
    assert street.next() is None
    assert street.due_in_ms is None
    assert street.hear(9, told(1, alarm=True))
    assert street.connect().eui == eui(9)
    street.hear(8, told(1, alarm=True))
    assert street.next() is None


def test_an_only_slot_is_for_everybody():
    street = Street(slots=1)
    street.hear(1, told(1))
    street.connect()
    assert street.plan.used("hci0") == 1


def test_a_failed_node_is_left_alone_for_longer_and_longer():
    street = Street()
    waits = []
    for _ in range(9):
        street.hear(1, told(1))
        street.end(street.connect(), Outcome.FAILED)
        street.hear(1, told(1))
        waits.append(street.due_in_ms)
        street.now_ms += street.due_in_ms
    assert waits == [750, 1500, 3000, 6000, 12000, 24000, 45000, 45000, 45000]
    street.hear(1, told(1))
    street.end(street.connect(), drained=False)
    assert street.due_in_ms == 5_000


def test_an_alarm_shortens_what_a_failed_node_is_left_alone_for():
    street = Street()
    for _ in range(6):
        street.hear(1, told(1))
        street.end(street.connect(), Outcome.FAILED)
        street.hear(1, told(1))
        street.now_ms += street.due_in_ms
    street.hear(1, told(1))
    street.end(street.connect(), Outcome.FAILED)
    street.hear(1, told(1, alarm=True))
    assert street.due_in_ms == 4_000


def test_a_failed_node_is_tried_over_the_other_adapter_at_once():
    street = Street(("hci0", "hci1"))
    street.hear(1, told(1), rssi=-50)
    street.hear(1, told(1), rssi=-80, adapter="hci1")
    visit = street.connect()
    assert visit.adapter == "hci0"
    street.end(visit, Outcome.FAILED)
    assert street.connect().adapter == "hci1"


def test_failures_and_work_make_an_adapter_less_attractive_than_a_better_signal_makes_it():
    street = Street(("hci0", "hci1"))
    for number in range(3):
        street.hear(number, told(1))
        street.connect()
    street.hear(9, told(1), rssi=-60)
    street.hear(9, told(1), rssi=-66, adapter="hci1")
    assert street.connect().adapter == "hci1"


def test_a_weak_node_is_visited_for_an_alarm_or_when_its_batches_are_old():
    street = Street()
    street.hear(1, told(1), rssi=-98)
    assert street.next() is None
    assert street.due_in_ms == 600_000
    street.hear(1, told(1, 1024), rssi=-98)
    assert street.serve() == 1
    street.now_ms += 6_000
    street.hear(1, told(1, 0), rssi=-98)
    assert street.next() is None
    street.hear(1, told(1, 0, alarm=True), rssi=-98)
    assert street.serve() == 1


def test_a_node_that_fell_silent_while_others_are_heard_is_not_called():
    street = Street()
    street.hear(1, told(1))
    for _ in range(10):
        street.now_ms += 1_000
        street.hear(2, told(0))
    assert street.serve() == 2
    assert street.next() is None
    street.hear(1, told(1))
    assert street.serve() == 1


def test_a_pause_of_the_scan_makes_nobody_silent():
    street = Street()
    for number in range(3):
        street.hear(number, told(1))
    first = street.next()
    street.now_ms += 20_000
    street.plan.connected(first)
    assert street.next() is not None


def test_an_adapter_that_has_no_slot_left_is_believed_and_tried_again_later():
    street = Street(slots=5)
    for number in range(5):
        street.hear(number, told(1))
    visits = [street.connect(), street.connect()]
    third = street.next()
    street.end(third, Outcome.NO_SLOT)
    assert street.plan.usable("hci0", street.now_ms) == 2
    street.end(visits[0])
    assert street.due_in_ms is None  # one of the two is for alarms
    street.end(visits[1])
    assert street.due_in_ms == 4_000
    street.now_ms += 300_000
    assert street.plan.usable("hci0", street.now_ms) == 3
    street.now_ms += 3_000_000
    assert street.plan.usable("hci0", street.now_ms) == 5


def test_a_visit_leaves_when_it_was_long_and_somebody_waits_for_its_slot():
    street = Street(slots=2)
    street.hear(1, told(1))
    visit = street.connect()
    street.now_ms += 40_000
    assert not street.leave(visit)
    street.hear(2, told(1))
    assert street.leave(visit)


def test_a_short_visit_goes_on_although_others_wait():
    street = Street(slots=2)
    street.hear(1, told(1))
    street.hear(2, told(1))
    visit = street.connect()
    street.now_ms += 29_000
    street.hear(2, told(1))
    assert not street.leave(visit)


def test_a_long_visit_goes_on_while_there_is_a_slot_for_who_waits():
    street = Street(slots=3)
    street.hear(1, told(1))
    visit = street.connect()
    street.now_ms += 40_000
    street.hear(2, told(1))
    assert not street.leave(visit)
    street.hear(3, told(1))
    street.connect()
    assert street.leave(visit)


def test_a_visit_gives_way_at_once_to_an_alarm_that_finds_no_slot():
    street = Street(("hci0", "hci1"), slots=1)
    street.hear(1, told(1))
    visit = street.connect()
    street.now_ms += 1_000
    street.hear(2, told(1, alarm=True))
    assert street.leave(visit)
    street.hear(2, told(1, alarm=True), adapter="hci1")
    assert not street.leave(visit)


def test_a_slow_connect_gives_way_to_an_alarm():
    street = Street()
    street.hear(1, told(1))
    visit = street.next()
    street.hear(2, told(1, alarm=True))
    street.now_ms += 2_000
    assert not street.leave(visit)
    street.now_ms += 1_000
    assert street.leave(visit)
    street.end(visit, Outcome.FAILED)
    assert street.serve() == 2


def test_a_visit_ends_with_its_adapter_and_may_be_ended_again():
    street = Street(("hci0", "hci1"))
    street.hear(1, told(1))
    street.hear(1, told(1), rssi=-80, adapter="hci1")
    visit = street.connect()
    street.plan.adapter_lost("hci0", street.now_ms)
    assert street.leave(visit)
    assert not street.hear(1, told(1))
    again = street.connect()
    assert again.adapter == "hci1"
    street.end(visit, Outcome.FAILED)
    assert street.plan.used("hci1") == 1
    street.plan.adapter_back("hci0", street.now_ms)
    assert street.hear(2, told(1))


def test_alarms_in_a_storm_do_not_starve_a_node_that_waits_for_a_minute():
    street = Street()
    street.hear(1, told(1, 128))
    for number in range(10, 20):
        street.hear(number, told(1, alarm=True))
    assert [street.serve() for _ in range(5)][3] == 1


def test_an_alarm_is_first_again_after_others_had_their_turn():
    street = Street()
    for number in range(1, 9):
        street.hear(number, told(1, 128))
    for number in range(10, 14):
        street.hear(number, told(1, alarm=True))
    order = [street.serve() for _ in range(6)]
    assert [number >= 10 for number in order] == [True, True, True, False, True, False]


def test_a_node_that_was_not_heard_for_ten_minutes_is_forgotten():
    street = Street()
    street.hear(1, told(1, alarm=True))
    street.now_ms += 11 * MINUTE_MS
    street.hear(2, told(0))
    assert (street.plan.known, street.plan.alarms) == (1, 0)


def test_there_are_never_more_candidates_than_the_bound_and_who_is_visited_stays():
    street = Street()
    street.hear(0, told(1))
    visit = street.connect()
    for number in range(1, CANDIDATES + 3):
        street.now_ms += 1
        street.hear(number, told(1))
    assert street.plan.known == CANDIDATES
    street.end(visit)


def test_a_wish_for_a_node_that_is_heard_later_is_kept():
    street = Street()
    street.plan.wants(eui(1), Wish.PROMPT, street.now_ms)
    street.now_ms += 1_000
    street.hear(2, told(1, 32))
    street.hear(1, told(0))
    assert street.serve() == 1


def run_for(
    street: Street, seconds: int, nodes: int, news: Callable[[int], Told], stay_ms: int
) -> dict[int, list[int]]:
    """Advertise each second, visit as planned; give when each node was visited."""
    visits: list[tuple[int, Visit]] = []
    served = defaultdict(list)
    for _ in range(seconds):
        street.now_ms += 1_000
        for end_ms, visit in [each for each in visits if each[0] <= street.now_ms]:
            visits.remove((end_ms, visit))
            street.end(visit, drained=False)
        for number in range(nodes):
            street.hear(number, news(number))
        while (visit := street.next()) is not None:
            street.plan.connected(visit)
            visits.append((street.now_ms + stay_ms, visit))
            served[int.from_bytes(visit.eui, "big")].append(street.now_ms - START_MS)
    return served


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 14), st.sampled_from([0, 1, 64, 1 << 14]), st.booleans()),
        min_size=2,
        max_size=30,
    ),
    st.integers(1, 3),
)
def test_no_node_starves_whatever_the_others_say_all_the_time(says, slots):
    street = Street(slots=slots)
    nodes = len(says)
    seconds = 150 + 60 * nodes
    served = run_for(
        street,
        seconds,
        nodes,
        lambda number: told(says[number][0], says[number][1], alarm=says[number][2]),
        stay_ms=2_000,
    )
    assert set(served) == set(range(nodes))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_alarm_waits_while_something_else_that_is_young_is_begun(data):
    street = Street(slots=data.draw(st.integers(1, 5)))
    alarms = data.draw(st.sets(st.integers(0, 20), max_size=10))
    for number in data.draw(st.permutations(range(21))):
        waiting = data.draw(st.integers(0, 1 << 14))
        street.hear(number, told(waiting, 16, alarm=number in alarms))
    order = [street.serve() for _ in range(21)]
    assert set(order[: len(alarms)]) == alarms


class Turmoil(RuleBasedStateMachine):
    """Anything in any order; what must hold, holds."""

    ADAPTERS = ("hci0", "hci1")
    SLOTS = 3

    def __init__(self) -> None:
        super().__init__()
        self.street = Street(self.ADAPTERS, self.SLOTS)
        self.open: list[Visit] = []
        self.connecting: dict[str, Visit] = {}

    adapters = st.sampled_from(ADAPTERS)
    numbers = st.integers(0, 12)

    @rule(
        adapter=adapters,
        number=numbers,
        news=st.none()
        | st.builds(told, st.integers(0, 40), st.integers(0, 5000), alarm=st.booleans()),
        rssi=st.integers(-110, -20),
    )
    def hear(self, adapter, number, news, rssi):
        worth = self.street.hear(number, news, rssi, adapter)
        if worth:
            assert self.street.due_in_ms == 0

    @rule(number=numbers, wish=st.sampled_from([None, *Wish]))
    def want(self, number, wish):
        self.street.plan.wants(eui(number), wish, self.street.now_ms)

    @rule(ms=st.integers(1, 100_000))
    def pass_time(self, ms):
        self.street.now_ms += ms

    @rule()
    def begin(self):
        due_ms = self.street.due_in_ms
        visit = self.street.next()
        assert (visit is not None) == (due_ms == 0)
        if visit is not None:
            assert visit.adapter not in self.connecting
            assert visit.eui not in {each.eui for each in self.open}
            self.open.append(visit)
            taken = [each for each in self.open if each.adapter == visit.adapter]
            usable = self.street.plan.usable(visit.adapter, self.street.now_ms)
            assert len(taken) <= usable
            assert visit.alarm or usable == 1 or sum(not each.alarm for each in taken) < usable
            self.connecting[visit.adapter] = visit

    @rule(adapter=adapters)
    def connect(self, adapter):
        if adapter in self.connecting:
            self.street.plan.connected(self.connecting.pop(adapter))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome), drained=st.booleans())
    def end(self, data, outcome, drained):
        visit = data.draw(st.sampled_from(self.open))
        self.open.remove(visit)
        if self.connecting.get(visit.adapter) is visit:
            del self.connecting[visit.adapter]
        self.street.end(visit, outcome, drained=drained)

    @rule(adapter=adapters)
    def lose(self, adapter):
        self.street.plan.adapter_lost(adapter, self.street.now_ms)
        for visit in [each for each in self.open if each.adapter == adapter]:
            assert self.street.leave(visit)
            self.open.remove(visit)
        self.connecting.pop(adapter, None)

    @rule(adapter=adapters)
    def come_back(self, adapter):
        self.street.plan.adapter_back(adapter, self.street.now_ms)

    @invariant()
    def the_slots_are_those_of_the_open_visits(self):
        for adapter in self.ADAPTERS:
            used = self.street.plan.used(adapter)
            assert used == sum(each.adapter == adapter for each in self.open) <= self.SLOTS
            assert 1 <= self.street.plan.usable(adapter, self.street.now_ms) <= self.SLOTS

    @invariant()
    def any_visit_can_be_asked_whether_it_should_leave(self):
        for visit in self.open:
            assert self.street.leave(visit) in {True, False}


TestTurmoil = pytest.mark.filterwarnings("default")(Turmoil.TestCase)
TestTurmoil.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
