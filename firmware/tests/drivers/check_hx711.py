# The datasheet has no numbers from counts to a weight; from it are the pulses that choose gain and
# channel, two's complement and the values at saturation, DOUT after the 25th pulse, power-down
# after 60 us, and settling within 4 conversions (tables 2 and 3, figures 2 and 3).
import random

from checking import failure_of, refusal
from hx711_chip import Chip

from lilong_firmware.drivers.hx711 import Hx711
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SensorError,
)
from lilong_firmware.fields import Fields

DOUT, SCK = 4, 5
# 2 mV/V on 50 kg, gain 128, 2**24 counts over AVDD/gain.
PER_KG = 85899


class Script:
    """DOUT as given: one frame after the other, each as 24 bits, then high; counts the pulses."""

    def __init__(self, frames, after=1):
        self.frames = list(frames)
        self.after = after
        self.pulses = []
        self.bit = 0
        self.critical_depth = 0

    def input(self, number, pull):
        assert (number, pull) == (DOUT, "up")
        return Wire(self.level, None)

    def output(self, number, value):
        assert (number, value) == (SCK, 1)
        return Wire(None, self.edge)

    def critical(self):
        return self

    def __enter__(self):
        self.critical_depth += 1
        self.bit = 0

    def __exit__(self, *_):
        self.critical_depth -= 1
        self.pulses.append(self.bit)

    def edge(self, level):
        if self.critical_depth:
            self.bit += level

    def level(self):
        if not self.critical_depth:
            if len(self.pulses) > 0 and self.bit:
                self.bit = 0
                return self.after
            return 0 if self.frames else 1
        bit = self.frames[0] >> (24 - self.bit) & 1
        if self.bit == 24:
            self.frames.pop(0)
        return bit


class Wire:
    def __init__(self, read, write):
        self.read = read
        self.write = write

    def value(self, level=None):
        return self.read() if level is None else self.write(level)


class Bench:
    """Pins of one simulated chip; its clock goes on by 5 ms with each look at DOUT."""

    def __init__(self, **entry):
        self.t = 1000.0
        entry["dout"], entry["sck"] = DOUT, SCK
        self.chip = Chip(entry, lambda: self.t)
        self.hurried = False
        assert self.chip.pins() == (DOUT, SCK)

    def input(self, number, pull):
        assert pull == "up"
        return Wire(lambda: self.look(number), None)

    def output(self, number, value):
        self.chip.set(number, value)
        return Wire(None, lambda level: self.edge(number, level))

    def critical(self):
        return self

    def __enter__(self):
        self.hurried = True

    def __exit__(self, *_):
        self.hurried = False

    def look(self, number):
        if not self.hurried:
            self.t += 0.005
        level = self.chip.level(number)
        return 1 if level is None else level

    def edge(self, number, level):
        if not self.hurried:
            self.t += 0.01
        self.chip.set(number, level)


def with_pins(bus, **options):
    return Hx711(bus, Fields(options))


def driver(bus, **options):
    return with_pins(bus, **dict(options, dout=DOUT, sck=SCK))


async def check_frames_are_two_s_complement_most_significant_bit_first():
    for frame, counts in (
        (0x000000, 0),
        (0x000001, 1),
        (0x123456, 0x123456),
        (0x7FFFFE, 8388606),
        (0xFFFFFE, -2),
        (0x800001, -8388607),
    ):
        script = Script([frame])
        assert await driver(script, samples=1).measure() == [counts]
        assert script.pulses == [25]


async def check_the_pulses_after_a_frame_choose_gain_and_channel():
    # Table 3: 25 pulses A 128, 26 B 32, 27 A 64. Another gain than 128 has to settle first.
    script = Script([0x10] * 5)
    assert await driver(script, gain=32, samples=1).measure() == [16]
    assert script.pulses == [26] * 5
    script = Script([0x20, 0x20, 0x20, 0x20, 0x30, 0x40, 0x50])
    assert await driver(script, gain=64, samples=3).measure() == [64]
    assert script.pulses == [27] * 7


async def check_saturation_is_nonsense():
    for frame in (0x7FFFFF, 0x800000):
        assert isinstance(await failure_of(driver(Script([frame]), samples=1)), NonsenseError)


async def check_the_median_counts():
    script = Script([10, 900000, 30, 20, 0x800001])
    assert await driver(script).measure() == [20]


async def check_dout_that_stays_low_is_damaged():
    error = await failure_of(driver(Script([0] * 5, after=0)))
    assert isinstance(error, DamagedError)


async def check_a_frame_that_ends_in_ones_is_taken_again():
    script = Script([0x012FFF, 0x012345])
    assert await driver(script, samples=1).measure() == [0x012345]
    assert len(script.pulses) == 2
    script = Script([0xFFFFFF, 0x001FFF, 0x7FEFFF, 0x000001])
    assert isinstance(await failure_of(driver(script, samples=1)), DamagedError)


