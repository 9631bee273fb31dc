# The datasheet has no worked example. The registers' content at several accelerations is that of
# ST's application note AN3308, section 4.2.3, table 9 (12 bits, 2 g).
import asyncio
import math
import random
from struct import pack

import lis3dh_chip
from checking import Clock, ended, measured_of, raised, refused_key
from scripted_bus import ScriptedI2c, UnreliableI2c, broken_off

from lilong_firmware.drivers.lis3dh import Lis3dh, angle_us, root
from lilong_firmware.errors import AbsentError, DamagedError
from lilong_firmware.fields import Fields

ADDRESS = 0x18
G = 9.80665
# 0 g, 350 mg, 1 g, -350 mg, -1 g as table 9 has them, low byte first; by the 1 mg a step of the
# datasheet's table 4 its 1 g is 1024 mg.
ZERO, SOME, ONE = b"\x00\x00", b"\xe0\x15", b"\x00\x40"
MINUS_SOME, MINUS_ONE = b"\x20\xea", b"\x00\xc0"


def reads(register, data):
    return [(">", ADDRESS, bytes((register,))), ("<", ADDRESS, data)]


def writes(register, data):
    return [(">", ADDRESS, bytes((register,)) + data)]


def controls(scale=0, rate=7):
    return bytes((rate << 4 | 7, 0x01, 0x00, 0x88 | scale << 4, 0x48, 0x00))


def start(scale=0, rate=7, threshold=0, enabled=0):
    script = reads(0x0F, b"\x33") + writes(0x2E, b"\x00")
    script += writes(0xA0, controls(scale, rate))
    script += writes(0xB2, bytes((threshold, 0))) + writes(0x30, bytes((enabled,)))
    script += reads(0xA0, controls(scale, rate)) + writes(0x2E, b"\x80")
    return script + reads(0x26, b"\x00") + reads(0x31, b"\x00")


def samples(data, source=None):
    count = len(data) // 6
    script = reads(0x2F, bytes((count if source is None else source,)))
    for first in range(0, len(data), 18):
        script += reads(0xA8, data[first : first + 18])
    return script


def sensor(bus, **options):
    return Lis3dh(bus, Fields(options))


def simulated(entry, **options):
    clock = Clock()
    chip = lis3dh_chip.Chip(entry, clock)
    bus = UnreliableI2c({ADDRESS: chip})
    settings = {"rate": 400}
    settings.update(options)
    return sensor(bus, **settings), chip, bus, clock


async def measured(data, scale=0, source=None, **options):
    return (await measured_each([data], scale, source, **options))[0]


async def measured_each(several, scale=0, source=None, **options):
    script = start(scale)
    for place, data in enumerate(several):
        script += reads(0xA0, controls(scale)) if place else []
        script += samples(data, source)
    bus = ScriptedI2c(script)
    settings = {"rate": 400}
    settings.update(options)
    driver = sensor(bus, **settings)
    values = []
    for _ in several:
        values.append(await driver.measure())  # noqa: PERF401 - MicroPython cannot
    assert bus.done
    return values


def steps(*triples):
    """Registers of samples in steps of 12 bits."""
    return b"".join([pack("<3h", x * 16, y * 16, z * 16) for x, y, z in triples])


async def check_the_registers_of_the_application_note():
    mm = [round(mg * G) for mg in (0, 350, 1024)]
    values = await measured((SOME + ZERO + ONE) * 4)
    assert values == [mm[1], 0, mm[2], 0, 0, round(1000 * math.atan2(350, 1024))]
    values = await measured((MINUS_ONE + MINUS_SOME + ZERO) * 4)
    assert values == [-mm[2], -mm[1], 0, 0, 0, round(500 * math.pi)]


async def check_each_range_has_its_step():
    # Datasheet, table 4, high resolution: 1, 2, 4 and 12 mg a step.
    for scale, (range_g, step_mg) in enumerate(((2, 1), (4, 2), (8, 4), (16, 12))):
        count = 1000 // step_mg
        values = await measured(steps((count, 0, -count)) * 5, scale, range_g=range_g)
        expected = round(count * step_mg * G)
        assert values[:5] == [expected, 0, -expected, 0, 0], values


async def check_the_full_scale_is_within_what_it_gives():
    for scale, range_g in enumerate((2, 4, 8, 16)):
        data = steps((-2048, -2048, -2048), (2047, 2047, 2047)) * 16
        values = await measured(data, scale, source=0x5F, range_g=range_g)
        for value, given in zip(values, Lis3dh.GIVES):
            assert value is None or given.lowest <= value <= given.highest, (value, given.name)


