import random

import pytest

from lilong_firmware.clock import Clock
from lilong_firmware.sleep.clock import SleepClock, keep_time, timer_ms
from lilong_firmware.sleep.state import KNOWN, RATED, State

NOW_MS = 848_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
BOOT_MS = 350


class Chip:
    """True time, a crystal that is right, and a clock in sleep that loses `slow_ppm`."""

    def __init__(self, slow_ppm=0, seed=1):
        self.true_ms = 0
        self.rtc_ms = 1000
        self.slow_ppm = slow_ppm
        self.gateway_ms = NOW_MS
        self.state = State(1, 2, MINUTE_MS)
        self.clock = Clock(lambda: self.true_ms, lambda later, earlier: later - earlier)
        self.errors = []
        self.chance = random.Random(seed)

    def be_awake(self, duration_ms):
        self.true_ms += duration_ms
        self.rtc_ms += duration_ms

    def sleep(self, duration_ms, early_ms=None):
        """Sleep as the node does; the timer runs by the slow clock too."""
        now_ms = self.clock.uptime_ms()
        self.state.uptime_ms = now_ms
        self.state.rtc_ms = self.rtc_ms
        keep_time(self.state, self.clock, now_ms)
        asked_ms = self.state.asked_ms = timer_ms(self.state, duration_ms)
        if early_ms is not None:
            asked_ms = early_ms
        lost_ms = asked_ms * self.slow_ppm // (1_000_000 - self.slow_ppm)
        self.true_ms += asked_ms + lost_ms
        self.rtc_ms += asked_ms
        self.wake()

    def wake(self):
        begun_ms = self.true_ms
        awake = Clock(lambda: self.true_ms - begun_ms, lambda later, earlier: later - earlier)
        self.clock = SleepClock(self.state, awake, self.rtc_ms)
        self.be_awake(BOOT_MS)

    def hear(self, uncertainty_ms=20):
        now_ms = self.clock.uptime_ms()
        told_ms = self.gateway_ms + self.true_ms
        told_ms += self.chance.randint(-uncertainty_ms, uncertainty_ms)
        self.clock.measured(told_ms - now_ms, uncertainty_ms, now_ms)
        self.be_awake(400)

    def error_ms(self):
        """By how much the time is ahead of the truth."""
        now_ms = self.clock.uptime_ms()
        return self.clock.time_ms(now_ms) - (self.gateway_ms + self.true_ms)

    def hour(self):
        """Sixty wakes, the last of which hears the gateway."""
        for _ in range(59):
            self.sleep(MINUTE_MS - BOOT_MS)
            told_ms = self.clock.discipline.error_ms(self.clock.uptime_ms())
            self.errors.append((abs(self.error_ms()), told_ms))
        self.sleep(MINUTE_MS - BOOT_MS)
        self.hear()


def test_uptime_goes_on_over_a_sleep_and_never_goes_back():
    chip = Chip()
    chip.be_awake(5000)
    before_ms = 0
    for _ in range(50):
        chip.sleep(MINUTE_MS)
        assert chip.clock.uptime_ms() > before_ms
        before_ms = chip.clock.uptime_ms()
    assert before_ms == chip.true_ms
    assert chip.clock.time_ms(before_ms) is None


def test_a_wake_before_its_time_counts_what_was_slept():
    chip = Chip()
    chip.sleep(HOUR_MS, early_ms=7000)
    assert chip.clock.uptime_ms() == 7000 + BOOT_MS


@pytest.mark.parametrize("jump_ms", [-500_000, 10 * HOUR_MS, 1 << 44])
def test_a_clock_that_was_set_in_sleep_does_not_move_the_uptime(jump_ms):
    chip = Chip()
    chip.be_awake(100)
    chip.state.uptime_ms, chip.state.asked_ms = 100, 1000
    chip.state.rtc_ms = chip.rtc_ms - jump_ms
    chip.wake()
    assert chip.clock.uptime_ms() == 100 + 1000 + BOOT_MS


