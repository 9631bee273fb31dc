# NAMUR NE 43 gives limits, no example; scales are those of a transmitter of 0..10 bar.
import random

from checking import failure_of, refused_key
from current_loop_chip import Chip

from lilong_firmware.drivers.current_loop import CurrentLoop
from lilong_firmware.errors import AbsentError, NonsenseError, SensorError
from lilong_firmware.fields import Fields

BAR = {"name": "pressure", "unit": "Pa", "exponent": 2, "low": 0, "high": 10000}
"""0..10 bar in hundreds of pascals."""


class Readings:
    """An ADC that gives these microvolts, again and again."""

    def __init__(self, *readings):
        self._readings = readings
        self._next = 0

    def read_uv(self):
        self._next += 1
        return self._readings[(self._next - 1) % len(self._readings)]

    def adc(self, _number):
        return self


class Pins:
    def __init__(self, **entry):
        self.s = 0
        self.chip = Chip(dict(entry, pin=34), lambda: self.s)

    def adc(self, number):
        assert number == 34
        return self

    def read_uv(self):
        return self.chip.microvolts(34)


def sensor(pins, **options):
    given = dict(BAR, pin=34, samples=1)
    given.update(options)
    return CurrentLoop(pins, Fields({key: given[key] for key in given if given[key] is not None}))


async def check_4_to_20_milliamperes_are_low_to_high():
    # At 100 ohm 1 mA is 100 mV.
    for microvolts, value in (
        (400000, 0),
        (800000, 2500),
        (1200000, 5000),
        (2000000, 10000),
        (1200080, 5001),
    ):
        driver = sensor(Readings(microvolts))
        assert await driver.measure() == [value, microvolts // 100 + microvolts % 100 // 50]


async def check_it_stays_linear_from_3_8_to_20_5_milliamperes():
    # NE 43, range of the measurement: -0.125 and 10.3125 bar.
    assert await sensor(Readings(380000)).measure() == [-125, 3800]
    assert await sensor(Readings(2050000)).measure() == [10313, 20500]
    given = sensor(None).GIVES
    assert (given[0].name, given[0].unit, given[0].exponent) == ("pressure", "Pa", 2)
    assert (given[0].lowest, given[0].highest) == (-125, 10313)
    assert (given[1].name, given[1].unit, given[1].exponent) == ("current", "A", -6)


async def check_what_lies_between_the_range_and_a_failure_is_the_end_of_the_range():
    assert await sensor(Readings(361000)).measure() == [-125, 3610]
    assert await sensor(Readings(2099000)).measure() == [10313, 20990]


async def check_failures_are_3_6_milliamperes_or_less_and_21_or_more():
    for microvolts in (360000, 350000, 0):
        assert isinstance(await failure_of(sensor(Readings(microvolts))), AbsentError)
    for microvolts in (2100000, 2200000, 3100000):
        assert isinstance(await failure_of(sensor(Readings(microvolts))), NonsenseError)


async def check_a_scale_may_be_upside_down_and_negative():
    # 20 m at 4 mA, 0.5 m at 20 mA; -40 at 4 mA, 120 Cel at 20 mA.
    level = {"low": 20000, "high": 500}
    assert await sensor(Readings(400000), **level).measure() == [20000, 4000]
    assert await sensor(Readings(2000000), **level).measure() == [500, 20000]
    given = sensor(None, **level).GIVES[0]
    assert (given.lowest, given.highest) == (-109, 20244)
    heat = {"low": -400, "high": 1200}
    assert await sensor(Readings(800000), **heat).measure() == [0, 8000]


async def check_another_shunt():
    assert await sensor(Readings(1200000), shunt_mohm=120000).measure() == [3750, 10000]
    # One that is 0.4 % off, told by a known current.
    assert await sensor(Readings(1204800), shunt_mohm=100400).measure() == [5000, 12000]


async def check_spikes_and_noise_do_not_count():
    readings = [1200000 + 4000 * (index % 2) - 2000 for index in range(16)]
    readings[3] = 0
    readings[9] = 3100000
    readings[10] = 3100000
    value, current_ua = await sensor(Readings(*readings), samples=16).measure()
    assert 11980 <= current_ua <= 12020, current_ua
    assert 4987 <= value <= 5013, value


async def check_all_that_an_adc_can_say_is_a_value_or_an_error():
    random.seed(1)
    for _ in range(300):
        try:
            value, current_ua = await sensor(Readings(random.getrandbits(22))).measure()
        except SensorError:
            continue
        assert -125 <= value <= 10313
        assert 3600 < current_ua < 21000


async def check_a_transmitter_over_its_range():
    for wanted in (0, 3.3, 7, 10):
        pins = Pins(value=wanted, low=0, high=10)
        value, _ = await sensor(pins, samples=40).measure()
        assert abs(value - wanted * 1000) <= 10, (wanted, value)
    pins = Pins(value=12, low=0, high=10, noise_mv=0)
    assert await sensor(pins).measure() == [10313, 20500]


async def check_each_failure_of_a_transmitter_and_that_it_recovers():
    pins = Pins(
        value=[[0, 5], [100, 5], [130, 8]],
        low=0,
        high=10,
        noise_mv=0,
        faults=[
            ["absent", 10, 20],
            ["damaged", 30, 40],
            ["nonsense", 50, 60],
            ["stuck", 100, 200],
        ],
    )
    driver = sensor(pins)
    for at_s, kind in ((10, AbsentError), (30, AbsentError), (50, NonsenseError)):
        pins.s = at_s
        assert isinstance(await failure_of(driver), kind), at_s
        pins.s = at_s + 10
        assert await driver.measure() == [5000, 12000]
    pins.s = 150
    assert await driver.measure() == [5000, 12000]
    pins.s = 250
    assert await driver.measure() == [8000, 16800]


def check_options_that_cannot_be_are_refused():
    for key, value in (
        ("name", None),
        ("name", "current"),
        ("unit", None),
        ("exponent", None),
        ("low", None),
        ("high", 0),
        ("shunt_mohm", 150000),
        ("samples", 0),
    ):
        assert refused_key(sensor, **{key: value}) == key, key