async def check_weights_of_the_simulated_chip():
    for kilograms in (0.0, 0.5, 12.345, 49.9, -3.0):
        bench = Bench(load=kilograms, rate=80)
        values = await driver(bench, counts_per_kg=PER_KG).measure()
        assert abs(values[0] - kilograms * 1000) <= 2, (kilograms, values)


async def check_the_zero_is_taken_off():
    bench = Bench(load=2.0, offset=0.1, rate=80)
    zero = int(0.1e-3 * 128 * 16777216)
    values = await driver(bench, counts_per_kg=PER_KG, zero=zero).measure()
    assert abs(values[0] - 2000) <= 2, values
    bench = Bench(load=2.0, sensitivity=-2.0, rate=80)
    values = await driver(bench, counts_per_kg=-PER_KG).measure()
    assert abs(values[0] - 2000) <= 2, values


async def check_other_gains_have_settled_before_they_count():
    for gain, rate in ((32, 10), (32, 80), (64, 80), (128, 80)):
        bench = Bench(load=20.0, rate=rate)
        counts = (await driver(bench, gain=gain, samples=2).measure())[0]
        assert abs(counts - 0.8e-3 * gain * 16777216) < 20, (gain, rate, counts)


async def check_it_is_powered_down_between_measurements():
    bench = Bench(load=1.0, rate=80)
    sensor = driver(bench, samples=1)
    await sensor.measure()
    assert bench.chip.level(SCK) == 1
    bench.t += 100
    assert bench.chip.level(DOUT) == 1
    first = bench.t
    await sensor.measure()
    # It settles anew: 4 conversions.
    assert bench.t - first > 0.05


async def check_a_missing_chip_is_absent_and_it_recovers():
    bench = Bench(load=1.0, rate=80, faults=[["absent", 0, 1010]])
    sensor = driver(bench, counts_per_kg=PER_KG, samples=1)
    assert isinstance(await failure_of(sensor), AbsentError)
    bench.t = 1020.0
    assert bench.chip.level(SCK) == 1
    assert abs((await sensor.measure())[0] - 1000) <= 1


async def check_faults_of_the_simulated_chip():
    bench = Bench(
        load=[[1000, 0.0], [2000, 10.0]],
        rate=80,
        faults=[["damaged", 1100, 1200], ["nonsense", 1200, 1300], ["stuck", 1300, 1400]],
    )
    sensor = driver(bench, samples=1)
    at = 0.4e-3 * 128 * 16777216 / 1000
    counts = (await sensor.measure())[0]
    assert abs(counts - at * (bench.t - 1000)) < 100
    bench.t = 1110.0
    assert isinstance(await failure_of(sensor), DamagedError)
    bench.t = 1210.0
    assert isinstance(await failure_of(sensor), NonsenseError)
    bench.t = 1310.0
    stuck = await sensor.measure()
    bench.t = 1390.0
    assert await sensor.measure() == stuck
    bench.t = 1500.0
    assert abs((await sensor.measure())[0] - at * 500) < 200


async def check_it_recovers_when_one_pulse_became_too_long():
    bench = Bench(load=1.0, rate=80, faults=[["damaged", 1000, 1000.1]])
    sensor = driver(bench, counts_per_kg=PER_KG, samples=3)
    assert abs((await sensor.measure())[0] - 1000) <= 1
    assert bench.t > 1000.1


async def check_random_bits_raise_nothing_else_and_it_recovers():
    random.seed(711)
    measured = 0
    for index in range(200):
        script = Script([random.getrandbits(24) | index % 7 * 0x249 for _ in range(9)])
        script.after = int(index % 5 != 0)
        sensor = driver(script, samples=3, counts_per_kg=1 + random.getrandbits(20))
        try:
            (grams,) = await sensor.measure()
        except (OSError, SensorError):
            continue
        assert sensor.GIVES[0].lowest <= grams <= sensor.GIVES[0].highest
        measured += 1
    assert measured > 100
    sensor._bus = bench = Bench(load=1.0, rate=80)
    sensor._sck = None
    await sensor.measure()
    assert bench.t > 1000


def check_what_it_gives_fits_its_options():
    (counts,) = driver(None).GIVES
    assert (counts.name, counts.unit, counts.lowest) == ("counts", "count", -8388608)
    (weight,) = driver(None, counts_per_kg=1000, zero=8608).GIVES
    assert (weight.name, weight.unit, weight.exponent) == ("weight", "kg", -3)
    assert (weight.lowest, weight.highest) == (-8397216, 8379999)
    (weight,) = driver(None, counts_per_kg=-1000).GIVES
    assert (weight.lowest, weight.highest) == (-8388607, 8388608)


def check_options_that_cannot_be_are_refused():
    for options in (
        {"gain": 100},
        {"samples": 0},
        {"counts_per_kg": 0},
        {"zero": 1 << 23},
        {"counts_per_kg": 1.5},
    ):
        assert refusal(driver, **options), options


def check_both_pins_must_be_given():
    for key in ("dout", "sck"):
        assert refusal(with_pins, **{key: 4}), key
