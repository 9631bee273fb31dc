import pytest

from lilong_firmware.clock import Clock
from lilong_firmware.errors import SensorError
from lilong_firmware.fields import Fields
from lilong_firmware.sampler import Sampler
from lilong_firmware.settings import ChannelSetting

BOOT = 42


class Counting:
    """Gives every channel the number of the reading; fails when told to."""

    def __init__(self, channels):
        self.channels = channels
        self.reads = 0
        self.fails = False

    def read(self, _uptime_ms, _time_ms):
        self.reads += 1
        if self.fails:
            raise SensorError("counting", "no answer")
        return [(channel, self.reads) for channel in self.channels]


def channel(number, interval_ms, time_exponent=-3):
    fields = {"number": number, "name": f"c{number}", "privacy": 0, "interval_ms": interval_ms}
    return ChannelSetting(Fields({**fields, "time_exponent": time_exponent}), 1000)


class Bench:
    """A sampler on a clock that a test sets."""

    def __init__(self, *channels, numbers=None):
        self.now = 0
        self.clock = Clock(lambda: self.now, lambda a, b: a - b)
        self.sensor = Counting(numbers or [c.number for c in channels])
        self.lines = []
        self.sampler = Sampler(self.sensor, list(channels), self.clock, BOOT, self.lines.append)

    def rows(self, now):
        self.now = now
        return self.sampler.rows(self.clock.uptime_ms())

    def due(self, now):
        return sorted(number for row in self.rows(now) for number, _ in row.readings)


def test_each_channel_is_read_at_its_own_interval():
    bench = Bench(channel(0, 100), channel(1, 300))
    read = [bench.due(now) for now in range(0, 700, 100)]
    assert read == [[0, 1], [0], [0], [0, 1], [0], [0], [0, 1]]
    assert bench.sensor.reads == 7


def test_nothing_is_read_before_it_is_due():
    bench = Bench(channel(0, 100))
    bench.rows(0)
    assert bench.rows(99) == []
    assert bench.sensor.reads == 1
    assert bench.sampler.wait_ms(99) == 1


def test_missed_slots_are_left_out_and_the_rhythm_stays():
    bench = Bench(channel(0, 100))
    assert bench.due(0) == [0]
    assert bench.due(1234) == [0]
    assert bench.sampler.wait_ms(1234) == 66
    assert bench.due(1300) == [0]


def test_before_the_time_is_known_rows_carry_boot_and_uptime():
    bench = Bench(channel(0, 100))
    row = bench.rows(0)[0]
    assert (row.boot, row.time) == (BOOT, 0)
    bench.clock.measured(1_000_000, 5, 0)
    row = bench.rows(100)[0]
    assert (row.boot, row.time) == (None, 1_000_100)


def test_channels_in_seconds_and_in_milliseconds_get_rows_of_their_own():
    bench = Bench(channel(0, 100, 0), channel(1, 100, -3))
    bench.clock.measured(1_000_000, 5, 0)
    rows = {row.readings[0][0]: row.time for row in bench.rows(0)}
    assert rows == {0: 1000, 1: 1_000_000}


def test_a_failing_sensor_is_counted_said_once_and_asked_again():
    bench = Bench(channel(0, 100))
    bench.sensor.fails = True
    for now in (0, 100, 200):
        assert bench.rows(now) == []
    bench.sensor.fails = False
    assert bench.due(300) == [0]
    assert bench.sampler.counters["failed"] == 3
    assert bench.lines == ["sensor: counting: no answer"]


@pytest.mark.parametrize("numbers", [[7], [0, 7]])
def test_a_channel_that_no_setting_knows_is_counted_and_left_out(numbers):
    bench = Bench(channel(0, 100), numbers=numbers)
    assert bench.due(0) == [number for number in numbers if number == 0]
    assert bench.sampler.counters["unknown"] == 1