@pytest.mark.parametrize("slow_ppm", [-50_000, -3000, 0, 3000, 60_000])
def test_the_rate_of_the_sleeping_clock_is_found_and_the_error_told_is_enough(slow_ppm):
    chip = Chip(slow_ppm)
    chip.hear()
    for _ in range(6):
        chip.hour()
    assert chip.state.has(RATED)
    first, last = chip.errors[:59], chip.errors[-59:]
    if abs(slow_ppm) > 1000:
        assert max(error for error, _ in first) > 10 * max(error for error, _ in last)
    assert max(error for error, _ in last) < 300
    assert all(error <= told_ms + 1 for error, told_ms in chip.errors)
    # The node wakes when it means to.
    before_ms = chip.true_ms
    chip.sleep(MINUTE_MS)
    assert abs(chip.true_ms - before_ms - BOOT_MS - MINUTE_MS) <= MINUTE_MS // 1000


def test_a_rate_that_follows_the_temperature_is_followed():
    chip = Chip(20_000)
    chip.hear()
    for hour in range(72):
        chip.slow_ppm = 20_000 + 1500 * abs(hour % 24 - 12)
        chip.hour()
    late = chip.errors[59 * 24 :]
    assert all(error <= told_ms + 1 for error, told_ms in late)
    assert max(error for error, _ in late) < 15_000


def test_short_sleeps_add_up_to_one_measurement_of_the_rate():
    chip = Chip(10_000)
    chip.hear()
    for _ in range(40):
        chip.sleep(1000)
        chip.hear(uncertainty_ms=10)
    assert abs(chip.state.rate_ppm - 10_100) < 1500
    assert chip.state.spread_ppm < 10_000


def test_the_time_does_not_go_back_when_the_sleeping_clock_was_fast():
    chip = Chip(-40_000)
    chip.hear()
    chip.sleep(10 * MINUTE_MS)
    times = [chip.clock.time_ms(chip.clock.uptime_ms())]
    chip.hear()
    for _ in range(60):
        chip.be_awake(500)
        times.append(chip.clock.time_ms(chip.clock.uptime_ms()))
    assert times == sorted(set(times))
    assert abs(chip.error_ms()) <= 25


@pytest.mark.parametrize("slow_ppm", [-40_000, 40_000])
def test_what_was_read_before_the_time_was_set_gets_the_right_time_afterwards(slow_ppm):
    chip = Chip(slow_ppm)
    chip.hear()
    chip.sleep(10 * MINUTE_MS)
    read_ms, true_ms = chip.clock.uptime_ms(), chip.gateway_ms + chip.true_ms
    assert abs(chip.clock.time_ms(read_ms) - true_ms) > 10_000
    chip.be_awake(3000)
    chip.hear()
    assert abs(chip.clock.time_ms(read_ms) - true_ms) <= 25


def test_a_gateway_that_is_years_off_is_not_taken_for_a_slow_clock():
    chip = Chip()
    chip.hear()
    chip.sleep(HOUR_MS)
    chip.gateway_ms -= 365 * 24 * HOUR_MS
    for _ in range(3):
        chip.hear()
        chip.be_awake(60_000)
    assert chip.clock.discipline.wrong
    assert chip.state.rate_ppm == 0


def test_a_gateway_that_was_put_right_forward_is_believed_the_second_time():
    chip = Chip()
    chip.hear()
    chip.sleep(HOUR_MS)
    chip.gateway_ms += 30 * 24 * HOUR_MS
    chip.hear()
    assert chip.error_ms() < -29 * 24 * HOUR_MS
    chip.hear()
    assert abs(chip.error_ms()) <= 40
    chip.sleep(MINUTE_MS)
    chip.hour()
    assert abs(chip.state.rate_ppm) < 100
    assert abs(chip.error_ms()) <= 40


def test_the_time_is_known_after_a_sleep_although_no_gateway_is_heard_any_more():
    chip = Chip(2000)
    chip.hear()
    for _ in range(3):
        chip.hour()
    for _ in range(500):
        chip.sleep(MINUTE_MS)
    assert chip.state.has(KNOWN)
    assert abs(chip.error_ms()) <= chip.clock.discipline.error_ms(chip.clock.uptime_ms())
    assert abs(chip.error_ms()) < 2000