async def check_vibration_is_measured_about_the_mean():
    # Two values with a mean of 1000 steps and 100 off it: rms and peak are 100 mg.
    values = await measured(steps((0, 0, 900), (0, 0, 1100)) * 16, source=0x5F)
    assert values == [0, 0, round(1000 * G), 981, 981, 0]
    # One in 32 is off by 320: the mean by 10, the peak is 310, the rms 320 * sqrt(31) / 32.
    values = await measured(steps((320, 0, 1000)) + steps((0, 0, 1000)) * 31, source=0x5F)
    assert values[:3] == [98, 0, 9807]
    assert values[3:5] == [round(320 * math.sqrt(31) / 32 * G), round(310 * G)]


async def check_tilt_is_the_angle_to_the_reference():
    angles = [math.radians(degrees) for degrees in range(0, 181, 10)]
    data = [
        steps((round(1000 * math.sin(angle)), 0, round(1000 * math.cos(angle)))) * 3
        for angle in angles
    ]
    upright = await measured_each(data)
    lying = await measured_each(data, reference=[1, 0, 0])
    for angle, values, others in zip(angles, upright, lying):
        assert abs(values[5] - angle * 1000) <= 1, (angle, values)
        assert abs(others[5] - abs(math.pi / 2 - angle) * 1000) <= 1, (angle, others)
    assert (await measured(steps((100, 200, 950)), reference=[9807, 19613, 93163]))[5] <= 1


async def check_there_is_no_tilt_in_free_fall_or_a_blow():
    data = [steps((0, 0, -length)) * 2 for length in (0, 499, 501, 1499, 1501)]
    tilts = [values[5] for values in await measured_each(data)]
    assert tilts == [None, None, 3142, 3142, None], tilts


def check_the_root_is_exact():
    random.seed(1)
    numbers = list(range(300)) + [random.getrandbits(24) << bits for bits in range(60)]
    for number in numbers:
        found = root(number)
        assert found * found <= number < (found + 1) * (found + 1), number


def check_the_angle_is_good_to_60_microradians():
    random.seed(2)
    for bits in range(24):
        for _ in range(20):
            opposite = random.getrandbits(24) >> bits
            adjacent = (random.getrandbits(24) >> random.getrandbits(4)) - 100000
            if opposite or adjacent:
                exact = math.atan2(opposite, adjacent) * 1000000
                assert abs(angle_us(opposite, adjacent) - exact) <= 60, (opposite, adjacent)
    large = 3 * 10**25
    assert abs(angle_us(large, large) - 785398) <= 60
    assert [round(angle_us(a, b) / 1000) for a, b in ((0, 5), (5, 0), (0, -5))] == [0, 1571, 3142]


async def check_an_overrun_means_32_samples():
    values = await measured(steps((0, 0, 1000)) * 32, source=0xDF)
    assert values[2] == 9807


async def check_an_empty_fifo_is_waited_for_once():
    empty = reads(0x2F, b"\x20")
    bus = ScriptedI2c(start() + empty + samples(steps((0, 0, 1000))))
    assert (await sensor(bus, rate=400).measure())[2] == 9807
    assert bus.done
    again = start() + samples(steps((0, 0, 1000)))
    bus = ScriptedI2c(start() + empty + empty + again)
    driver = sensor(bus, rate=400)
    assert "samples" in await raised(DamagedError, driver.measure())
    assert (await driver.measure())[2] == 9807
    assert bus.done


async def check_it_is_set_up_once_and_again_when_its_settings_are_gone():
    data = samples(steps((0, 0, 1000)))
    script = start() + data + reads(0xA0, controls()) + data
    bus = ScriptedI2c(script + reads(0xA0, bytes((7, 0, 0, 0, 0, 0))) + start() + data)
    driver = sensor(bus, rate=400)
    for _ in range(3):
        assert (await driver.measure())[2] == 9807
    assert bus.done


async def check_the_options_reach_the_chip():
    for scale, (range_g, step_mg) in enumerate(((2, 16), (4, 32), (8, 62), (16, 186))):
        script = start(scale, 6, 2, 0x2A)
        options = {"range_g": range_g, "rate": 200, "motion_mg": 2 * step_mg}
        bus = ScriptedI2c(script + samples(steps((0, 0, 1))))
        await sensor(bus, **options).measure()
        assert bus.done


def check_wrong_options_are_refused_by_name():
    assert refused_key(sensor, address=0x1A) == "address"
    assert refused_key(sensor, range_g=3) == "range_g"
    assert refused_key(sensor, rate=1) == "rate"
    assert refused_key(sensor, motion_mg=-1) == "motion_mg"
    for reference in (
        [],
        [0, 0],
        [0, 0, 0],
        [0, 0, "1"],
        [0, 0, True],
        [0, 0, 1.5],
        [0, 0, 10**9],
    ):
        assert refused_key(sensor, reference=reference) == "reference"


async def check_other_chips_are_told_apart():
    for identity, kind in ((0x3F, AbsentError), (0x00, DamagedError), (0xFF, DamagedError)):
        bus = ScriptedI2c(reads(0x0F, bytes((identity,))))
        await raised(kind, sensor(bus).measure())


