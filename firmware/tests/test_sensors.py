import json
import struct
from pathlib import Path

import pytest

import lilong_firmware.sensors
from lilong_firmware.errors import SettingsError
from lilong_firmware.sensors.catalogue import KINDS, build_sensor
from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime
from lilong_firmware.settings import Settings

SCENARIOS = Path(lilong_firmware.sensors.__file__).parents[1] / "scenarios"


def scenario(kind):
    return json.loads((SCENARIOS / f"{kind}.json").read_text())


def run(kind, seed=1, step_ms=None, count=3000):
    step_ms = step_ms or scenario(kind)["report_ms"]
    sensor = build_sensor(kind, seed)
    for index in range(count):
        yield sensor.read(index * step_ms, 848_000_000_000 + index * step_ms)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scenario_is_a_usable_settings_file(kind):
    settings = Settings({**scenario(kind), "eui": "00112233445566aa"}, bytes(8))
    assert settings.problem is None
    assert settings.sampling.sensor.kind == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step_ms", [None, 250, 600_000])
def test_values_stay_inside_the_declared_range(kind, step_ms):
    ranges = {c["number"]: (c["minimum"], c["maximum"]) for c in scenario(kind)["channels"]}
    for seed in (1, 2, 3):
        for readings in run(kind, seed, step_ms, 1500):
            for channel, value in readings:
                assert type(value) is int
                assert ranges[channel][0] <= value <= ranges[channel][1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_declared_channel_is_read_and_moves(kind):
    seen = {}
    for readings in run(kind, count=20_000):
        for channel, value in readings:
            seen.setdefault(channel, set()).add(value)
    assert sorted(seen) == [channel["number"] for channel in scenario(kind)["channels"]]
    assert all(len(values) > 1 for values in seen.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind):
    assert list(run(kind, 5, count=400)) == list(run(kind, 5, count=400))
    assert list(run(kind, 5, count=2000)) != list(run(kind, 6, count=2000))


def test_an_unknown_kind_is_a_settings_error():
    with pytest.raises(SettingsError, match=r"sensor\.kind"):
        build_sensor("sonar", 1)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [("vitals", {3}), ("elevator", {1}), ("crowd", {1}), ("bicycle", {0}), ("river", {0})],
)
def test_privacy_classes_are_those_of_the_scenarios(kind, classes):
    assert {channel["privacy"] for channel in scenario(kind)["channels"]} == classes


def test_the_lift_keeps_to_its_speed_and_to_where_its_speed_brings_it():
    previous = None
    for readings in run("elevator", step_ms=100, count=20_000):
        now = dict(readings)
        assert abs(now[1]) <= 176
        if previous is not None:
            travelled = (now[0] - previous[0]) / 10
            expected = (now[1] + previous[1]) / 200 * 0.1
            assert travelled == pytest.approx(expected, abs=0.11)
        previous = now


def test_the_lift_never_moves_with_open_doors():
    assert not [r for r in run("elevator", step_ms=100) if dict(r)[3] and dict(r)[1]]


def test_heart_and_breath_are_left_out_while_the_bed_is_empty():
    for readings in run("vitals", count=10_000):
        now = dict(readings)
        assert now[2] or not {0, 1} & set(now)


def test_the_crowd_is_who_came_less_who_left():
    for readings in run("crowd"):
        now = dict(readings)
        assert now[2] == now[0] - now[1]


def test_rain_raises_the_river():
    levels = {True: [], False: []}
    for readings in run("river", count=20_000):
        now = dict(readings)
        levels[now[1] > 500].append(now[0])
    mean = {wet: sum(values) / len(values) for wet, values in levels.items()}
    assert mean[True] > mean[False] + 50


class Single(float):
    """A number whose sums and products keep single precision, as all do on a chip."""

    def __new__(cls, value):
        return super().__new__(cls, struct.unpack("f", struct.pack("f", value))[0])

    def __add__(self, other):
        return Single(float(self) + other)

    def __mul__(self, other):
        return Single(float(self) * other)

    __radd__, __rmul__ = __add__, __mul__


def test_the_model_moves_on_after_weeks_of_short_steps_in_single_precision():
    daytime = Daytime(Single(1.0), Single(8.0))
    uptime_ms = 0
    for _ in range(6000):
        uptime_ms += 600_000
        daytime.advance(uptime_ms, None)
    before = daytime.hour, daytime.cycle(43200)
    for _ in range(36_000):
        uptime_ms += 10
        assert daytime.advance(uptime_ms, None) == pytest.approx(0.01)
    assert daytime.hour == pytest.approx(before[0] + 0.1, abs=0.001)
    assert daytime.cycle(43200) == pytest.approx(before[1] + 360 / 43200, abs=1e-6)


@pytest.mark.parametrize("speed", [0.001, 0.5, 3.0])
def test_a_speed_counts_in_the_smallest_steps_too(speed):
    daytime = Daytime(speed, 8.0)
    steps = [daytime.advance(10 * index, None) for index in range(20_000)]
    assert sum(steps) == pytest.approx(199.99 * speed)
    assert daytime.cycle(1000) == pytest.approx(0.19999 * speed, abs=1e-6)


@pytest.mark.parametrize("mean", [0.2, 3.0, 20.0])
def test_chance_occurs_as_often_as_expected(mean):
    chance = Chance(7)
    drawn = [chance.poisson(mean) for _ in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.1)
