from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_gateway.radio.ladder import LOOK_MS, Ladder, Step

HOUR_MS = 3_600_000


class Watch:
    """A ladder that is looked at every ten seconds."""

    def __init__(self, adapters: tuple[str, ...] = ("hci0",), *, alone: bool = True) -> None:
        self.now_ms = 0
        self.adapters = adapters
        self.ladder = Ladder(adapters, 0)
        self.expected = True
        self.alone = alone
        self.steps: list[tuple[int, str, Step]] = []
        self.reasons: list[str] = []

    def pass_time(self, ms: int, hearing: tuple[str, ...] = (), failing: int = 0) -> None:
        """Let time go by; each ten seconds so many nodes cannot be connected to."""
        for _ in range(ms // LOOK_MS):
            self.now_ms += LOOK_MS
            for adapter in hearing:
                self.ladder.heard(adapter, self.now_ms)
            for number in range(failing):
                self.ladder.failed(self.adapters[0], bytes([number]) * 8, self.now_ms)
            for remedy in self.ladder.look(self.now_ms, expected=self.expected, alone=self.alone):
                self.steps.append((self.now_ms // 1000, remedy.adapter, remedy.step))
                self.reasons.append(remedy.reason)

    @property
    def taken(self) -> list[Step]:
        return [step for _, _, step in self.steps]


def test_an_adapter_that_hears_is_left_alone():
    watch = Watch()
    watch.pass_time(2 * HOUR_MS, hearing=("hci0",))
    assert watch.steps == []


def test_a_silent_adapter_is_treated_step_by_step_with_rests_that_grow():
    watch = Watch(alone=False)
    watch.pass_time(700_000)
    assert watch.steps == [
        (90, "hci0", Step.SCAN),
        (120, "hci0", Step.POWER),
        (180, "hci0", Step.SCAN),
        (240, "hci0", Step.POWER),
        (360, "hci0", Step.SCAN),
        (480, "hci0", Step.POWER),
    ]
    assert watch.reasons[0] == "hci0 has heard no advertisement for 90 s"


def test_silence_is_no_complaint_where_no_node_is_expected():
    watch = Watch()
    watch.expected = False
    watch.pass_time(HOUR_MS)
    assert watch.steps == []


def test_one_advertisement_ends_the_silence():
    watch = Watch()
    watch.pass_time(100_000)
    watch.ladder.heard("hci0", watch.now_ms)
    watch.pass_time(80_000)
    assert watch.taken == [Step.SCAN]


def test_twelve_failures_in_a_row_are_treated_and_counted_anew_after_each_step():
    watch = Watch()
    watch.pass_time(50_000, hearing=("hci0",), failing=2)
    assert watch.steps == []
    watch.pass_time(10_000, hearing=("hci0",), failing=2)
    assert watch.taken == [Step.SCAN]
    assert watch.reasons == [
        "hci0 failed to connect 12 times in a row within 50 s, nodes: 2",
    ]
    watch.pass_time(60_000, hearing=("hci0",), failing=2)
    assert watch.taken == [Step.SCAN, Step.POWER]


def test_a_connection_makes_an_adapter_well():
    watch = Watch()
    for _ in range(100):
        watch.pass_time(50_000, hearing=("hci0",), failing=2)
        watch.ladder.connected("hci0")
    assert watch.steps == []
    watch.pass_time(60_000, hearing=("hci0",), failing=2)
    watch.ladder.connected("hci0")
    watch.pass_time(60_000, hearing=("hci0",), failing=2)
    assert watch.taken == [Step.SCAN, Step.SCAN]


def test_failures_that_are_far_between_are_no_complaint():
    watch = Watch()
    for _ in range(60):
        watch.pass_time(60_000, hearing=("hci0",))
        watch.ladder.failed("hci0", bytes(8), watch.now_ms)
    assert watch.steps == []


def test_a_quarter_of_an_hour_without_complaint_makes_an_adapter_well():
    watch = Watch()
    watch.pass_time(90_000)
    watch.pass_time(910_000, hearing=("hci0",))
    watch.pass_time(90_000)
    assert watch.taken == [Step.SCAN, Step.SCAN]


def test_the_process_ends_when_nothing_in_it_works_but_not_in_its_first_quarter_of_an_hour():
    watch = Watch()
    watch.pass_time(890_000)
    assert Step.EXIT not in watch.taken
    watch.pass_time(200_000)
    assert Step.EXIT in watch.taken
    assert watch.reasons[watch.taken.index(Step.EXIT)].startswith("hci0 has heard no advert")
    assert watch.steps[watch.taken.index(Step.EXIT)][0] >= 900


def test_the_process_goes_on_while_something_else_in_it_works():
    watch = Watch(alone=False)
    watch.pass_time(6 * HOUR_MS)
    assert Step.EXIT not in watch.taken
    late = [at_s for at_s, _, _ in watch.steps if at_s > 10_000]
    assert {after - before for before, after in pairwise(late)} == {900}


def test_the_process_goes_on_while_another_adapter_works():
    watch = Watch(("hci0", "hci1"))
    watch.pass_time(6 * HOUR_MS, hearing=("hci1",))
    assert {adapter for _, adapter, _ in watch.steps} == {"hci0"}
    assert Step.EXIT not in watch.taken
    watch.pass_time(HOUR_MS)
    assert watch.taken[-1] is Step.EXIT


def test_the_process_does_not_end_because_of_one_dead_node():
    watch = Watch()
    watch.pass_time(6 * HOUR_MS, hearing=("hci0",), failing=1)
    assert Step.POWER in watch.taken
    assert Step.EXIT not in watch.taken


def test_the_process_ends_when_no_node_at_all_can_be_reached():
    watch = Watch()
    watch.pass_time(HOUR_MS, hearing=("hci0",), failing=2)
    assert Step.EXIT in watch.taken


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(10_000, 600_000),
            st.sets(st.sampled_from(["hci0", "hci1"])),
            st.integers(0, 3),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_steps_alternate_and_are_never_closer_than_half_a_minute(course, alone):
    watch = Watch(("hci0", "hci1"), alone=alone)
    for ms, hearing, failing in course:
        watch.pass_time(ms, tuple(hearing), failing)
    for adapter in watch.adapters:
        own = [each for each in watch.steps if each[1] == adapter and each[2] is not Step.EXIT]
        for (before_s, _, before), (after_s, _, after) in pairwise(own):
            assert after_s - before_s >= (30 if before is Step.SCAN else 60)
            assert after is Step.SCAN or before is Step.SCAN
    ends = [at_s for at_s, _, step in watch.steps if step is Step.EXIT]
    assert not ends or (alone and ends[0] >= 900)
