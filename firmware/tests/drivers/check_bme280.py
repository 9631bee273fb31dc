# The BME280's datasheet has formulas (sections 4.2.3, 8.1, 9.1) and the length of one measurement
# as an example (9.1), but no worked compensation. Temperature and pressure are that of its
# predecessor BMP280 (BST-BMP280-DS001, section 3.12, "calculated values"), whose formulas are the
# same. For humidity Bosch publishes none: see below.
import random
from struct import pack

import bme280_chip
from checking import Clock, different, raised, refused_key
from scripted_bus import ScriptedI2c, UnreliableI2c, broken_off

from lilong_firmware.drivers import bme280
from lilong_firmware.drivers.bme280 import Bme280, longest_us
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError
from lilong_firmware.fields import Fields

ADDRESS = 0x76
WORDS = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
# dig_H1..H6 of a real chip, as a public test has them (75, 380, 0, 305, 0, 30).
LOW = pack("<HhhHhhhhhhhhBB", *(WORDS + (0, 75)))
HIGH = pack("<hBbBbb", 380, 0, 305 >> 4, 305 & 15, 0, 30)
RAW_T, RAW_P, RAW_H = 519888, 415148, 30000


def reads(register, data):
    return [(">", ADDRESS, bytes((register,))), ("<", ADDRESS, data)]


def writes(register, value):
    return [(">", ADDRESS, bytes((register, value)))]


def start():
    calibration = reads(0x88, LOW) + reads(0xE1, HIGH)
    return reads(0xD0, b"\x60") + reads(0xF3, b"\x00") + calibration + calibration


def result(pressure=RAW_P, temperature=RAW_T, humidity=RAW_H):
    parts = (pressure >> 12, pressure >> 4, pressure << 4, temperature >> 12, temperature >> 4)
    parts += (temperature << 4, humidity >> 8, humidity)
    return bytes([part & 0xFF for part in parts])


def forced(data, hum=1, config=0, meas=0x24):
    script = writes(0xF2, hum) + writes(0xF5, config) + writes(0xF4, meas | 1)
    script += reads(0xF3, b"\x00")
    return script + reads(0xF2, bytes((hum, 0, meas, config, 0)) + data)


def sensor(bus, **options):
    return Bme280(bus, Fields(options))


def simulated(entry, **options):
    clock = Clock()
    bus = UnreliableI2c({ADDRESS: bme280_chip.Chip(entry, clock)})
    clock.ahead_s = 1
    return sensor(bus, **options), bus, clock


async def check_the_example_of_the_bmp280s_datasheet():
    # Section 3.12: 25.08 Cel, 100653.27 Pa.
    bus = ScriptedI2c(start() + forced(result()))
    values = await sensor(bus).measure()
    assert values[:2] == [2508, 1006533], values
    assert bus.done


def check_the_example_to_its_last_digit():
    # t_fine 128422. Its figure has 25767236 / 256 Pa, of the formula in floating point; the one in
    # 64 bits gives 25767233 (100653.25 Pa), as those who ran its C code publish too.
    calibration = bme280._Calibration(LOW + HIGH)
    assert calibration.fine(RAW_T) == 128422
    assert calibration.pressure(RAW_P, 128422) == 25767233


def check_a_public_humidity_vector():
    # A driver's test (dbus-lynx-distributor, test_bme280.py) has 61.62 %RH for these words, which
    # its authors verified against a C program of section 4.2.3.
    calibration = bme280._Calibration(LOW + HIGH)
    assert (calibration.h1, calibration.h2, calibration.h3) == (75, 380, 0)
    assert (calibration.h4, calibration.h5, calibration.h6) == (305, 0, 30)
    assert abs(calibration.humidity(RAW_H, 128422) - 61.62 * 1024) < 10


