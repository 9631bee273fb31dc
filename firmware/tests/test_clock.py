from lilong_firmware.clock import MILLISECONDS, SECONDS, Clock, in_unit

PERIOD = 1 << 10


class Ticks:
    """A counter that wraps after 1024 ms, as a 32-bit port's does after 12.4 days."""

    def __init__(self):
        self.now = PERIOD - 5

    def ms(self):
        return self.now % PERIOD

    @staticmethod
    def diff(later, earlier):
        return (later - earlier + PERIOD // 2) % PERIOD - PERIOD // 2


def make_clock():
    ticks = Ticks()
    return ticks, Clock(ticks.ms, ticks.diff)


def test_uptime_goes_on_through_many_wraps_of_the_counter():
    ticks, clock = make_clock()
    for step in range(1, 500):
        ticks.now += 37
        assert clock.uptime_ms() == 37 * step


def test_uptime_stays_where_it_is_when_the_counter_steps_back():
    ticks, clock = make_clock()
    ticks.now += 100
    assert clock.uptime_ms() == 100
    ticks.now -= 40
    assert clock.uptime_ms() == 100
    ticks.now += 50
    assert clock.uptime_ms() == 110


def test_the_time_is_unknown_until_it_is_set():
    _, clock = make_clock()
    assert clock.time_ms(5) is None
    clock.measured(848_000_000_000, 5, 0)
    assert clock.time_ms(5) == 848_000_000_005


def test_milliseconds_become_the_unit_of_a_channel():
    assert in_unit(848_000_000_999, SECONDS) == 848_000_000
    assert in_unit(848_000_000_999, MILLISECONDS) == 848_000_000_999
