# Neither the datasheet nor UM2510 has a worked example in bytes. The settings and tables are those
# of ST's ULD driver 1.0.1 (STSW-IMG009, as in SparkFun's library, src/st_src/vl53l1x_class.cpp).
import random

from checking import failure_of, measured_of, recovered_places, refusal
from scripted_bus import ChipBench, NoisyI2c, ScriptedI2c
from vl53l1x_chip import Chip

from lilong_firmware.drivers.vl53l1x import Vl53l1x
from lilong_firmware.errors import (
    AbsentError,
    NonsenseError,
    WarmingError,
)
from lilong_firmware.fields import Fields

ADDRESS = 41
# VL51L1X_DEFAULT_CONFIGURATION, 0x2D to 0x87: mode long.
ST_DEFAULT = bytes.fromhex(
    "00010101020002080008100101000000"
    "00ff000f0000000000200b0000020a21"
    "00000500000000c8000038ff01000800"
    "0001db0f01f10d0168008008b8000000"
    "000f8900000000000000010f0d0e0e00"
    "0002c7ff9b000000010000"
)


def bench_of(**entry):
    return ChipBench(ADDRESS, Chip, entry)


def driver(bus, **options):
    return Vl53l1x(bus, Fields(options))


def settings_written(**options):
    bench = bench_of()
    sensor = driver(bench.i2c, **options)
    return bytes(sensor._settings)


def put(settings, register, value):
    place = register - 0x2D
    return settings[:place] + value + settings[place + len(value) :]


def result(status, distance, signal=0, ambient=0):
    # As VL53L1X_GetResult of the ULD driver takes it apart.
    data = bytearray(17)
    data[0] = status
    data[7:9] = ambient.to_bytes(2, "big")
    data[13:15] = distance.to_bytes(2, "big")
    data[15:17] = signal.to_bytes(2, "big")
    return bytes(data)


def read(register, data):
    return [(">", ADDRESS, register.to_bytes(2, "big")), ("<", ADDRESS, data)]


def write(register, data):
    return [(">", ADDRESS, register.to_bytes(2, "big") + data)]


def ranging(*results):
    script = write(0x86, b"\x01") + write(0x87, b"\x40")
    for data in results:
        script += read(0x30, b"\x01\x02") + read(0x30, b"\x01\x03")
        script += read(0x89, data) + write(0x86, b"\x01")
    return script + write(0x87, b"\x00")


def session(settings, *results):
    # UM2510 3.7 with the temperature update of 7.41; the period is 325 * 105 * 1.075.
    script = write(0x00, b"\x00") + write(0x00, b"\x01") + read(0xE5, b"\x03")
    script += read(0x010F, b"\xea\xcc") + read(0xDE, b"\x01\x45")
    script += write(0x2D, settings)
    script += write(0x08, b"\x81") + write(0x0B, b"\x92") + ranging(result(9, 1))
    return script + write(0x08, b"\x09") + write(0x0B, b"\x00") + ranging(*results)


LONG_100 = put(put(ST_DEFAULT, 0x5E, b"\x01\xcc\x0f\x01\xea"), 0x6C, b"\x00\x00\x8f\x4c")


def check_settings_are_those_of_the_uld_driver_in_mode_long():
    # SetTimingBudgetInMs(100) in VL53L1X_SetDistanceMode 2; the period is not known yet.
    expected = put(LONG_100, 0x6C, b"\x00\x00\x00\x00")
    assert settings_written() == expected
    assert settings_written(mode="long", budget_ms=500) == put(
        put(expected, 0x5E, b"\x04\x8f"), 0x61, b"\x04\xa4"
    )


def check_settings_are_those_of_the_uld_driver_in_mode_short():
    # VL53L1X_SetDistanceMode 1 and SetTimingBudgetInMs(15).
    expected = put(LONG_100, 0x6C, b"\x00\x00\x00\x00")
    changes = (
        (0x4B, b"\x14"),
        (0x5E, b"\x00\x1d\x07\x00\x27\x05"),
        (0x69, b"\x38"),
        (0x78, b"\x07\x05\x06\x06"),
    )
    for register, value in changes:
        expected = put(expected, register, value)
    assert settings_written(mode="short", budget_ms=15) == expected


