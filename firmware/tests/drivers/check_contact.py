# No data sheet gives an example; bounce of up to 1 ms is that of reed contacts (reed-sensor.com).
import random

from checking import PERIOD_MS, Ticks, changes_until, refused_key
from contact_chip import Chip

from lilong_firmware.drivers.contact import Contact
from lilong_firmware.fields import Fields


class Pin:
    """Each look takes 10 ms, as the driver's do; so time passes without anybody waiting for it."""

    def __init__(self, pins, number, pull):
        self._pins = pins
        self._number = number
        self._pull = pull

    def value(self):
        level = self._pins.chip.level(self._number)
        self._pins.looks += 1
        return int(self._pull == "up") if level is None else level


class Pins(Ticks):
    def __init__(self, begin_ms=0, step_ms=10, **entry):
        super().__init__(begin_ms)
        self.looks = 0
        self._step_ms = step_ms
        self.opened = []
        self.chip = Chip(dict(entry, pin=13), lambda: self.ms / 1000)

    @property
    def ms(self):
        return self.looks * self._step_ms

    def input(self, number, pull):
        self.opened.append((number, pull))
        return Pin(self, number, pull)

    def now_ms(self):
        return self.wrapped(self.ms)


def sensor(pins, **options):
    return Contact(pins, Fields(dict(options, pin=13)))


async def watched(driver, pins, looks):
    """Return the looks at which the driver said that something changed."""
    return await changes_until(driver, lambda: pins.looks, looks)


async def check_a_closing_counts_when_it_has_lasted():
    pins = Pins(closed=[[0, 0], [0.1, 1], [0.3, 0]])
    driver = sensor(pins)
    assert await driver.measure() == [0, 0]
    calls = await watched(driver, pins, 25)
    assert len(calls) == 1
    assert 15 <= calls[0] <= 17, calls
    assert await driver.measure() == [1, 1]
    assert len(await watched(driver, pins, 45)) == 1
    assert await driver.measure() == [0, 1]
    assert pins.opened == [(13, "up")]


async def check_bouncing_and_what_is_too_short_do_not_count():
    # Closed for 30 ms, then for good with 40 ms of bounce.
    points = [[0, 0], [0.1, 1], [0.13, 0], [0.25, 1]]
    pins = Pins(closed=points, bounce_ms=40, step_ms=9)
    driver = sensor(pins)
    calls = await watched(driver, pins, 50)
    assert len(calls) == 1, calls
    assert await driver.measure() == [1, 1]


async def check_a_level_has_to_last_also_right_after_the_other_counted():
    pins = Pins(closed=[[0, 0], [0.1, 1], [0.155, 0]], bounce_ms=0)
    driver = sensor(pins)
    calls = await watched(driver, pins, 20)
    assert len(calls) == 1, calls
    await watched(driver, pins, 30)
    assert await driver.measure() == [0, 1]


async def check_without_debounce_each_look_counts():
    pins = Pins(closed=[[0, 0], [0.1, 1], [0.12, 0], [0.2, 1]], bounce_ms=0)
    driver = sensor(pins, debounce_ms=0)
    assert len(await watched(driver, pins, 30)) == 3
    assert await driver.measure() == [1, 2]


async def check_what_is_closed_at_the_start_is_no_closing():
    pins = Pins(closed=1)
    assert await sensor(pins).measure() == [1, 0]


async def check_a_contact_that_opens_where_others_close_turns_both():
    pins = Pins(closed=[[0, 1], [0.05, 0]])
    driver = sensor(pins, normally_closed=True)
    assert await driver.measure() == [0, 0]
    await watched(driver, pins, 20)
    assert await driver.measure() == [1, 1]


async def check_each_pull_knows_which_level_is_closed():
    for pull, to, normally_closed in (
        ("up", "ground", False),
        ("down", "supply", False),
        ("up", "ground", True),
        ("down", "supply", True),
    ):
        for closed in (0, 1):
            driver = sensor(Pins(closed=closed, to=to), pull=pull, normally_closed=normally_closed)
            assert await driver.measure() == [closed ^ normally_closed, 0], (pull, closed)
    # With a resistor of one's own, to 3.3 V: low is closed.
    assert await sensor(Pins(closed=1), pull="").measure() == [1, 0]


async def check_ticks_may_wrap_while_a_level_settles():
    pins = Pins(begin_ms=PERIOD_MS - 120, closed=[[0, 0], [0.1, 1]])
    driver = sensor(pins)
    calls = await watched(driver, pins, 20)
    assert len(calls) == 1
    assert 15 <= calls[0] <= 17, calls


async def check_a_broken_wire_is_open_and_chatter_never_settles():
    pins = Pins(closed=1, faults=[["absent", 0.1, 0.3]])
    driver = sensor(pins)
    assert await driver.measure() == [1, 0]
    await watched(driver, pins, 25)
    assert await driver.measure() == [0, 0]
    await watched(driver, pins, 45)
    assert await driver.measure() == [1, 1]
    pins = Pins(closed=0, step_ms=9, faults=[["damaged", 0.1, 0.5]])
    driver = sensor(pins)
    assert await watched(driver, pins, 50) == []
    assert await driver.measure() == [0, 0]


async def check_random_levels_are_counted_and_nothing_else():
    random.seed(1)
    points = [[index / 100, random.getrandbits(1)] for index in range(60)]
    pins = Pins(closed=points, bounce_ms=0)
    driver = sensor(pins, debounce_ms=20)
    calls = await watched(driver, pins, 60)
    closed, count = await driver.measure()
    assert closed in (0, 1)
    assert len(calls) - 1 <= 2 * count <= len(calls) + 1, (calls, count)


def check_options_that_cannot_be_are_refused():
    for key, value in (("pull", "sideways"), ("debounce_ms", -1), ("normally_closed", 1)):
        assert refused_key(sensor, **{key: value}) == key, key
