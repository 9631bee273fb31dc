"""Every kind of rule against its definition, computed the slow way from the whole history."""

from copy import deepcopy
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol.rules.catalogue import build_rule

START = 1000
VALUES = st.one_of(st.none(), st.integers(0, 12), st.integers(0, 12))
UNDECIDED = (False, None, None, None, None)
STEPS = st.one_of(st.integers(0, 12), st.sampled_from([0, 1, 10, 30]))
SERIES = st.lists(st.tuples(STEPS, VALUES), max_size=40)
LAPSES = st.sets(st.integers(START, START + 500))
TIMES = st.integers(0, 25)
FRESH = st.one_of(st.none(), st.integers(1, 15))


def calls_of(series):
    """Turn steps into times."""
    times = accumulate((step for step, _ in series), initial=START)
    return list(zip(list(times)[1:], [value for _, value in series], strict=True))


def readings_of(calls):
    return [(at, value) for at, value in calls if value is not None]


def latest(calls):
    return (calls[-1][0] if calls else START) + 60


def explained(rule):
    return (rule.raised, rule.since_ms, rule.decided_ms, rule.value, rule.value_ms)


class Watch:
    """Asks a rule after every call, as who reports its changes does."""

    def __init__(self, kind, parameters):
        self.rule = build_rule(kind, parameters)
        self.decisions = []
        self.raised = False

    def look(self):
        if self.rule.raised != self.raised:
            self.raised = self.rule.raised
            self.decisions.append(explained(self.rule))

    def run(self, calls, lapses=(), late=False):
        """Return all decisions; `late` readings come again when newer ones were there."""
        self.rule.lapse(START)
        waiting = sorted(lapses)
        heard = START
        for at, value in calls:
            while waiting and waiting[0] < at:
                self.rule.lapse(waiting.pop(0))
                self.look()
            self.rule.lapse(at - 1)
            self.look()
            self.rule.take(value, at)
            self.look()
            heard = at if value is not None else heard
            if late and heard > START:
                self.rule.take(0 if value else 12, heard - 1)
                self.look()
        self.rule.lapse(latest(calls))
        self.look()
        return self.decisions


def unwatched(kind, parameters, calls):
    """Return the last decision of a rule that nobody looked at in between."""
    rule = build_rule(kind, parameters)
    rule.lapse(START)
    for at, value in calls:
        rule.take(value, at)
    rule.lapse(latest(calls))
    return explained(rule)


def settles(rule, at):
    """Whether wait_ms is when time alone turns the rule, and not a millisecond earlier."""
    wait_ms = rule.wait_ms(at)
    later, earlier = deepcopy(rule), deepcopy(rule)
    later.lapse(at + (10**9 if wait_ms is None else wait_ms))
    if wait_ms != 0:
        earlier.lapse(at + (wait_ms or 1) - 1)
    return earlier.raised == rule.raised and later.raised == (rule.raised ^ (wait_ms is not None))


class HoldModel:
    """A rule with durations: each millisecond is looked at on its own."""

    def __init__(self, judge, for_ms, clear_for_ms, fresh_ms):
        self.judge = judge
        self.durations = (for_ms, clear_for_ms)
        self.fresh_ms = fresh_ms
        self.decisions = []

    def run(self, calls):
        seen = []
        readings = readings_of(calls)
        for now in range(START, latest(calls) + 1):
            here = [reading for reading in readings if reading[0] == now]
            if not here:
                self.decide(seen, now)
            for reading in here:
                seen.append(reading)
                self.decide(seen, now)
        return self.decisions

    def decide(self, seen, now):
        raised = len(self.decisions) % 2 == 1
        alike = self.alike(seen, -1 if raised else 1)
        if not alike or now - alike[0][0] < self.durations[raised]:
            return
        age_ms = now - alike[-1][0]
        if age_ms and (raised if self.fresh_ms is None else age_ms > self.fresh_ms):
            return
        self.decisions.append((not raised, alike[0][0], now, alike[-1][1], alike[-1][0]))

    def alike(self, seen, wanted):
        """Return the newest readings that all say so, each standing until the next."""
        found = []
        for reading in reversed(seen):
            gap_ms = found[0][0] - reading[0] if found else 0
            broken = self.fresh_ms is not None and gap_ms > self.fresh_ms
            if self.judge(reading[1]) != wanted or broken:
                break
            found.insert(0, reading)
        return found


def limits(above, below, clear_below, clear_above):
    def judge(value):
        if value >= above or value <= below:
            return 1
        return -1 if clear_above < value < clear_below else 0

    return judge


@given(SERIES, TIMES, TIMES, FRESH, LAPSES)
def test_a_limit_decides_what_its_definition_does(series, for_ms, clear_for_ms, fresh_ms, lapses):
    calls = calls_of(series)
    bounds = {"above": 9, "below": 2, "clear_below": 8, "clear_above": 3}
    durations = {"for_ms": for_ms, "clear_for_ms": clear_for_ms, "fresh_ms": fresh_ms}
    parameters = {**bounds, **durations}
    expected = HoldModel(limits(**bounds), *durations.values()).run(calls)
    assert Watch("limit", parameters).run(calls) == expected
    assert Watch("limit", parameters).run(calls, lapses) == expected
    assert Watch("limit", parameters).run(calls, late=True) == expected
    assert unwatched("limit", parameters, calls) == (expected[-1] if expected else UNDECIDED)


