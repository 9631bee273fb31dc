# The datasheet's examples are the quick start's bytes (section 9.1.7) and the ideal codes
# (table 7-3); both are for continuous conversion and any range.
import asyncio
import random

import ads1115_chip
from checking import Clock, measured_of, raised, refused_key
from scripted_bus import ScriptedI2c, UnreliableI2c, broken_off

from lilong_firmware.drivers.ads1115 import Ads1115
from lilong_firmware.errors import DamagedError, NonsenseError
from lilong_firmware.fields import Fields

ADDRESS = 0x48


def reads(register, word):
    return [(">", ADDRESS, bytes((register,))), ("<", ADDRESS, word.to_bytes(2, "big"))]


def conversion(config, code):
    script = reads(1, 0x8583) + [(">", ADDRESS, bytes((1, config >> 8, config & 0xFF)))]
    return script + reads(1, config) + reads(0, code)


def sensor(bus, **options):
    return Ads1115(bus, Fields(options))


def simulated(entry, **options):
    clock = Clock()
    chip = ads1115_chip.Chip(entry, clock)
    bus = UnreliableI2c({ADDRESS: chip})
    settings = {"rate": 860}
    settings.update(options)
    return sensor(bus, **settings), bus, clock


def check_the_simulated_chip_answers_the_quick_start():
    # Section 9.1.7: configuration 0x8483 (a0 against a1, 2.048 V, continuous, 128 a second).
    clock = Clock()
    chip = ads1115_chip.Chip({"a0": 1.0, "a1": 0.0}, clock)
    chip.write(b"\x01\x84\x83")
    chip.write(b"\x00")
    assert chip.read(2) == b"\x00\x00"
    clock.ahead_s = 1
    assert chip.read(2) == b"\x3e\x80"
    # After reset (table 8-3) it is asleep.
    assert ads1115_chip.Chip({}, clock)._registers[1] == 0x8583


async def check_the_ideal_codes_of_the_datasheet():
    # Table 7-3: FS * (2**15 - 1) / 2**15 = 0x7fff and more, FS / 2**15 = 1, 0, -FS / 2**15, -FS.
    for range_mv, gain, step_uv in ((6144, 0, 187.5), (4096, 1, 125), (2048, 2, 62.5)):
        for code, expected in ((1, step_uv), (0, 0), (0xFFFF, -step_uv), (0x4000, range_mv * 500)):
            config = 0x8103 | gain << 9 | 7 << 5
            bus = ScriptedI2c(conversion(config, code))
            options = {"inputs": ["a0_a1"], "range_mv": range_mv, "rate": 860}
            values = await sensor(bus, **options).measure()
            assert abs(values[0] - expected) <= 0.5, (values, expected)
            assert bus.done


async def check_each_input_range_and_rate_has_its_code():
    names = ("a0_a1", "a0_a3", "a1_a3", "a2_a3", "a0", "a1", "a2", "a3")
    for code, name in enumerate(names):
        bus = ScriptedI2c(conversion(0x8103 | code << 12 | 1 << 9 | 7 << 5, 0x0100))
        driver = sensor(bus, inputs=[name], rate=860)
        assert await driver.measure() == [256 * 125]
        assert [given.name for given in driver.GIVES] == [name]
    for code, range_mv in enumerate((6144, 4096, 2048, 1024, 512, 256)):
        bus = ScriptedI2c(conversion(0xC103 | code << 9 | 7 << 5, 0x7FFE))
        driver = sensor(bus, inputs=["a0"], range_mv=range_mv, rate=860)
        exact_uv = 32766 * range_mv * 1000 / 32768
        assert abs((await driver.measure())[0] - exact_uv) <= 0.6
        assert driver.GIVES[0].highest == range_mv * 1000
    for code, rate in enumerate((8, 16, 32, 64, 128, 250, 475, 860)):
        bus = ScriptedI2c(conversion(0xC303 | code << 5, 1))
        assert await sensor(bus, inputs=["a0"], rate=rate).measure() == [125]


def check_what_it_gives_follows_its_inputs():
    assert [given.name for given in Ads1115.GIVES] == ["a0", "a1", "a2", "a3"]
    assert [given.name for given in sensor(None).GIVES] == ["a0", "a1", "a2", "a3"]
    driver = sensor(None, inputs=["a2_a3", "a0"], range_mv=2048)
    limits = [(given.name, given.lowest, given.highest) for given in driver.GIVES]
    assert limits == [("a2_a3", -2048000, 2048000), ("a0", -300000, 2048000)]


def check_wrong_options_are_refused_by_name():
    assert refused_key(sensor, address=0x47) == "address"
    assert refused_key(sensor, range_mv=1000) == "range_mv"
    assert refused_key(sensor, rate=100) == "rate"
    for inputs in ([], ["a4"], ["a0", "a0"], ["a1_a0"], [0], "a0"):
        assert refused_key(sensor, inputs=inputs) == "inputs"


