# The HC-SR501's sheet gives no example but its start: a minute with up to three false outputs.

from checking import PERIOD_MS, Ticks, changes_until, failed_kind, refused_key
from pir_chip import Chip

from lilong_firmware.drivers.pir import Pir
from lilong_firmware.errors import WarmingError
from lilong_firmware.fields import Fields


class Pin:
    def __init__(self, pins):
        self._pins = pins

    def value(self):
        return self._pins.chip.level(27) or 0


class Pins(Ticks):
    """Each look at the time or the pin of a watching driver takes a second of the world."""

    def __init__(self, begin_ms=0, **entry):
        super().__init__(begin_ms)
        self.s = 0.0
        self.looks = 0
        self.chip = Chip(dict(entry, pin=27), lambda: self.s)

    def input(self, number, pull):
        assert (number, pull) == (27, "down")
        return Pin(self)

    def now_ms(self):
        self.looks += 1
        self.s += 1
        return self.wrapped(int(self.s * 1000))


def sensor(pins, **options):
    return Pir(pins, Fields(dict(options, pin=27)))


async def watched(driver, pins, until_s):
    return await changes_until(driver, lambda: pins.s, until_s)


async def check_its_start_is_no_motion():
    pins = Pins(settle_s=8)
    driver = sensor(pins, warm_s=10)
    assert await failed_kind(driver) is WarmingError
    assert await watched(driver, pins, 9) == []
    assert await failed_kind(driver) is WarmingError
    calls = await watched(driver, pins, 16)
    assert len(calls) == 1
    assert 10 <= calls[0] <= 13, calls
    assert await driver.measure() == [0, 0]


async def check_without_a_warm_up_the_first_measurement_is_one():
    assert await sensor(Pins(settle_s=0), warm_s=0).measure() == [0, 0]


async def check_motion_is_held_after_the_output_fell():
    # The module's delay of 2 s, then hold_s.
    pins = Pins(settle_s=0, delay_s=2, motion=[[0, 0], [5, 1], [6, 0]])
    driver = sensor(pins, warm_s=0, hold_s=4)
    calls = await watched(driver, pins, 10)
    assert len(calls) == 1
    assert 5 <= calls[0] <= 6, calls
    assert await driver.measure() == [1, 1]
    calls = await watched(driver, pins, 16)
    assert len(calls) == 1
    assert 11 <= calls[0] <= 13, calls
    assert await driver.measure() == [0, 1]


async def check_motion_again_within_the_hold_time_counts_but_is_one():
    pins = Pins(settle_s=0, delay_s=0.6, motion=[[0, 0], [2, 1], [3, 0], [6, 1], [7, 0]])
    driver = sensor(pins, warm_s=0, hold_s=5)
    assert len(await watched(driver, pins, 11)) == 1
    assert await driver.measure() == [1, 2]
    assert len(await watched(driver, pins, 15)) == 1
    assert await driver.measure() == [0, 2]


async def check_ticks_may_wrap_and_a_week_of_rest_is_no_motion():
    pins = Pins(begin_ms=PERIOD_MS - 4000, settle_s=0, motion=[[0, 0], [3, 1], [5, 0]])
    driver = sensor(pins, warm_s=2, hold_s=2)
    assert len(await watched(driver, pins, 12)) == 3
    assert await driver.measure() == [0, 1]
    for _ in range(4):
        pins.s += 3 * 86400
        assert await watched(driver, pins, pins.s + 2) == []
    assert await driver.measure() == [0, 1]


async def check_a_broken_wire_is_no_motion_and_a_stuck_output_is_motion():
    pins = Pins(settle_s=0, motion=1, faults=[["absent", 0, 8]])
    driver = sensor(pins, warm_s=0, hold_s=1)
    assert await watched(driver, pins, 6) == []
    assert len(await watched(driver, pins, 10)) == 1
    assert await driver.measure() == [1, 1]
    pins = Pins(settle_s=0, motion=[[0, 1], [2, 0]], faults=[["stuck", 1, 99]])
    driver = sensor(pins, warm_s=0, hold_s=1)
    await watched(driver, pins, 8)
    assert await driver.measure() == [1, 1]


def check_options_that_cannot_be_are_refused():
    for key, value in (("pull", "sideways"), ("hold_s", -1), ("warm_s", 3601)):
        assert refused_key(sensor, **{key: value}) == key, key
