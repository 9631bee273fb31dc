import random

import pytest

from lilong_firmware.batcher import Batcher
from lilong_firmware.clock import Clock
from lilong_firmware.discipline import Discipline
from lilong_firmware.row import Row
from lilong_protocol.blocks import decode_block

NOW = 848_000_000_000
MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
YEAR = 365 * DAY


class World:
    """A node whose crystal is off by `ppm` and a gateway that is `wrong_ms` off the truth."""

    def __init__(self, ppm=0, seed=1):
        self.ppm = ppm
        self.wrong_ms = 0
        self.uptime = 0
        self.discipline = Discipline()
        self.told = []
        self._chance = random.Random(seed)

    def truth(self):
        return NOW + self.uptime + self.uptime * self.ppm // 1_000_000

    def exchange(self):
        delay = self._chance.randrange(4, 30)
        skew = self._chance.randrange(-delay // 2, delay // 2 + 1)
        offset = self.truth() + self.wrong_ms + skew - self.uptime
        self.discipline.measured(offset, (delay + 1) // 2, self.uptime, self.uptime)

    def run(self, until, every=MINUTE, listening=True):
        """Read the time each second, exchange each minute."""
        while self.uptime < until:
            if listening and self.uptime % every == 0:
                self.exchange()
            for _ in range(every // 1000):
                self.uptime += 1000
                self.told.append(self.discipline.time_ms(self.uptime))

    def error(self):
        return abs(self.discipline.time_ms(self.uptime) - self.truth())

    def steps(self):
        return [after - before for before, after in zip(self.told, self.told[1:], strict=False)]


def test_the_time_is_unknown_before_the_first_measurement():
    discipline = Discipline()
    assert discipline.time_ms(5) is None
    assert discipline.error_ms(5) is None


@pytest.mark.parametrize("ppm", [-40, -7, 0, 12, 40])
def test_the_drift_of_a_crystal_is_found_and_corrected_without_a_leap(ppm):
    world = World(ppm)
    world.run(3 * HOUR)
    assert abs(world.discipline.drift_ppb - ppm * 1000) < 5000
    assert world.error() <= 20
    assert all(999 <= step <= 1001 for step in world.steps())


def test_a_node_that_hears_no_gateway_for_half_a_day_goes_on_with_its_drift():
    world = World(40)
    world.run(4 * HOUR)
    world.run(16 * HOUR, listening=False)
    assert world.error() < 12 * HOUR * 5 // 1_000_000
    assert world.error() <= world.discipline.error_ms(world.uptime)


@pytest.mark.parametrize("off", [-1900, -300, 300, 1900])
def test_an_error_of_less_than_two_seconds_is_slewed_away(off):
    world = World()
    world.run(HOUR)
    world.wrong_ms = off
    world.run(3 * HOUR)
    assert abs(world.discipline.time_ms(world.uptime) - world.truth() - off) <= 20
    assert all(998 <= step <= 1002 for step in world.steps())
    assert world.discipline.steps == 0


@pytest.mark.parametrize("off", [3000, DAY, 20 * YEAR])
def test_a_great_error_forward_is_one_step_and_no_reading_goes_back(off):
    world = World()
    world.run(HOUR)
    world.wrong_ms = off
    world.run(2 * HOUR)
    steps = world.steps()
    assert all(step >= 998 for step in steps)
    assert sum(step > 1002 for step in steps) == world.discipline.steps == 1
    assert abs(world.discipline.time_ms(world.uptime) - world.truth() - off) <= 20
    assert not world.discipline.wrong


@pytest.mark.parametrize("off", [3000, DAY, 20 * YEAR])
def test_a_false_future_is_said_to_be_wrong_and_disorders_nothing(off):
    world = World()
    world.wrong_ms = off
    world.run(HOUR)
    assert not world.discipline.wrong
    world.wrong_ms = 0
    world.run(HOUR + 5 * MINUTE)
    assert world.discipline.wrong
    assert all(998 <= step <= 1002 for step in world.steps())
    assert abs(world.discipline.error_ms(world.uptime) - off) < 50


def test_one_false_answer_moves_nothing():
    world = World()
    world.run(HOUR)
    for off in (-YEAR, DAY, 5 * YEAR):
        world.wrong_ms = off
        world.exchange()
        world.wrong_ms = 0
        world.run(world.uptime + 5 * MINUTE)
    assert not world.discipline.wrong
    assert world.discipline.steps == 0
    assert world.error() <= 20


def test_a_node_that_was_just_restarted_for_its_clock_has_patience():
    world = World()
    world.discipline.patience_ms = HOUR
    world.wrong_ms = DAY
    world.run(10 * MINUTE)
    world.wrong_ms = 0
    world.run(50 * MINUTE)
    assert not world.discipline.wrong
    world.run(HOUR + 5 * MINUTE)
    assert world.discipline.wrong


def test_a_clock_that_comes_back_by_itself_is_wrong_no_more():
    world = World()
    world.run(HOUR)
    world.wrong_ms = -DAY
    world.run(HOUR + 5 * MINUTE)
    assert world.discipline.wrong
    world.wrong_ms = 0
    world.run(HOUR + 10 * MINUTE)
    assert not world.discipline.wrong


def test_the_same_exchange_told_again_is_no_news():
    discipline = Discipline()
    discipline.measured(NOW, 5, 1000, 1000)
    discipline.measured(NOW + 900, 5, 1000, 61_000)
    assert discipline.residual_ms == 0


def test_an_old_measurement_is_brought_up_to_date_by_the_drift():
    world = World(40)
    world.run(4 * HOUR)
    late = world.uptime + 4 * MINUTE
    offset = world.truth() - world.uptime
    world.discipline.measured(offset, 2, world.uptime, late)
    assert abs(world.discipline.residual_ms) <= 15


def test_the_error_grows_while_no_gateway_is_heard():
    discipline = Discipline()
    discipline.measured(NOW, 5, 0, 0)
    assert discipline.error_ms(0) == 5
    assert 5 + HOUR // 10_000 <= discipline.error_ms(HOUR) <= 6 + HOUR // 10_000


def test_whatever_the_gateway_does_the_times_of_a_boot_rise():
    chance = random.Random(7)
    for seed in range(20):
        world = World(chance.randrange(-100, 100), seed)
        for _ in range(12):
            world.wrong_ms = chance.choice([0, 700, -1500, 2500, -9000, DAY, -DAY, YEAR, -YEAR])
            world.run(world.uptime + chance.choice([MINUTE, 7 * MINUTE, HOUR]))
        assert min(world.steps()[60:]) >= 998


def test_an_open_batch_survives_a_step_of_the_clock_with_its_times_in_order():
    items = []
    batcher = Batcher(lambda *item: items.append(item), 60, 10**9)
    clock = Clock(lambda: 0, lambda a, b: a - b)
    discipline = clock.discipline
    discipline.measured(NOW, 1, 0, 0)
    told = []
    for second in range(30):
        uptime = 1000 * second
        if second >= 12:
            discipline.measured(NOW + 20 * YEAR, 1, uptime, uptime)
        told.append(discipline.time_ms(uptime))
        batcher.add(Row(uptime, None, told[-1], [(0, second)]))
    batcher.flush()
    times = [moment for item in items for moment in decode_block(item[0]).times]
    assert times == told == sorted(told)
    assert told[-1] - told[0] > 20 * YEAR