def check_timeouts_are_those_of_the_uld_driver():
    # VL53L1X_SetTimingBudgetInMs: RANGE_CONFIG__TIMEOUT_MACROP_A and _B for each budget.
    for mode, timeouts in (
        (
            "short",
            (
                (15, 0x001D, 0x0027),
                (20, 0x0051, 0x006E),
                (33, 0x00D6, 0x006E),
                (50, 0x01AE, 0x01E8),
                (100, 0x02E1, 0x0388),
                (200, 0x03E1, 0x0496),
                (500, 0x0591, 0x05C1),
            ),
        ),
        (
            "long",
            (
                (20, 0x001E, 0x0022),
                (33, 0x0060, 0x006E),
                (50, 0x00AD, 0x00C6),
                (100, 0x01CC, 0x01EA),
                (200, 0x02D9, 0x02F8),
                (500, 0x048F, 0x04A4),
            ),
        ),
    ):
        for budget_ms, first, second in timeouts:
            settings = settings_written(mode=mode, budget_ms=budget_ms)
            assert settings[0x5E - 0x2D :][:2] == first.to_bytes(2, "big"), (mode, budget_ms)
            assert settings[0x61 - 0x2D :][:2] == second.to_bytes(2, "big"), (mode, budget_ms)


def check_the_region_of_interest_is_set():
    # VL53L1X_SetROI(8, 4, centre 60).
    settings = settings_written(width=8, height=4, centre=60)
    assert settings[0x7F - 0x2D :][:2] == bytes((60, 0x37))


def check_all_timing_budgets_last_about_what_they_say():
    # By the formulas of ST's full API, which the simulated chip follows; 33 in mode short is the
    # shortest for its name.
    for mode, first in (("short", 15), ("long", 20)):
        lasted = [0.0]
        for budget_ms in (15, 20, 33, 50, 100, 200, 500):
            if budget_ms >= first:
                bench = bench_of()
                chip = bench.chip
                chip._registers[0x2D:0x88] = settings_written(mode=mode, budget_ms=budget_ms)
                lasted.append(chip.ranging_s() * 1000)
                assert 0.4 * budget_ms < lasted[-1] < 1.01 * budget_ms, (mode, budget_ms, lasted)
        assert lasted == sorted(lasted)


async def check_a_measurement_goes_as_the_user_manual_says():
    # Rates are Mcps in 9.7 format: 128 is 1000 kcps.
    bus = ScriptedI2c(session(LONG_100, result(0xE9, 1234, 1280, 64)))
    assert await driver(bus).measure() == [1234, 10000, 500]
    assert bus.done


async def check_data_are_ready_at_the_other_level_where_the_polarity_says_so():
    script = session(LONG_100, result(9, 321))
    for index, step in enumerate(script):
        if step[2] == b"\x01\x02":
            script[index] = ("<", ADDRESS, b"\x11\x03")
        if step[2] == b"\x01\x03":
            script[index] = ("<", ADDRESS, b"\x11\x02")
    assert (await driver(ScriptedI2c(script)).measure())[0] == 321


async def check_it_is_initialised_once_and_again_after_a_failure_of_its_power():
    bench = bench_of(distance=0.8)
    sensor = driver(bench.i2c, budget_ms=20)
    assert (await sensor.measure())[0] == 800
    before = bytes(bench.chip._registers[0x5E:0x70])
    bench.chip._registers[0x7F] = 1
    assert (await sensor.measure())[0] == 800
    assert bench.chip._registers[0x7F] == 1
    bench.chip.restart()
    bench.t += 1
    assert (await sensor.measure())[0] == 800
    assert bytes(bench.chip._registers[0x5E:0x70]) == before


async def check_it_sleeps_after_a_measurement_and_after_a_failure():
    bench = bench_of(faults=[["busy", 1005, 2000]])
    sensor = driver(bench.i2c, budget_ms=20)
    await sensor.measure()
    assert bench.chip._registers[0x87] == 0
    bench.t = 1500.0
    assert isinstance(await failure_of(sensor), WarmingError)
    assert bench.chip._registers[0x87] == 0


async def check_it_is_reset_after_it_hung():
    bench = bench_of(distance=0.6, faults=[["busy", 1005, 2000]])
    sensor = driver(bench.i2c, budget_ms=20)
    await sensor.measure()
    bench.t = 1500.0
    await failure_of(sensor)
    bench.chip._registers[0x46] = 0
    bench.t = 2001.0
    assert (await sensor.measure())[0] == 600


async def check_distances_of_the_simulated_chip():
    for distance in (0.04, 0.3, 0.999, 1.55, 2.5, 4.0):
        bench = bench_of(distance=distance, reflectance=1.7, ambient=500)
        values = await driver(bench.i2c, budget_ms=20).measure()
        assert values[0] == int(distance * 1000 + 0.5), (distance, values)
        assert abs(values[1] - min(1.7 * 10000 / distance**2, 511992)) < 9, (distance, values)
        assert values[2] == 500


async def check_nothing_within_reach_is_no_distance_and_still_light():
    bench = bench_of(distance=3.9, reflectance=0.1, ambient=2000)
    values = await driver(bench.i2c, budget_ms=20).measure()
    assert values[0] is None
    assert values[1] < 100
    assert values[2] == 2000
    for status in (4, 5):
        bench = bench_of(distance=0.5, status=status)
        assert (await driver(bench.i2c, budget_ms=20).measure())[0] is None


