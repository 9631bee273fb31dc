"""The frames are those of DFRobot's pages on SEN0311, SEN0312 and SEN0313, made of their rule."""

import random

import a02yyuw_chip
from checking import failed_kind, refused_key
from scripted_bus import ChipLine, Pieces

from lilong_firmware.drivers.a02yyuw import A02yyuw
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError
from lilong_firmware.fields import Fields

EXAMPLE = b"\xff\x07\xa1\xa7"


def chip_line(**entry):
    return ChipLine(a02yyuw_chip.Chip, 0.025, entry)


def frame(distance_mm):
    high, low = distance_mm >> 8, distance_mm & 0xFF
    return bytes((0xFF, high, low, (0xFF + high + low) & 0xFF))


def driver(line, **options):
    return A02yyuw(line, Fields(options, "devices.water"))


async def check_the_example_is_1953_mm():
    # "UART Output": FF 07 A1 A7 is 1953 mm.
    assert frame(1953) == EXAMPLE
    line = Pieces(EXAMPLE * 5)
    assert await driver(line).measure() == [1953]
    assert line.discarded == 1


async def check_the_median_of_five_counts():
    line = Pieces(*[frame(mm) for mm in (1000, 1004, 4000, 40, 1002, 9)])
    assert await driver(line).measure() == [1002]


async def check_it_finds_the_frames_wherever_it_begins():
    stream = b"".join([frame(mm) for mm in (511, 511, 511, 511, 511, 511)])
    for cut in range(5):
        for size in (3, 4, 7, 24):
            came = stream[cut:]
            pieces = [came[at : at + size] for at in range(0, len(came), size)]
            assert await driver(Pieces(*pieces)).measure() == [511], (cut, size)


async def check_a_pause_ends_a_frame():
    # The end of one and the beginning of the next would be a frame of 1535 mm.
    rest = frame(0x07FF)[2:]
    line = Pieces(*[rest, b"", frame(0x03FF)] * 5)
    assert await driver(line).measure() == [0x03FF]
    assert A02yyuw.GIVES[0].lowest <= rest[1] << 8 | 0xFF <= A02yyuw.GIVES[0].highest


async def check_damaged_frames_do_not_count():
    bad = b"\xff\x07\xa1\xa8"
    assert await driver(Pieces(bad, EXAMPLE, bad, *[EXAMPLE] * 4)).measure() == [1953]


async def check_what_it_cannot_measure_is_nonsense():
    assert await failed_kind(driver(Pieces(frame(0) * 5))) is NonsenseError
    assert await failed_kind(driver(Pieces(frame(29) * 5))) is NonsenseError
    assert await failed_kind(driver(Pieces(frame(4501) * 5))) is NonsenseError
    assert await failed_kind(driver(Pieces(frame(0xFFFD) * 5))) is NonsenseError
    mixed = [frame(mm) for mm in (0, 0, 1000, 9000, 1000)]
    assert await failed_kind(driver(Pieces(*mixed))) is NonsenseError
    for mm in (30, 4500):
        assert await driver(Pieces(frame(mm) * 5)).measure() == [mm]


async def check_the_range_is_an_option():
    jsn = {"lowest_mm": 200, "highest_mm": 6000}
    given = driver(None, **jsn).GIVES[0]
    assert (given.lowest, given.highest) == (200, 6000)
    assert await driver(Pieces(frame(6000) * 5), **jsn).measure() == [6000]
    assert await failed_kind(driver(Pieces(frame(199) * 5), **jsn)) is NonsenseError


def check_a_range_the_wrong_way_round_is_refused():
    key = refused_key(driver, lowest_mm=500, highest_mm=500)
    assert key == "devices.water.highest_mm"


async def check_any_bytes_are_survived():
    random.seed(3)
    for _ in range(20):
        junk = [bytes([random.getrandbits(8) for _ in range(random.randrange(9))]) for _ in "123"]
        line = Pieces(*(junk + [b"", EXAMPLE * 5]))
        assert await driver(line).measure() == [1953], junk


async def check_a_range_of_distances_comes_through():
    line = chip_line(distance=[[0, 0.05], [60, 4.4]])
    for second in (0, 29, 70):
        line.now_s = second
        (distance_mm,) = await driver(line).measure()
        expected = 50 + min(second, 60) * 72.5
        assert 0 <= distance_mm - expected <= 50, (second, distance_mm)


async def check_old_frames_do_not_count():
    line = chip_line(distance=[[0, 1.0], [30, 1.0], [30.1, 2.0]])
    line.now_s = 31
    assert await driver(line).measure() == [2000]


async def check_faults_are_told_apart_and_it_recovers():
    faults = [["absent", 10, 20], ["damaged", 20, 30], ["nonsense", 30, 40]]
    line = chip_line(distance=2.5, faults=faults)
    for second, kind in ((10, AbsentError), (20, DamagedError), (30, NonsenseError), (40, None)):
        line.now_s = second + 0.01
        assert await failed_kind(driver(line)) is kind, second
    assert await driver(line).measure() == [2500]


async def check_a_blind_zone_is_nonsense():
    assert await failed_kind(driver(chip_line(distance=0.02))) is NonsenseError
    assert await failed_kind(driver(chip_line(distance=5.0))) is NonsenseError
