# The datasheet's examples are its register sequences (chapter 7); it has none from bytes to a
# field, so that follows from table 2: 12000 steps a gauss at +-2 G, 3000 at +-8 G.
import random

from checking import failure_of, measured_of, recovered_places, refusal
from qmc5883l_chip import Chip
from scripted_bus import ChipBench, NoisyI2c, ScriptedI2c

from lilong_firmware.drivers.qmc5883l import Qmc5883l, _length
from lilong_firmware.errors import (
    AbsentError,
    NonsenseError,
    WarmingError,
)
from lilong_firmware.fields import Fields

ADDRESS = 13


def bench_of(**entry):
    return ChipBench(ADDRESS, Chip, entry)


def driver(bus, **options):
    return Qmc5883l(bus, Fields(options))


def read(register, data, address=ADDRESS):
    return [(">", address, bytes((register,))), ("<", address, data)]


def write(register, value):
    return [(">", ADDRESS, bytes((register, value)))]


def session(control, *samples):
    # 7.1, 7.2 and 7.3, with what was left in the data registers read away.
    script = read(0x0D, b"\xff") + write(0x0B, 0x01) + write(0x09, control) + read(0, bytes(6))
    for data in samples:
        script += read(0x06, b"\x00") + read(0x06, b"\x05") + read(0x00, data)
    return script + write(0x09, 0x00)


async def check_the_sequences_of_chapter_7_are_kept():
    # 7.1 writes 0x1D: oversampling 512, +-8 G, 200 Hz, continuous. 3000 steps are 1 G.
    bus = ScriptedI2c(session(0x1D, b"\xb8\x0b\x48\xf4\x00\x00"))
    sensor = driver(bus, range_gauss=8, rate_hz=200)
    assert await sensor.measure() == [10000, -10000, 0, 14142]
    assert bus.done


async def check_the_sensitivity_at_2_gauss():
    # 12000 steps are 1 G: 10000 times 10 nT. The example of 8.2.3 writes 0x01 to register 09H.
    bus = ScriptedI2c(session(0x01, b"\xe0\x2e\x20\xd1\xc0\x5d"))
    assert await driver(bus).measure() == [10000, -10000, 20000, 24494]
    assert bus.done


async def check_each_option_has_its_bits():
    # Table 18.
    for options, control in (
        ({"rate_hz": 50}, 0x05),
        ({"rate_hz": 100}, 0x09),
        ({"oversampling": 256}, 0x41),
        ({"oversampling": 128}, 0x81),
        ({"oversampling": 64, "range_gauss": 8}, 0xD1),
    ):
        bus = ScriptedI2c(session(control, b"\x01\x00\xff\xff\x00\x00"))
        await driver(bus, **options).measure()
        assert bus.done, options


async def check_steps_are_rounded_to_the_nearest():
    # 5/6 of 10 nT a step: 4 steps are 3.33, 5 are 4.17, -4 are -3.33.
    bus = ScriptedI2c(session(0x01, b"\x04\x00\x05\x00\xfc\xff"))
    assert await driver(bus).measure() == [3, 4, -3, 5]


async def check_the_median_of_each_axis_counts():
    samples = (
        b"\x0c\x00\x00\x00\x06\x00",
        b"\x00\x00\x06\x00\x0c\x00",
        b"\x06\x00\xf4\xff\x00\x10",
    )
    bus = ScriptedI2c(session(0x01, *samples))
    assert await driver(bus, samples=3).measure() == [5, 0, 10, 11]
    assert bus.done


async def check_an_overflow_is_nonsense_and_it_stands_by():
    # 9.2.2: OVL, and data that saturate at -32768 and 32767.
    head = read(0x0D, b"\xff") + write(0x0B, 0x01) + write(0x09, 0x01) + read(0x00, bytes(6))
    for tail in (
        read(0x06, b"\x03"),
        read(0x06, b"\x01") + read(0x00, b"\x00\x00\xff\x7f\x00\x00"),
        read(0x06, b"\x01") + read(0x00, b"\x00\x00\x00\x00\x00\x80"),
    ):
        bus = ScriptedI2c(head + tail + write(0x09, 0x00))
        assert isinstance(await failure_of(driver(bus)), NonsenseError)
        assert bus.done


async def check_another_chip_at_its_address_is_named():
    # 9.2.6: the id is 0xFF.
    error = await failure_of(driver(ScriptedI2c(read(0x0D, b"\x01"))))
    assert isinstance(error, AbsentError)
    assert "id is 1" in error.problem


async def check_lookalikes_are_named():
    # HMC5883L: identification registers 10 to 12 hold H43. QMC5883P: its id is 0x80 in 00H.
    nobody = [(">", ADDRESS, OSError(19))]
    script = nobody + read(0x0A, b"H43", 30)
    error = await failure_of(driver(ScriptedI2c(script)))
    assert isinstance(error, AbsentError)
    assert "HMC5883L" in error.problem
    script = nobody + [(">", 30, OSError(19))] + read(0x00, b"\x80", 44)
    error = await failure_of(driver(ScriptedI2c(script)))
    assert isinstance(error, AbsentError)
    assert "QMC5883P" in error.problem


