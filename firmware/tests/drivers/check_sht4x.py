# The datasheet's only worked example is that of the check sum (section 4.4). The conversions are
# checked at the ends that their formulas name, and with bytes that the authors of the Elixir
# library elixir-sensors/sht4x published from a real chip (test/sht4x/measurement_test.exs).
import asyncio
import random

import sht4x_chip
from checking import Clock, different, raised, refused_key
from scripted_bus import ChipI2c, ScriptedI2c

from lilong_firmware.drivers.sht4x import Sht4x, celsius, crc8, relative
from lilong_firmware.errors import DamagedError, NonsenseError, WarmingError
from lilong_firmware.fields import Fields

ADDRESS = 0x44
REAL = bytes((101, 233, 234, 109, 229, 160))


def sensor(bus, **options):
    return Sht4x(bus, Fields(options))


def driver_on(script, **options):
    bus = ScriptedI2c(script)
    return bus, sensor(bus, **options)


def simulated(entry, **options):
    clock = Clock()
    chip = sht4x_chip.Chip(entry, clock)
    driver = sensor(ChipI2c({ADDRESS: chip}), **options)
    driver.now_s = clock
    return driver, clock


def check_the_check_sum_of_the_datasheet():
    # Section 4.4: CRC (0xBEEF) = 0x92.
    assert crc8(b"\xbe\xef") == 0x92
    assert sht4x_chip.check_sum(0xBE, 0xEF) == 0x92


def check_the_conversions_at_their_ends():
    # Section 4.6: -45 + 175 S / 65535 and -6 + 125 S / 65535, the latter cropped to 0..100.
    assert [celsius(0), celsius(65535)] == [-4500, 13000]
    assert [relative(0), relative(65535)] == [0, 10000]
    assert [relative(3145), relative(3146), relative(3151)] == [0, 0, 1]
    assert [relative(55574), relative(55572)] == [10000, 10000]
    for raw in range(0, 65536, 97):
        exact = -45 + 175 * raw / 65535
        assert abs(celsius(raw) / 100 - exact) < 0.0051, raw


async def check_the_bytes_of_a_real_chip():
    bus, driver = driver_on([(">", ADDRESS, b"\xfd"), ("<", ADDRESS, REAL)])
    assert await driver.measure() == [2467, 4766]
    assert bus.done


async def check_each_precision_and_address_is_asked_for():
    for name, command in (("high", b"\xfd"), ("medium", b"\xf6"), ("low", b"\xe0")):
        bus, driver = driver_on(
            [(">", 0x46, command), ("<", 0x46, REAL)], precision=name, address=0x46
        )
        assert await driver.measure() == [2467, 4766]
        assert bus.done


def check_wrong_options_are_refused_by_name():
    assert refused_key(sensor, precision="best") == "precision"
    assert refused_key(sensor, address=0x47) == "address"
    assert refused_key(sensor, heater_every_s=59) == "heater_every_s"
    assert refused_key(sensor, heater_every_s=-1) == "heater_every_s"
    assert refused_key(sensor, heater_mw=100) == "heater_mw"


async def check_a_missing_chip_raises_an_os_error_and_comes_back():
    missing = OSError(19)
    bus, driver = driver_on(
        [
            (">", ADDRESS, missing),
            (">", ADDRESS, b"\xfd"),
            ("<", ADDRESS, missing),
            (">", ADDRESS, b"\xfd"),
            ("<", ADDRESS, REAL),
        ]
    )
    assert await raised(OSError, driver.measure())
    assert await raised(OSError, driver.measure())
    assert await driver.measure() == [2467, 4766]
    assert bus.done


