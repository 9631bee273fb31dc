import json
from pathlib import Path

import pytest

import lilong_firmware.sensors
from lilong_firmware.clock import Clock
from lilong_firmware.health import Health, Past
from lilong_firmware.introduction import absent_channels, describe_node, health_channels
from lilong_firmware.settings import Settings
from lilong_protocol.descriptor import DESCRIPTOR_LIMIT, decode_descriptor

SCENARIOS = Path(lilong_firmware.sensors.__file__).parents[1] / "scenarios"
KINDS = ["bicycle", "crowd", "elevator", "river", "vitals"]
SLOW = {"report_ms": 100, "batch_ms": 500, "trace": "trace.log", "health_ms": 300}


def table(kind):
    return json.loads((SCENARIOS / f"{kind}.json").read_text())


def settings(document):
    found = Settings(document, bytes(8))
    assert found.problem is None, found.problem
    return found


class Board:
    """A chip with a supply on a pin and a heap that shrinks and grows."""

    def __init__(self, supply=None, celsius=None, block=None):
        self.free = [9000, 7000, 8000]
        self.supply_mv = lambda: supply
        self.chip_celsius = lambda: celsius
        self.largest_block = lambda: block

    def free_heap(self):
        return self.free.pop(0)


class Journal:
    fill_permille = 250
    counters = {"dropped": 3}


class Link:
    damaged = 4


class RoundTrip:
    smoothed_ms = None


class Dispatch:
    repeated = 5
    round_trip = RoundTrip()


def health(board):
    clock = Clock(lambda: 0, lambda a, b: a - b)
    return clock, Health(Past(18, 41, 777), board, clock, Journal(), Link(), Dispatch())


def test_the_table_for_readers_of_data_is_the_one_that_the_firmware_has():
    described = [
        {
            "number": one.number,
            "name": one.name,
            "unit": one.unit,
            "exponent": one.exponent,
            "time_exponent": one.time_exponent,
            "privacy": one.privacy,
            "quantity": one.quantity,
        }
        for one in health_channels()
    ]
    assert table("health")["channels"] == described


@pytest.mark.parametrize("kind", KINDS)
def test_all_health_channels_have_room_beside_those_of_a_scenario(kind):
    sampling = settings(table(kind)).sampling
    descriptor, told = describe_node(sampling, health_channels())
    assert told == [channel.number for channel in health_channels()]
    assert len(descriptor) <= 600 < DESCRIPTOR_LIMIT


def test_health_gives_way_to_what_is_measured_and_the_most_important_stays_longest():
    channels = [
        {"number": n, "name": f"c{n}", "privacy": 0, "quantity": "x" * 50} for n in range(12)
    ]
    document = {**table("river"), "channels": channels}
    descriptor, told = describe_node(settings(document).sampling, health_channels())
    assert 0 < len(told) < len(health_channels())
    assert told == [channel.number for channel in health_channels()][: len(told)]
    assert len(decode_descriptor(descriptor)[1]) == 12 + len(told)


def test_a_name_that_is_taken_is_left_to_what_is_measured():
    document = table("river")
    document["channels"][0]["name"] = "uptime"
    _, told = describe_node(settings(document).sampling, health_channels())
    assert 200 not in told
    assert len(told) == len(health_channels()) - 1


def test_a_channel_of_the_settings_has_none_of_the_nodes_own_numbers():
    document = table("river")
    document["channels"][0]["number"] = 200
    assert "0..199" in str(Settings(document, bytes(8)).problem)


def test_what_has_no_value_is_left_out_and_the_rest_is_told():
    _, sensor = health(Board())
    found = dict(sensor.read(61_500, None))
    assert [found.pop(number) for number in (200, 201, 202, 203)] == [61, 18, 41, 777]
    assert found == {206: 9000, 208: 250, 209: 3, 210: 0, 211: 4, 212: 5}


def test_the_clock_is_told_once_it_is_set_and_the_heap_by_its_lowest():
    clock, sensor = health(Board(supply=3700, celsius=41, block=53_248))
    clock.measured(848_000_000_000, 6, 0)
    lows = []
    for _ in range(3):
        found = dict(sensor.read(0, 848_000_000_000))
        lows.append(found[206])
    assert lows == [9000, 7000, 7000]
    assert (found[204], found[205], found[213]) == (6, 0, 12)
    assert (found[214], found[215], found[207]) == (3700, 41, 53_248)


def test_channels_that_the_board_cannot_fill_are_not_described():
    assert absent_channels(Board()) == (214, 215, 207)
    assert absent_channels(Board(supply=5000, celsius=20, block=1)) == ()


def own(bench):
    return {channel.number: channel.name for channel in bench.gateway.descriptors[0]}


def test_a_node_delivers_its_health_beside_its_readings_and_its_trace_has_both(bench):
    bench.settings(**table("river") | SLOW, supply={"pin": 34, "permille": 2000})
    bench.start(VNODE_SUPPLY_UV="1850000")
    bench.run_until(lambda: len([key for key in bench.gateway.batches if key[1] == 3]) > 2)
    assert bench.stop() == 0
    numbers = [number for number in own(bench) if number >= 200]
    assert len(numbers) == 14
    for number in numbers:
        came = [value for _, _, value in bench.gateway.readings(number)]
        assert came == [int(words[2]) for words in bench.lines("s") if words[0] == str(number)]
        assert came
    assert {value for _, _, value in bench.gateway.readings(214)} == {3700}
    assert {value for _, _, value in bench.gateway.readings(201)} == {1}
    assert bench.gateway.readings(202)[0][2] == bench.gateway.hellos[0].boot_id


def test_settings_can_switch_health_off(bench):
    bench.settings(**table("river") | SLOW | {"health_ms": 0})
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 5)
    assert bench.stop() == 0
    assert max(own(bench)) < 200
    assert {stream for _, stream, _ in bench.gateway.batches} == {2}


def test_a_reset_that_nobody_planned_is_told_as_a_panic(bench):
    bench.settings(**table("river") | SLOW)
    bench.start()
    bench.run_until(lambda: bench.gateway.hellos)
    bench.kill()
    bench.start(cause=2)
    bench.run_until(lambda: len(bench.gateway.hellos) > 1)
    assert bench.gateway.hellos[-1].reset_cause == 21
    bench.kill()
    bench.start(cause=1, VNODE_DIP="1")
    bench.run_until(lambda: len(bench.gateway.hellos) > 2)
    assert bench.gateway.hellos[-1].reset_cause == 22


def test_a_gateway_that_was_far_ahead_and_is_put_right_restarts_the_node_once(bench):
    bench.settings(**table("river") | SLOW | {"health_ms": 0})
    bench.gateway.clock_ms = 948_000_000_000
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 5)
    bench.gateway.clock_ms = 848_000_000_000
    bench.gateway.forget()
    assert bench.run_to_end() == 75
    journalled = {(int(w[0]), int(w[1]), int(w[2])) for w in bench.lines("j")}
    bench.start(cause=2)
    bench.run_until(lambda: journalled <= bench.gateway.batches.keys())
    bench.run_until(lambda: bench.gateway.readings(0)[-1][1] < 900_000_000_000)
    assert bench.gateway.hellos[-1].reset_cause == 23
    assert bench.stop() == 0