async def check_an_input_beyond_the_range_has_no_value():
    for code in (0x7FFF, 0x8000):
        bus = ScriptedI2c(conversion(0xC3E3, 0x0100) + conversion(0xD3E3, code))
        driver = sensor(bus, inputs=["a0", "a1"], rate=860)
        assert await driver.measure() == [32000, None]
        bus = ScriptedI2c(conversion(0xC3E3, code))
        driver = sensor(bus, inputs=["a0"], rate=860)
        assert "range_mv" in await raised(NonsenseError, driver.measure())
        bus = ScriptedI2c(conversion(0xC3E3, code))
        driver = sensor(bus, rate=860)
        assert "a0" in await raised(NonsenseError, driver.read_uv("a0"))


async def check_other_drivers_may_read_one_input():
    driver, _, _ = simulated({"a3": 1.2345}, inputs=["a0"])
    assert abs(await driver.read_uv("a3") - 1234500) <= 63


async def check_a_conversion_is_polled_until_it_ends():
    script = conversion(0xC3E3, 0x0100)
    script[3:3] = reads(1, 0x43E3) + reads(1, 0x43E3)
    bus = ScriptedI2c(script)
    assert await sensor(bus, inputs=["a0"], rate=860).measure() == [32000]
    assert bus.done


async def check_a_conversion_that_does_not_end_is_damaged():
    for rate in (128, 860):
        driver, _, clock = simulated({"faults": [["damaged", 100, 200]]}, rate=rate)
        clock.ahead_s = 110
        assert "end" in await raised(DamagedError, driver.measure())
        clock.ahead_s = 210
        assert await driver.measure() == [0, 0, 0, 0]


async def check_settings_that_do_not_hold_are_damaged():
    lost = reads(1, 0x8583) + [(">", ADDRESS, b"\x01\xc3\xe3")] + reads(1, 0x8583)
    bus = ScriptedI2c(lost + lost + lost)
    driver = sensor(bus, inputs=["a0"], rate=860)
    assert "hold" in await raised(DamagedError, driver.measure())
    assert bus.done


async def check_two_drivers_share_one_chip_and_never_take_the_others_value():
    driver, bus, _ = simulated({"a0": 0.5, "a1": 1.5}, inputs=["a0"])
    other = sensor(bus, inputs=["a1"], rate=475, range_mv=2048)
    found = [0, 0]

    async def ask(place, which, expected_uv):
        for _ in range(25):
            try:
                values = await which.measure()
            except DamagedError:
                continue
            found[place] += 1
            assert abs(values[0] - expected_uv) <= 125, values

    await asyncio.gather(ask(0, driver, 500000), ask(1, other, 1500000))
    assert min(found) >= 15, found


async def check_a_slow_clock_is_waited_for():
    # Section 5.5: the rate may be 10 % less; here it is a third less.
    driver, _, _ = simulated({"a0": 2.0, "clock": 0.67}, rate=128, inputs=["a0"])
    assert abs((await driver.measure())[0] - 2000000) <= 63


async def check_a_missing_chip_raises_an_os_error_at_each_step_and_comes_back():
    whole = conversion(0xC3E3, 0x0100)
    for bus in broken_off(whole):
        driver = sensor(bus, inputs=["a0"], rate=860)
        await raised(OSError, driver.measure())
        assert await driver.measure() == [32000]
        assert bus.done


async def check_random_bytes_raise_nothing_else_and_it_recovers():
    random.seed(8)
    driver, bus, _ = simulated({"a0": 1.0, "a1": 2.0}, inputs=["a0", "a1"])
    bus.one_in = 8
    good = 2 * await measured_of(driver, 200, 2)
    assert 60 < good < 390, good
    bus.one_in = 0
    assert await driver.measure() == [1000000, 2000000]


async def check_the_simulated_chip_over_its_range():
    for volts in (0.0, 0.0001, 1.0, 2.5, 4.0):
        entry = {"a0": volts, "a1": 1.0, "a3": 5.0}
        driver, _, _ = simulated(entry, range_mv=6144, inputs=["a0", "a1", "a0_a1", "a1_a3"])
        values = await driver.measure()
        expected = (volts, 1.0, volts - 1.0, -4.0)
        for value, exact in zip(values, expected):
            assert abs(value - exact * 1000000) <= 95, (value, exact)


async def check_it_lives_through_the_faults_of_the_simulated_chip():
    faults = [["absent", 100, 200], ["nonsense", 300, 400], ["stuck", 500, 600]]
    driver, _, clock = simulated({"a0": [[0, 1.0], [1000, 2.0]], "faults": faults})
    for ahead_s, kind in ((150, OSError), (350, NonsenseError)):
        await driver.measure()
        clock.ahead_s = ahead_s
        await raised(kind, driver.measure())
        clock.ahead_s = ahead_s + 100
    before = await driver.measure()
    assert abs(before[0] - 1450000) < 500
    clock.ahead_s = 520
    stuck = await driver.measure()
    clock.ahead_s = 580
    assert await driver.measure() == stuck
    clock.ahead_s = 700
    assert abs((await driver.measure())[0] - 1700000) < 500
