import pytest

from lilong_firmware.fields import Fields
from lilong_firmware.output import FAILED, OFF, ON, open_outputs
from lilong_firmware.rule_settings import RuleSettings
from lilong_firmware.settings import Sampling

FLOOD, FIRE = 1, 2


class Pin:
    """Notes its levels; refuses while it is broken."""

    def __init__(self, level):
        self.levels = [level]
        self.broken = False

    def value(self, level):
        if self.broken:
            raise OSError(5, "no expander")
        self.levels.append(level)


class Bench:
    """One output, its pin, and what was logged."""

    def __init__(self, longest_s=0, on=1, error=None):
        self.lines = []
        self.error = error
        channels = [
            {"number": 0, "name": "level", "privacy": 0},
            {"number": 1, "name": "flood", "privacy": 0, "source": "rules.flood"},
            {"number": 2, "name": "siren", "privacy": 0, "source": "outputs.siren"},
        ]
        rule = {"name": "flood", "kind": "limit", "channel": "level", "above": 1}
        siren = {"pin": 25, "on": on, "longest_s": longest_s, "allow": ["flood"]}
        document = {"channels": channels, "sensor": {"kind": "river"}, "rules": [rule]}
        fields = Fields({**document, "outputs": {"siren": siren}})
        settings = RuleSettings(fields, Sampling(fields).channels)
        (self.output,) = open_outputs(settings, self.open, self.lines.append)

    def open(self, number, level):
        assert number == 25
        if self.error is not None:
            raise self.error
        self.pin = Pin(level)
        return self.pin

    @property
    def level(self):
        return self.pin.levels[-1]


@pytest.mark.parametrize("on", [0, 1])
def test_an_output_starts_off_at_the_level_that_is_off(on):
    bench = Bench(on=on)
    assert bench.pin.levels == [1 - on]
    assert bench.output.state == OFF


@pytest.mark.parametrize("on", [0, 1])
def test_an_output_is_on_while_one_of_its_rules_holds_it(on):
    bench = Bench(on=on)
    bench.output.hold(FLOOD, 10)
    assert (bench.level, bench.output.state) == (on, ON)
    bench.output.hold(FIRE, 20)
    bench.output.let_go(FLOOD, 30)
    assert bench.level == on
    bench.output.let_go(FIRE, 40)
    assert (bench.level, bench.output.state) == (1 - on, OFF)
    assert len(bench.pin.levels) == 3


def test_the_rule_that_came_last_may_be_the_first_to_clear():
    bench = Bench()
    bench.output.hold(FLOOD, 10)
    bench.output.hold(FIRE, 20)
    bench.output.let_go(FIRE, 30)
    assert bench.level == 1


def test_an_output_without_a_longest_time_stays_on():
    bench = Bench()
    bench.output.hold(FLOOD, 0)
    assert bench.output.wait_ms(0) is None
    bench.output.lapse(10**9)
    assert bench.level == 1


def test_an_output_goes_off_after_its_time_and_stays_off_while_the_rule_holds():
    bench = Bench(longest_s=5)
    bench.output.hold(FLOOD, 1000)
    assert bench.output.wait_ms(2000) == 4000
    bench.output.lapse(5999)
    assert bench.level == 1
    bench.output.lapse(6000)
    assert (bench.level, bench.output.state, bench.output.wait_ms(6000)) == (0, OFF, None)
    bench.output.hold(FLOOD, 7000)
    assert bench.level == 0


def test_an_output_whose_time_was_over_serves_again_when_the_rule_has_cleared():
    bench = Bench(longest_s=5)
    bench.output.hold(FLOOD, 0)
    bench.output.lapse(5000)
    bench.output.let_go(FLOOD, 6000)
    bench.output.hold(FLOOD, 7000)
    assert bench.level == 1
    bench.output.lapse(11999)
    assert bench.level == 1
    bench.output.lapse(12000)
    assert bench.level == 0


def test_another_rule_switches_on_what_has_had_its_time():
    bench = Bench(longest_s=5)
    bench.output.hold(FLOOD, 0)
    bench.output.lapse(5000)
    bench.output.hold(FIRE, 6000)
    assert bench.level == 1
    bench.output.let_go(FIRE, 7000)
    assert bench.level == 0


def test_the_time_of_an_output_is_that_of_the_pin_and_not_of_the_rule():
    bench = Bench(longest_s=5)
    bench.output.hold(FLOOD, 0)
    bench.output.hold(FIRE, 4000)
    bench.output.lapse(5000)
    assert bench.level == 0
    bench.output.let_go(FLOOD, 6000)
    assert bench.level == 0


def test_off_is_off_whoever_holds_it():
    bench = Bench()
    bench.output.hold(FLOOD | FIRE, 0)
    bench.output.off()
    assert (bench.level, bench.output.state) == (0, OFF)


@pytest.mark.parametrize("error", [ValueError("invalid pin"), OSError(19, "no device")])
def test_a_pin_that_does_not_exist_is_told_and_never_an_error(error):
    bench = Bench(error=error)
    assert bench.output.state == FAILED
    assert bench.lines == [f"outputs.siren.pin: {error}; look at settings and wires"]
    bench.output.hold(FLOOD, 0)
    bench.output.lapse(10)
    bench.output.off()
    assert (bench.output.state, len(bench.lines)) == (FAILED, 1)


def test_a_pin_that_fails_is_told_once_and_tried_until_it_follows():
    bench = Bench(longest_s=5)
    bench.pin.broken = True
    bench.output.hold(FLOOD, 0)
    bench.output.lapse(100)
    assert (bench.output.state, len(bench.lines), bench.level) == (FAILED, 1, 0)
    bench.pin.broken = False
    bench.output.lapse(200)
    assert (bench.output.state, bench.level) == (ON, 1)
    bench.pin.broken = True
    bench.output.lapse(5000)
    bench.pin.broken = False
    assert (bench.output.state, bench.level) == (FAILED, 1)
    bench.output.lapse(5200)
    assert (bench.output.state, bench.level) == (OFF, 0)