async def check_an_empty_bus_is_an_oserror():
    script = [(">", address, OSError(19)) for address in (ADDRESS, 30, 44)]
    error = await failure_of(driver(ScriptedI2c(script)))
    assert isinstance(error, OSError)
    # Others may be at those addresses.
    script = [(">", ADDRESS, OSError(19))] + read(0x0A, b"abc", 30) + read(0x00, b"\x00", 44)
    assert isinstance(await failure_of(driver(ScriptedI2c(script))), OSError)


async def check_one_that_never_converts_is_warming():
    bench = bench_of()
    # Something else puts it back to stand by.
    bench.chip._interval_s = lambda: 1e9
    assert isinstance(await failure_of(driver(bench.i2c, rate_hz=200)), WarmingError)
    assert bench.chip._registers[0x09] == 0


async def check_fields_of_the_simulated_chip():
    for x, y, z in ((0, 0, 0), (30.5, -12.25, -48.0), (-199.9, 150.0, 199.9)):
        bench = bench_of(x=x, y=y, z=z)
        for options in ({"rate_hz": 100}, {"rate_hz": 200, "range_gauss": 8, "samples": 2}):
            values = await driver(bench.i2c, **options).measure()
            for value, microtesla in zip(values, (x, y, z)):
                assert abs(value - 100 * microtesla) <= 3, (options, values)
            total = 100 * (x * x + y * y + z * z) ** 0.5
            assert abs(values[3] - total) <= 5, (values, total)
    bench = bench_of(x=-700.0, y=600.0, z=0.0)
    values = await driver(bench.i2c, rate_hz=200, range_gauss=8).measure()
    assert abs(values[0] + 70000) <= 3
    assert abs(values[3] - 92195) <= 5


async def check_a_value_from_before_it_stood_by_is_not_taken():
    bench = bench_of(x=[[1000, 10.0], [1001, 10.0], [1002, 50.0]], y=0, z=0)
    sensor = driver(bench.i2c, rate_hz=200)
    assert (await sensor.measure())[0] == 1000
    bench.chip._registers[0x06] = 0x01
    bench.t = 1100.0
    assert (await sensor.measure())[0] == 5000


async def check_a_missing_chip_is_an_oserror_at_each_transaction_and_it_recovers():
    bench = bench_of(x=30)
    places = await recovered_places(bench.i2c, lambda: driver(bench.i2c, rate_hz=200), 3000)
    assert places > 7


async def check_faults_of_the_simulated_chip():
    bench = bench_of(
        x=[[0, 0], [2000, 200.0]],
        faults=[["absent", 1100, 1200], ["nonsense", 1200, 1300], ["stuck", 1300, 1400]],
    )
    sensor = driver(bench.i2c, rate_hz=200)
    assert 10000 <= (await sensor.measure())[0] < 10002
    bench.t = 1110.0
    assert isinstance(await failure_of(sensor), OSError)
    bench.t = 1210.0
    assert isinstance(await failure_of(sensor), NonsenseError)
    bench.t = 1310.0
    stuck = await sensor.measure()
    bench.t = 1390.0
    assert await sensor.measure() == stuck
    bench.t = 1500.0
    assert 15000 <= (await sensor.measure())[0] < 15002


async def check_random_bytes_raise_nothing_else_and_it_recovers():
    random.seed(5883)
    bench = bench_of(x=30)
    bus = NoisyI2c(bench, {0x0D})
    sensor = driver(bus, rate_hz=200)
    assert await measured_of(sensor, 200, 4)
    bus.noisy = False
    assert (await sensor.measure())[0] == 3000


def check_the_length_is_exact_where_a_short_float_is_not():
    for field, length in (
        ([80000, 80000, 80000], 138564),
        ([79999, 0, 0], 79999),
        ([48000, -64000, 0], 80000),
        ([48000, -63999, 0], 79999),
        ([0, 0, 0], 0),
        ([1, 1, 1], 1),
    ):
        assert _length(field) == length


def check_options_that_cannot_be_are_refused():
    for options in (
        {"range_gauss": 4},
        {"rate_hz": 20},
        {"oversampling": 100},
        {"samples": 16},
        {"range_gauss": "8"},
    ):
        assert refusal(driver, **options), options


def check_what_it_gives_fits_its_range():
    assert [given.highest for given in driver(None).GIVES] == [20000, 20000, 20000, 34642]
    wide = driver(None, range_gauss=8)
    assert [given.lowest for given in wide.GIVES] == [-80000, -80000, -80000, 0]
    assert [given.name for given in wide.GIVES] == ["x", "y", "z", "total"]