async def check_a_missing_chip_raises_an_os_error_at_many_steps_and_comes_back():
    whole = start() + samples(steps((0, 0, 1000)))
    for bus in broken_off(whole, every=2):
        driver = sensor(bus, rate=400)
        assert await raised(OSError, driver.measure())
        assert (await driver.measure())[2] == 9807
        assert bus.done


async def check_random_bytes_raise_nothing_else_and_it_recovers():
    random.seed(9)
    driver, _, bus, _ = simulated({"x": 1.0, "y": -2.0, "z": 9.5})
    bus.one_in = 12
    good = await measured_of(driver, 40, 6)
    assert 3 < good < 40, good
    bus.one_in = 0
    await driver.measure()
    values = await driver.measure()
    assert abs(values[0] - 1000) <= 40
    assert abs(values[1] + 2000) <= 40
    assert abs(values[2] - 9500) <= 40


async def check_the_simulated_chip_over_its_range():
    for range_g, step in ((2, 40), (4, 79), (8, 157), (16, 471)):
        for x, y, z in ((0, 0, G), (5, -5, 7), (0.1, 0.2, -15)):
            driver, _, _, _ = simulated({"x": x, "y": y, "z": z}, range_g=range_g)
            values = await driver.measure()
            for value, exact in zip(values, (x, y, z)):
                assert -step <= value - exact * 1000 <= step, (range_g, values)
            assert values[3:5] == [0, 0]


async def check_vibration_of_the_simulated_chip():
    driver, _, _, _ = simulated({"vibration": 3.0, "vibration_hz": 100})
    values = await driver.measure()
    assert abs(values[2] - 9807) <= 45, values
    assert abs(values[3] - 3000 / math.sqrt(2)) <= 60, values
    assert 2050 <= values[4] <= 3060, values


async def check_the_latest_samples_are_taken_after_an_overrun():
    driver, _, _, clock = simulated({"x": [[0, 0], [100, 0], [100.1, 5]]})
    assert (await driver.measure())[0] == 0
    clock.ahead_s = 99
    assert (await driver.measure())[0] == 0
    clock.ahead_s = 120
    assert abs((await driver.measure())[0] - 5000) <= 40


async def check_a_chip_that_lost_its_supply_is_set_up_again():
    driver, chip, _, _ = simulated({})
    await driver.measure()
    chip.reset()
    assert abs((await driver.measure())[2] - 9807) <= 40


async def check_it_lives_through_each_fault_of_the_simulated_chip():
    faults = [["absent", 100, 200], ["damaged", 300, 400]]
    driver, _, _, clock = simulated({"faults": faults})
    for ahead_s, kind in ((150, OSError), (350, DamagedError)):
        await driver.measure()
        clock.ahead_s = ahead_s
        assert await raised(kind, driver.measure())
        clock.ahead_s = ahead_s + 100
    assert abs((await driver.measure())[2] - 9807) <= 40


async def check_a_stuck_chip_stands_still():
    faults = [["stuck", 100, 200]]
    driver, _, _, clock = simulated({"x": [[0, -5], [1000, 5]], "faults": faults})
    clock.ahead_s = 110
    before = await driver.measure()
    clock.ahead_s = 190
    assert await driver.measure() == before
    clock.ahead_s = 600
    assert (await driver.measure())[0] > before[0] + 1000


async def watched(driver, seconds):
    calls = []
    task = asyncio.create_task(driver.watch(lambda: calls.append(0)))
    await asyncio.sleep(seconds)
    await ended(task)
    return len(calls)


async def check_motion_asks_for_a_measurement():
    moved = {"x": [[0, 0], [100, 0], [100.001, 3]]}
    for motion_mg, asks in ((200, True), (0, False), (400, False)):
        driver, _, _, clock = simulated(moved, motion_mg=motion_mg)
        await driver.measure()
        assert await watched(driver, 0.22) == 0
        clock.ahead_s = 99.9
        assert (await watched(driver, 0.4) >= 1) is asks, motion_mg
        assert await watched(driver, 0.22) == 0


async def check_tilting_slowly_is_no_motion():
    driver, _, _, clock = simulated({"x": [[0, 0], [100, 5]]}, motion_mg=50)
    await driver.measure()
    for ahead_s in (0, 20, 40):
        clock.ahead_s = ahead_s
        await driver.measure()
        # The jump of the clock is one; what follows is not.
        await watched(driver, 0.15)
        assert await watched(driver, 0.22) == 0


async def check_a_watch_outlives_a_missing_chip():
    driver, _, _, clock = simulated({"faults": [["absent", 100, 200]]}, motion_mg=100)
    assert await watched(driver, 0.22) == 0
    await driver.measure()
    clock.ahead_s = 110
    assert await watched(driver, 0.22) == 0
    assert await raised(OSError, driver.measure())
    clock.ahead_s = 210
    await driver.measure()
    assert await watched(driver, 0.22) == 0