def check_the_calibration_of_a_real_chip_is_taken_apart():
    # Bytes as elixir-sensors/bmp280 publishes them; its own reading of dig_H4 and dig_H5 swaps
    # the halves of 0xe5, against table 16.
    calibration = bme280._Calibration(bme280_chip.CALIBRATION + bme280_chip.CALIBRATION_H)
    assert (calibration.t1, calibration.t2, calibration.t3) == (28189, 26285, 50)
    assert calibration.p == (36635, -10696, 3024, 11092, -241, -7, 12300, -12000, 5000)
    assert (calibration.h1, calibration.h2, calibration.h3) == (75, 338, 0)
    assert (calibration.h4, calibration.h5, calibration.h6) == (380, 50, 30)


def check_the_halves_of_negative_words():
    high = pack("<hBBBBb", -2, 255, 0xF0, 0xC5, 0xFF, -128)
    calibration = bme280._Calibration(LOW + high)
    assert (calibration.h2, calibration.h3, calibration.h6) == (-2, 255, -128)
    assert (calibration.h4, calibration.h5) == (-16 * 16 + 5, -16 + 12)


def check_the_integers_agree_with_the_formulas_in_floating_point():
    # Section 8.1, over the whole range, with the calibration of the simulated chip.
    calibration = bme280._Calibration(bme280_chip.CALIBRATION + bme280_chip.CALIBRATION_H)
    for raw_t in range(350000, 700000, 35000):
        fine = calibration.fine(raw_t)
        assert abs(fine - bme280_chip.fine(raw_t)) < 4, raw_t
        for raw in range(150000, 500000, 50000):
            exact = bme280_chip.pascal(raw, bme280_chip.fine(raw_t))
            assert abs(calibration.pressure(raw, fine) / 256 - exact) < 1.0, (raw_t, raw)
        for raw in range(18000, 44000, 4000):
            exact = min(max(bme280_chip.percent(raw, bme280_chip.fine(raw_t)), 0.0), 100.0)
            assert abs(calibration.humidity(raw, fine) / 1024 - exact) < 0.05, (raw_t, raw)


def check_how_long_a_measurement_takes():
    # Section 9.1: 1x temperature, 4x pressure, no humidity: 11.5 ms typical, 13.325 ms at most.
    assert longest_us(1, 4, 0) == 13325
    assert longest_us(1, 1, 1) == 9300
    assert longest_us(16, 16, 16) == 112800


async def check_the_options_reach_the_chip():
    script = start() + forced(result(), hum=3, config=16, meas=0xB4)
    bus = ScriptedI2c(script)
    options = {"oversampling_t": 16, "oversampling_p": 16, "oversampling_h": 4, "filter": 16}
    await sensor(bus, **options).measure()
    assert bus.done


def check_wrong_options_are_refused_by_name():
    assert refused_key(sensor, address=0x78) == "address"
    assert refused_key(sensor, oversampling_t=0) == "oversampling_t"
    assert refused_key(sensor, oversampling_p=3) == "oversampling_p"
    assert refused_key(sensor, oversampling_h=32) == "oversampling_h"
    assert refused_key(sensor, filter=1) == "filter"


async def check_what_is_skipped_is_not_there():
    bus = ScriptedI2c(start() + forced(result(0x80000, RAW_T, 0x8000), hum=0, meas=0x20))
    driver = sensor(bus, oversampling_p=0, oversampling_h=0)
    assert await driver.measure() == [2508, None, None]
    assert bus.done


async def check_no_temperature_is_nonsense():
    bus = ScriptedI2c(start() + forced(result(RAW_P, 0x80000, RAW_H)))
    assert "nothing" in await raised(NonsenseError, sensor(bus).measure())


async def check_other_chips_are_told_apart():
    for identity, kind, word in (
        (0x58, AbsentError, "BMP280"),
        (0x61, AbsentError, "97"),
        (0x00, DamagedError, "lines"),
        (0xFF, DamagedError, "lines"),
    ):
        bus = ScriptedI2c(reads(0xD0, bytes((identity,))))
        assert word in await raised(kind, sensor(bus).measure())