async def check_any_single_wrong_bit_is_noticed():
    for bit in range(48):
        damaged = bytearray(REAL)
        damaged[bit // 8] ^= 1 << bit % 8
        _, driver = driver_on([(">", ADDRESS, b"\xe0"), ("<", ADDRESS, damaged)], precision="low")
        assert await raised(DamagedError, driver.measure())


async def check_a_destroyed_chip_is_told_from_a_warm_day():
    # Both words 0x8000 (elixir-sensors/sht4x, issue 29); one of them alone is a reading.
    blank = bytes((0x80, 0x00, crc8(b"\x80\x00")))
    _, driver = driver_on([(">", ADDRESS, b"\xfd"), ("<", ADDRESS, blank + blank)])
    assert await raised(NonsenseError, driver.measure())
    _, driver = driver_on([(">", ADDRESS, b"\xfd"), ("<", ADDRESS, blank + REAL[3:])])
    assert await driver.measure() == [4250, 4766]


async def check_random_bytes_raise_nothing_else():
    random.seed(4)
    for _ in range(200):
        data = bytes([random.getrandbits(8) for _ in range(6)])
        if random.getrandbits(1):
            data = data[:2] + bytes((crc8(data[:2]),)) + data[3:5] + bytes((crc8(data[3:5]),))
        bus, driver = driver_on([(">", ADDRESS, b"\xe0"), ("<", ADDRESS, data)], precision="low")
        try:
            temperature, humidity = await driver.measure()
            assert -4500 <= temperature <= 13000
            assert 0 <= humidity <= 10000
        except (DamagedError, NonsenseError):
            pass
        assert bus.done


async def check_the_simulated_chip_over_its_range():
    for temperature, humidity in ((-39.9, 1), (0, 30), (21.5, 55), (60, 90), (124.9, 99)):
        driver, _ = simulated({"temperature": temperature, "humidity": humidity})
        values = await driver.measure()
        assert abs(values[0] - temperature * 100) <= 4, values
        assert abs(values[1] - humidity * 100) <= 4, values


async def check_wet_air_is_cropped():
    driver, _ = simulated({"humidity": 110})
    assert (await driver.measure())[1] == 10000


async def check_it_lives_through_each_fault_of_the_simulated_chip():
    faults = [["absent", 100, 200], ["damaged", 300, 400], ["nonsense", 500, 600]]
    driver, clock = simulated({"temperature": 20, "faults": faults})
    for ahead_s, kind in ((150, OSError), (350, DamagedError), (550, NonsenseError)):
        await driver.measure()
        clock.ahead_s = ahead_s
        assert await raised(kind, driver.measure())
        clock.ahead_s = ahead_s + 100
    await driver.measure()


async def check_only_a_stuck_chip_says_the_same_again_and_again():
    driver, clock = simulated({"faults": [["stuck", 100, 200]]})
    assert await different(driver, 6) > 1
    clock.ahead_s = 120
    assert await different(driver, 6) == 1


async def check_without_the_option_the_heater_stays_cold():
    driver, clock = simulated({"temperature": 20, "humidity": 50})
    for ahead_s in range(0, 200000, 20000):
        clock.ahead_s = ahead_s
        assert abs((await driver.measure())[0] - 2000) <= 4


async def check_no_value_is_taken_while_the_heater_or_its_warmth_is_there():
    driver, clock = simulated({"temperature": 20, "humidity": 50}, heater_every_s=60)
    pulses = 0
    for ahead_s in range(0, 400, 6):
        clock.ahead_s = ahead_s
        try:
            values = await driver.measure()
        except WarmingError:
            pulses += 1
            continue
        assert abs(values[0] - 2000) <= 9, (ahead_s, values)
        assert abs(values[1] - 5000) <= 40, (ahead_s, values)
    # Every 60 s, and the 5 measurements in the 32 s after each are left out.
    assert 24 <= pulses <= 36, pulses


async def check_the_pulse_has_the_power_that_was_asked_for():
    for power_mw, command in ((200, b"\x39"), (110, b"\x2f"), (20, b"\x1e")):
        bus, driver = driver_on(
            [
                (">", ADDRESS, b"\xfd"),
                ("<", ADDRESS, REAL),
                (">", ADDRESS, b"\xfd"),
                ("<", ADDRESS, REAL),
                (">", ADDRESS, command),
            ],
            heater_every_s=60,
            heater_mw=power_mw,
        )
        driver.now_s = Clock()
        await driver.measure()
        driver.now_s.ahead_s = 60
        assert await driver.measure() == [2467, 4766]
        assert bus.done


async def check_a_hot_place_gets_no_pulse():
    driver, clock = simulated({"temperature": 65.5}, heater_every_s=60)
    for ahead_s in range(0, 300, 10):
        clock.ahead_s = ahead_s
        await driver.measure()


async def check_a_clock_that_is_set_back_delays_a_pulse_and_no_more():
    driver, _ = simulated({}, heater_every_s=60)
    clock = driver.now_s = Clock()
    clock.ahead_s = 100000
    await driver.measure()
    clock.ahead_s = 0
    await driver.measure()
    clock.ahead_s = 61
    await driver.measure()
    assert await raised(WarmingError, driver.measure())
    clock.ahead_s = 10
    assert await raised(WarmingError, driver.measure())
    # The chip's own clock goes on: its pulse is over.
    await asyncio.sleep(1.2)
    clock.ahead_s = 50
    await driver.measure()
    clock.ahead_s = 0
    await driver.measure()


async def check_a_measurement_does_not_hold_the_others_up():
    driver, _ = simulated({})
    turns = []

    async def others():
        while True:
            turns.append(0)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(others())
    await driver.measure()
    task.cancel()
    assert len(turns) >= 3