async def check_a_target_that_is_nearer_than_it_can_is_a_distance():
    bench = bench_of(distance=0.02, status=8)
    assert (await driver(bench.i2c, budget_ms=20).measure())[0] == 20


async def check_rangings_that_failed_are_nonsense_and_say_why():
    # RESULT__RANGE_STATUS as VL53L1X_GetRangeStatus takes it: 6 sigma, 7 wrap, 13 region.
    for status, word in ((6, "noisy"), (7, "wrapped"), (1, "1"), (13, "13"), (0, "0"), (31, "31")):
        bench = bench_of(status=status)
        error = await failure_of(driver(bench.i2c, budget_ms=20))
        assert isinstance(error, NonsenseError), status
        assert word in error.problem, (status, error.problem)


async def check_a_bright_target_beyond_mode_short_wraps_around():
    bench = bench_of(distance=2.0, reflectance=1.0)
    error = await failure_of(driver(bench.i2c, mode="short", budget_ms=15))
    assert "wrapped" in error.problem
    assert (await driver(bench.i2c, budget_ms=20).measure())[0] == 2000


async def check_the_median_leaves_out_failed_rangings():
    rangings = (result(9, 500), result(6, 9), result(9, 700), result(4, 0), result(9, 600))
    bus = ScriptedI2c(session(LONG_100, *rangings))
    # 500, 600, 700 and one beyond reach: the lower of the middle two.
    assert (await driver(bus, samples=5).measure())[0] == 600
    assert bus.done
    rangings = (result(4, 0), result(9, 700), result(5, 0))
    bus = ScriptedI2c(session(LONG_100, *rangings))
    assert (await driver(bus, samples=3).measure())[0] is None


async def check_several_samples_come_in_the_period_that_was_set():
    bench = bench_of(distance=[[1000, 1.0], [1010, 2.0]])
    sensor = driver(bench.i2c, budget_ms=50, samples=5)
    distance = (await sensor.measure())[0]
    assert abs(bench.chip.period_s() - 0.055) < 0.0001
    assert 1000 < distance < 1100


async def check_another_chip_at_its_address_is_named():
    bus = ScriptedI2c(
        write(0x00, b"\x00")
        + write(0x00, b"\x01")
        + read(0xE5, b"\x01")
        + read(0x010F, b"\xeb\xaa")
    )
    error = await failure_of(driver(bus))
    assert isinstance(error, AbsentError)
    assert "0xebaa" in error.problem


async def check_one_that_does_not_boot_is_warming():
    script = write(0x00, b"\x00") + write(0x00, b"\x01") + read(0xE5, b"\x00") * 20
    assert isinstance(await failure_of(driver(ScriptedI2c(script))), WarmingError)


async def check_a_missing_chip_is_an_oserror_at_each_transaction_and_it_recovers():
    bench = bench_of(distance=0.7)
    places = await recovered_places(bench.i2c, lambda: driver(bench.i2c, budget_ms=20), 700)
    assert places > 20


async def check_faults_of_the_simulated_chip():
    bench = bench_of(
        distance=[[0, 0], [2000, 2.0]],
        faults=[["absent", 1100, 1200], ["nonsense", 1200, 1300], ["stuck", 1300, 1400]],
    )
    sensor = driver(bench.i2c, budget_ms=20)
    assert 1000 <= (await sensor.measure())[0] <= 1002
    bench.t = 1110.0
    assert isinstance(await failure_of(sensor), OSError)
    bench.t = 1210.0
    assert isinstance(await failure_of(sensor), NonsenseError)
    bench.t = 1310.0
    assert (await sensor.measure())[0] == 1300
    bench.t = 1390.0
    assert (await sensor.measure())[0] == 1300
    bench.t = 1500.0
    assert 1500 <= (await sensor.measure())[0] <= 1502


async def check_random_bytes_raise_nothing_else_and_it_recovers():
    random.seed(53)
    bench = bench_of(distance=0.7)
    bus = NoisyI2c(bench, {0xE5, 0x010F})
    sensor = driver(bus, budget_ms=20)
    assert await measured_of(sensor, 150, 3)
    bus.noisy = False
    assert (await sensor.measure())[0] == 700


def check_options_that_cannot_be_are_refused():
    for options in (
        {"mode": "medium"},
        {"budget_ms": 15},
        {"budget_ms": 60, "mode": "short"},
        {"samples": 0},
        {"width": 3},
        {"width": 16, "height": 4, "centre": 60},
    ):
        assert refusal(driver, **options), options


def check_mode_short_gives_no_more_than_it_can_reach():
    assert driver(None).GIVES[0].highest == 5000
    short = driver(None, mode="short")
    assert short.GIVES[0].highest == 1500
    assert [given.name for given in short.GIVES] == ["distance", "signal", "ambient"]