async def check_a_calibration_that_cannot_be_is_damaged():
    for low, high in ((bytes(26), bytes(7)), (b"\xff" * 26, b"\xff" * 7)):
        calibration = reads(0x88, low) + reads(0xE1, high)
        script = reads(0xD0, b"\x60") + reads(0xF3, b"\x00") + calibration + calibration
        assert "blank" in await raised(DamagedError, sensor(ScriptedI2c(script)).measure())
    script = start()
    script[-1] = ("<", ADDRESS, HIGH[:-1] + b"\x1f")
    assert "each time" in await raised(DamagedError, sensor(ScriptedI2c(script)).measure())


async def check_the_copying_of_the_calibration_is_waited_for():
    script = start()
    script[2:4] = reads(0xF3, b"\x01") + reads(0xF3, b"\x01") + reads(0xF3, b"\x00")
    bus = ScriptedI2c(script + forced(result()))
    await sensor(bus).measure()
    assert bus.done


async def check_settings_that_do_not_hold_are_noticed():
    # A reset between the start of the conversion and its end.
    for settings in ((0, 0, 0x24, 0, 0), (1, 0, 0, 0, 0), (1, 0, 0x25, 0, 0)):
        script = start() + forced(result())
        script[-1] = ("<", ADDRESS, bytes(settings) + result())
        assert "hold" in await raised(DamagedError, sensor(ScriptedI2c(script)).measure())


async def check_a_missing_chip_raises_an_os_error_at_each_step_and_comes_back():
    whole = start() + forced(result())
    for bus in broken_off(whole):
        driver = sensor(bus)
        assert await raised(OSError, driver.measure())
        assert (await driver.measure())[0] == 2508
        assert bus.done


async def check_random_bytes_raise_nothing_else_and_it_recovers():
    random.seed(5)
    driver, bus, _ = simulated({"temperature": 20, "pressure": 100000, "humidity": 40})
    good = 0
    for _ in range(150):
        bus.one_in = 6
        try:
            await driver.measure()
            good += 1
        except (OSError, AbsentError, DamagedError, NonsenseError):
            driver = sensor(bus)
    assert 10 < good < 140, good
    bus.one_in = 0
    temperature, pressure, humidity = await sensor(bus).measure()
    assert abs(temperature - 2000) < 5
    assert abs(pressure - 1000000) < 200
    assert abs(humidity - 4000) < 30


async def check_random_results_raise_nothing_else():
    random.seed(6)
    data = [bytes([random.getrandbits(8) for _ in range(33)]) for _ in range(300)]
    for sample in data:
        try:
            calibration = bme280._Calibration(sample)
            bme280._values(calibration, sample[:8])
        except (DamagedError, NonsenseError):
            pass


async def check_the_simulated_chip_over_its_range():
    for temperature, pressure, humidity in (
        (-39, 31000, 5),
        (0, 70000, 30),
        (21.5, 101325, 55),
        (84, 109000, 95),
    ):
        entry = {"temperature": temperature, "pressure": pressure, "humidity": humidity}
        driver, _, _ = simulated(entry)
        for _ in range(3):
            values = await driver.measure()
            assert abs(values[0] - temperature * 100) <= 4, values
            assert abs(values[1] - pressure * 10) <= 60, values
            assert abs(values[2] - humidity * 100) <= 20, values


async def check_the_simulated_chip_skips_what_is_not_asked_for():
    driver, _, _ = simulated({}, oversampling_p=0, oversampling_h=0)
    assert (await driver.measure())[1:] == [None, None]


async def check_it_lives_through_each_fault_of_the_simulated_chip():
    faults = [["absent", 100, 200], ["damaged", 300, 400], ["nonsense", 500, 600]]
    driver, _, clock = simulated({"temperature": 20, "faults": faults})
    for ahead_s, kind in ((150, OSError), (350, DamagedError), (550, NonsenseError)):
        assert abs((await driver.measure())[0] - 2000) <= 4
        clock.ahead_s = ahead_s
        assert await raised(kind, driver.measure())
        clock.ahead_s = ahead_s + 100
    assert abs((await driver.measure())[0] - 2000) <= 4


async def check_only_a_stuck_chip_says_the_same_again_and_again():
    driver, _, clock = simulated({"faults": [["stuck", 100, 200]]})
    assert await different(driver, 5) > 1
    clock.ahead_s = 120
    assert await different(driver, 5) == 1
