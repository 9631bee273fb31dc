# The user guide's examples: uS / 58 = centimeters; and high level time * 340 m/s / 2.
import random

from checking import failure_of, refused_key
from hcsr04_chip import Chip

from lilong_firmware.drivers.hcsr04 import Hcsr04, _speed_mm_s
from lilong_firmware.errors import AbsentError, NonsenseError, SensorError
from lilong_firmware.fields import Fields


class Echoes:
    """Pins with a module that answers each trigger with the next of these."""

    def __init__(self, *echoes):
        self._echoes = list(echoes)
        self.high = 0
        self.triggers = []
        self.writes = []

    def output(self, number, value):
        assert (number, value) == (5, 0)
        return self

    def input(self, number, pull):
        assert (number, pull) == (18, "down")
        return self

    def value(self, level=None):
        if level is None:
            return self.high
        self.writes.append(level)
        return None

    def pulse_us(self, pin, level, timeout_us):
        assert (pin, level) == (self, 1)
        assert timeout_us <= 25000
        self.triggers.append(self.writes)
        self.writes = []
        echo_us = self._echoes.pop(0)
        return -1 if echo_us > timeout_us else echo_us


class Pin:
    def __init__(self, chip, number):
        self.number = number
        self._chip = chip

    def value(self, level=None):
        if level is None:
            return self._chip.level(self.number)
        self._chip.set(self.number, level)
        return None


class Pins:
    def __init__(self, **entry):
        self.s = 0
        self.chip = Chip(dict(entry, trigger=5, echo=18), lambda: self.s)

    def output(self, number, value):
        pin = Pin(self.chip, number)
        pin.value(value)
        return pin

    def input(self, number, _pull):
        return Pin(self.chip, number)

    def pulse_us(self, pin, level, timeout_us):
        length_us = self.chip.pulse_us(pin.number, level)
        return -1 if length_us > timeout_us else length_us


def sensor(pins, **options):
    return Hcsr04(pins, Fields(dict({"samples": 1}, trigger=5, echo=18, **options)))


async def check_58_microseconds_are_a_centimetre():
    # It is 344.8 m/s, air of 23 Cel; the guide promises 3 mm.
    for centimetres in (2, 10, 100, 250):
        (distance_mm,) = await sensor(Echoes(58 * centimetres), celsius=23).measure()
        assert abs(distance_mm - 10 * centimetres) <= 3, distance_mm


async def check_340_metres_a_second_are_air_of_14_cel():
    # 5882 us * 340 m/s / 2 = 1.000 m.
    (distance_mm,) = await sensor(Echoes(5882), celsius=14).measure()
    assert abs(distance_mm - 1000) <= 1, distance_mm


def check_the_speed_of_sound_is_that_of_the_tables():
    # Dry air, sqrt(1 + t / 273.15) * 331.3 m/s.
    for celsius, metres in ((-40, 306.1), (-20, 318.9), (0, 331.3), (20, 343.2), (40, 354.7)):
        assert abs(_speed_mm_s(celsius) - 1000 * metres) < 300, celsius


async def check_warmer_air_makes_the_same_echo_farther():
    pins = Pins(distance=3, celsius=40)
    (distance_mm,) = await sensor(pins, celsius=40).measure()
    assert abs(distance_mm - 3000) <= 3
    (distance_mm,) = await sensor(pins).measure()
    assert 2890 < distance_mm < 2910


async def check_it_triggers_with_one_long_pulse():
    pins = Echoes(580)
    await sensor(pins).measure()
    (writes,) = pins.triggers
    assert writes[-1] == 0
    assert all(writes[:-1])
    assert len(writes) > 10


async def check_the_median_counts():
    assert await sensor(Echoes(5882, 700, 5882), samples=3, celsius=14).measure() == [999]
    pins = Pins(distance=1, faults=[["damaged", 0, 9]])
    assert await sensor(pins, samples=3).measure() == [1000]


async def check_echoes_that_are_missing_count_against_it():
    assert await sensor(Echoes(5882, -2, 5882), samples=3, celsius=14).measure() == [999]
    assert isinstance(await failure_of(sensor(Echoes(5882, -2, -1), samples=3)), NonsenseError)
    assert isinstance(await failure_of(sensor(Echoes(5882, -2), samples=2)), AbsentError)


async def check_no_pulse_is_absent_and_38_milliseconds_are_nonsense():
    assert isinstance(await failure_of(sensor(Echoes(-2))), AbsentError)
    assert isinstance(await failure_of(sensor(Echoes(38000))), NonsenseError)


async def check_a_module_that_hangs_is_not_triggered():
    pins = Echoes()
    pins.high = 1
    assert isinstance(await failure_of(sensor(pins)), NonsenseError)
    assert pins.triggers == []


async def check_whatever_comes_is_a_distance_or_an_error():
    random.seed(1)
    driver = sensor(None)
    for _ in range(300):
        echo_us = random.getrandbits(15)
        assert 0 <= driver._distance_mm(echo_us) <= 5700
    for _ in range(10):
        echoes = [random.getrandbits(15) - 4000 for _ in range(2)]
        try:
            (distance_mm,) = await sensor(Echoes(*echoes), samples=2).measure()
        except SensorError:
            continue
        assert 0 <= distance_mm <= 4300, echoes


async def check_distances_of_the_simulated_module():
    for distance_m in (0.02, 0.5, 1.234, 4):
        (distance_mm,) = await sensor(Pins(distance=distance_m)).measure()
        assert abs(distance_mm - distance_m * 1000) <= 1, (distance_m, distance_mm)
    assert isinstance(await failure_of(sensor(Pins(distance=6))), NonsenseError)


async def check_each_fault_of_the_simulated_module_and_that_it_recovers():
    pins = Pins(
        distance=[[0, 1], [100, 1], [130, 2]],
        faults=[["absent", 10, 20], ["nonsense", 30, 40], ["stuck", 100, 200]],
    )
    driver = sensor(pins)
    for at_s, kind in ((10, AbsentError), (30, NonsenseError)):
        pins.s = at_s
        assert isinstance(await failure_of(driver), kind), at_s
        pins.s = at_s + 10
        assert await driver.measure() == [1000]
    pins.s = 150
    assert await driver.measure() == [1000]
    pins.s = 250
    assert await driver.measure() == [2000]


def check_options_that_cannot_be_are_refused():
    for key, value in (("celsius", 86), ("samples", 0), ("samples", 16)):
        assert refused_key(sensor, **{key: value}) == key, key
