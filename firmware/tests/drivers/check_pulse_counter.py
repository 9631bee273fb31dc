# A pulse has no data sheet; the values of one are published ones of common gauges and meters.
import random

from checking import PERIOD_MS, Ticks, refused_key
from pulse_counter_chip import Chip

from lilong_firmware.drivers.pulse_counter import PulseCounter
from lilong_firmware.fields import Fields


class Counter:
    def __init__(self, pins, number):
        self._pins = pins
        self._number = number
        self._before = pins.chip.pulses(number)

    def value(self):
        return self._pins.chip.pulses(self._number) - self._before


class Pins(Ticks):
    def __init__(self, begin_ms=0, **entry):
        super().__init__(begin_ms)
        self.s = 0
        self.opened = []
        self.chip = Chip(dict(entry, pin=14), lambda: self.s)

    def counter(self, number, pull):
        self.opened.append((number, pull))
        return Counter(self, number)

    def now_ms(self):
        return self.wrapped(int(self.s * 1000))


def sensor(pins, **options):
    return PulseCounter(pins, Fields(dict(options, pin=14)))


async def after(driver, pins, seconds):
    pins.s += seconds
    return await driver.measure()


def of(driver):
    return [(given.name, given.unit, given.exponent) for given in driver.GIVES]


async def check_a_tipping_bucket_of_a_fifth_of_a_millimetre():
    # 30 tips in 10 min are 6.0 mm; 36 mm/h are 0.01 mm/s.
    pins = Pins(pulses=[[0, 0], [600, 30]])
    driver = sensor(pins, name="rain", unit="mm", exponent=-1, value=2)
    assert of(driver)[1:] == [("rain", "mm", -1), ("rate", "mm/s", -7)]
    assert await driver.measure() == [0, 0, None]
    assert await after(driver, pins, 600) == [30, 60, 100000]
    assert pins.opened == [(14, "up")]


async def check_a_water_meter_of_a_litre_a_pulse():
    # 0.1 l/s is 0.0001 m3/s.
    pins = Pins(per_s=0.1)
    driver = sensor(pins, name="volume", unit="m3", exponent=-3, value=1)
    await driver.measure()
    assert await after(driver, pins, 100) == [10, 10, 100000]
    assert of(driver)[2] == ("rate", "m3/s", -9)


async def check_an_energy_meter_of_1000_pulses_a_kilowatt_hour():
    # One pulse is 1 Wh, 3600 J; one in 3.6 s is 1000 W.
    pins = Pins(pulses=[[0, 0], [3600, 1000]])
    driver = sensor(pins, unit="J", value=3600)
    await driver.measure()
    assert await after(driver, pins, 3600) == [1000, 3600000, 1000000000]


async def check_an_anemometer_of_2400_metres_an_hour_and_hertz():
    # Argent's cup anemometer, one closure a second at 2.4 km/h: 0.667 m of wind a closure.
    pins = Pins(per_s=10)
    driver = sensor(pins, name="wind_run", unit="m", exponent=-3, value=667)
    await driver.measure()
    assert await after(driver, pins, 60) == [600, 400200, 6670000000]


async def check_one_pulse_in_an_hour_still_is_a_rate():
    pins = Pins(pulses=[[0, 0], [3600, 1]])
    driver = sensor(pins)
    assert of(driver) == [("count", "count", 0), ("total", "count", 0), ("rate", "count/s", -6)]
    await driver.measure()
    assert await after(driver, pins, 3600) == [1, 1, 278]
    assert await after(driver, pins, 3600) == [1, 1, 0]


async def check_two_measurements_at_once_have_no_rate_and_ticks_may_wrap():
    pins = Pins(begin_ms=PERIOD_MS - 5000, per_s=2)
    driver = sensor(pins)
    await driver.measure()
    assert await driver.measure() == [0, 0, None]
    assert await after(driver, pins, 10) == [20, 20, 2000000]


async def check_pulses_of_before_the_start_do_not_count():
    pins = Pins(per_s=1)
    pins.s = 1000
    driver = sensor(pins)
    assert await driver.measure() == [0, 0, None]
    assert await after(driver, pins, 10) == [10, 10, 1000000]


async def check_totals_are_exact_where_floats_are_not():
    # 2**31 pulses of 2**31 would not fit a float of a device, nor its small integers.
    pins = Pins(pulses=[[0, 0], [1000, 2000000000]])
    driver = sensor(pins, value=999999)
    await driver.measure()
    count, total, rate = await after(driver, pins, 1000)
    assert (count, total) == (2000000000, 1999998000000000)
    assert rate == 1999998000000000000
    assert rate <= driver.GIVES[2].highest


async def check_pulses_that_are_lost_or_late():
    pins = Pins(per_s=1, faults=[["absent", 10, 20], ["stuck", 30, 45]])
    driver = sensor(pins)
    await driver.measure()
    for wanted in (10, 10, 20, 20, 40):
        count, _, _ = await after(driver, pins, 10)
        assert count == wanted, (pins.s, count)


async def check_whatever_comes_the_count_never_goes_back():
    random.seed(1)
    points = [[0, 0]]
    for _ in range(50):
        points.append(
            [points[-1][0] + random.getrandbits(4), points[-1][1] + random.getrandbits(9)]
        )
    pins = Pins(pulses=points)
    driver = sensor(pins, value=3)
    before = await driver.measure()
    for _ in range(200):
        values = await after(driver, pins, random.getrandbits(3))
        assert values[0] >= before[0]
        assert values[1] == 3 * values[0]
        assert values[2] is None or values[2] >= 0
        before = values


def check_options_that_cannot_be_are_refused():
    for key, value in (
        ("pull", "sideways"),
        ("name", "rate"),
        ("name", "status"),
        ("value", 0),
        ("exponent", 7),
    ):
        assert refused_key(sensor, **{key: value}) == key, key