@given(SERIES, st.integers(0, 1), TIMES, TIMES, FRESH)
def test_a_contact_decides_what_its_definition_does(series, state, for_ms, clear_for_ms, fresh_ms):
    calls = [(at, value and value // 6) for at, value in calls_of(series)]
    durations = {"for_ms": for_ms, "clear_for_ms": clear_for_ms, "fresh_ms": fresh_ms}
    model = HoldModel(lambda value: 1 if bool(value) == bool(state) else -1, *durations.values())
    expected = model.run(calls)
    assert Watch("contact", {"state": state, **durations}).run(calls) == expected


class SilenceModel:
    """Silence: each millisecond is looked at on its own."""

    def __init__(self, for_ms, clear_after):
        self.for_ms = for_ms
        self.clear_after = clear_after

    def run(self, calls):
        decisions = []
        heard = [(START, None)]
        run = []
        readings = readings_of(calls)
        for now in range(START, latest(calls) + 1):
            here = [reading for reading in readings if reading[0] == now]
            raised = len(decisions) % 2 == 1
            since, value = heard[-1]
            if not here and not raised and now - since >= self.for_ms:
                told = None if value is None else since
                decisions.append((True, since, now, value, told))
                run = []
            for at, number in here:
                near = run and at - run[-1] <= self.for_ms
                run = [*run, at] if near else [at]
                heard.append((at, number))
                if len(decisions) % 2 == 1 and len(run) >= self.clear_after:
                    decisions.append((False, run[0], at, number, at))
        return decisions


@given(SERIES, st.integers(1, 15), st.integers(1, 3), LAPSES)
def test_silence_decides_what_its_definition_does(series, for_ms, clear_after, lapses):
    calls = calls_of(series)
    parameters = {"for_ms": for_ms, "clear_after": clear_after}
    expected = SilenceModel(for_ms, clear_after).run(calls)
    assert Watch("silence", parameters).run(calls) == expected
    assert Watch("silence", parameters).run(calls, lapses) == expected
    assert Watch("silence", parameters).run(calls, late=True) == expected
    assert unwatched("silence", parameters, calls) == (expected[-1] if expected else UNDECIDED)


def changes(readings, index, within_ms):
    """Return by how much the value rose and fell at most, within this time before a reading."""
    at, value = readings[index]
    near = [number for when, number in readings[: index + 1] if at - when <= within_ms]
    return value - min(near), max(near) - value


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 400) | st.integers(0, 9), st.integers(-50, 50)), max_size=60
    ),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 2000),
)
def test_no_change_is_missed_and_none_is_found_that_took_a_sixteenth_longer(
    series, rise, fall, within_ms
):
    readings = calls_of(series)
    rule = build_rule("slope", {"rise": rise, "fall": fall, "within_ms": within_ms})
    for index, (at, value) in enumerate(readings):
        rule.take(value, at)
        least = changes(readings, index, within_ms)
        most = changes(readings, index, within_ms + within_ms // 16 + 16)
        if least[0] >= rise or least[1] >= fall:
            assert rule.raised
        if rule.raised:
            assert most[0] >= rise or most[1] >= fall


@given(SERIES, st.integers(1, 12), st.integers(1, 100))
def test_a_slope_says_what_it_compared_and_since_when(series, rise, within_ms):
    calls = calls_of(series)
    rule = build_rule("slope", {"rise": rise, "within_ms": within_ms})
    for at, value in calls:
        before = rule.raised
        rule.take(value, at)
        if rule.raised and not before:
            assert (rule.decided_ms, rule.value, rule.value_ms) == (at, value, at)
            assert rule.value - rule.reference >= rule.limit == rise
            assert (rule.since_ms, rule.reference) in calls
            assert at - rule.since_ms <= within_ms + within_ms // 16 + 16


@given(SERIES, st.integers(1, 12), st.integers(1, 100), TIMES)
def test_a_slope_clears_after_its_time_without_the_change(series, fall, within_ms, clear_for_ms):
    readings = readings_of(calls_of(series))
    plain = build_rule("slope", {"fall": fall, "within_ms": within_ms})
    verdicts = []
    for at, value in readings:
        plain.take(value, at)
        verdicts.append(1 if plain.raised else -1)
    judged = [(at, verdict) for (at, _), verdict in zip(readings, verdicts, strict=True)]
    model = HoldModel(lambda verdict: verdict, 0, clear_for_ms, None)
    expected = [(raised, now) for raised, _, now, _, _ in model.run(judged)]
    parameters = {"fall": fall, "within_ms": within_ms, "clear_for_ms": clear_for_ms}
    found = Watch("slope", parameters).run(readings)
    assert [(raised, now) for raised, _, now, _, _ in found] == expected


@given(
    SERIES,
    st.sampled_from(
        [
            ("limit", {"above": 8, "clear_below": 6, "for_ms": 9, "clear_for_ms": 5}),
            ("limit", {"above": 8, "for_ms": 9, "clear_for_ms": 5, "fresh_ms": 7}),
            ("limit", {"below": 5, "for_ms": 0, "clear_for_ms": 7, "fresh_ms": 8}),
            ("contact", {"state": 0, "for_ms": 3}),
            ("silence", {"for_ms": 4, "clear_after": 2}),
            ("slope", {"rise": 4, "within_ms": 20, "clear_for_ms": 9}),
        ]
    ),
)
def test_a_rule_says_when_time_alone_decides(series, setting):
    rule = build_rule(*setting)
    rule.lapse(START)
    for at, value in calls_of(series):
        rule.take(value, at)
        assert settles(rule, at)
