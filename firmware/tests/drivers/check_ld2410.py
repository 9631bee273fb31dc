"""The frames are the examples of Hi-Link's LD2410C Serial Communication Protocol V1.07."""

import asyncio
import random

import ld2410_chip
from checking import ended, failed_kind, hexed, refused_key
from scripted_bus import ChipLine, Pieces, ScriptedLine

from lilong_firmware.drivers.ld2410 import Ld2410
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    WarmingError,
)
from lilong_firmware.fields import Fields

# Section 2.3.2.
BASIC = hexed("F4 F3 F2 F1 0D 00 02 AA 02 51 00 00 00 00 3B 00 00 55 00 F8 F7 F6 F5")
ENGINEERING = hexed(
    "F4 F3 F2 F1 23 00 01 AA 03 1E 00 3C 00 00 39 00 00 08 08 3C 22 05 03 03 04 03 06 05 00 00 39"
    " 10 13 06 06 08 04 03 05 55 00 F8 F7 F6 F5"
)
AT_REST = [1, None, None, 0, 59, 0]
# Sections 2.2.1 to 2.2.4 and 2.2.7, commands and replies.
ENABLE = hexed("FD FC FB FA 04 00 FF 00 01 00 04 03 02 01")
ENABLED = hexed("FD FC FB FA 08 00 FF 01 00 00 01 00 40 00 04 03 02 01")
FINISH = hexed("FD FC FB FA 02 00 FE 00 04 03 02 01")
FINISHED = hexed("FD FC FB FA 04 00 FE 01 00 00 04 03 02 01")
SET_GATES = hexed(
    "FD FC FB FA 14 00 60 00 00 00 08 00 00 00 01 00 08 00 00 00 02 00 05 00 00 00 04 03 02 01"
)
GATES_SET = hexed("FD FC FB FA 04 00 60 01 00 00 04 03 02 01")
READ = hexed("FD FC FB FA 02 00 61 00 04 03 02 01")
PARAMETERS = hexed(
    "FD FC FB FA 1C 00 61 01 00 00 AA 08 08 08 14 14 14 14 14 14 14 14 14"
    " 19 19 19 19 19 19 19 19 19 05 00 04 03 02 01"
)
SET_SENSITIVITY = hexed(
    "FD FC FB FA 14 00 64 00 00 00 03 00 00 00 01 00 28 00 00 00 02 00 28 00 00 00 04 03 02 01"
)
SENSITIVITY_SET = hexed("FD FC FB FA 04 00 64 01 00 00 04 03 02 01")


def chip_line(**entry):
    return ChipLine(ld2410_chip.Chip, 0.05, entry)


def driver(line, **options):
    return Ld2410(line, Fields(options, "devices.hall"))


async def check_the_basic_report_is_the_example():
    assert await driver(Pieces(BASIC)).measure() == AT_REST


async def check_the_report_of_engineering_mode_is_the_example():
    # "1E 00 moving target distance 30 cm, 3C energy, 39 energy of the stationary target".
    assert len(ENGINEERING) == 45
    assert await driver(Pieces(ENGINEERING)).measure() == [1, 30, 60, 0, 57, 0]


async def check_a_report_with_light_and_output_is_read_too():
    # The analysis of the example: 60 light, 01 OUT before the tail.
    longer = b"\xf4\xf3\xf2\xf1\x25\x00" + ENGINEERING[6:-6] + b"\x60\x01" + ENGINEERING[-6:]
    assert await driver(Pieces(longer)).measure() == [1, 30, 60, 0, 57, 0]


async def check_the_state_tells_what_there_is():
    for state, expected in (
        (0, [0, None, None, None, None, None]),
        (1, [1, 81, 0, None, None, 0]),
        (2, AT_REST),
        (3, [1, 81, 0, 0, 59, 0]),
    ):
        report = BASIC[:8] + bytes((state,)) + BASIC[9:]
        assert await driver(Pieces(report)).measure() == expected, state


async def check_noise_detection_is_warming_up():
    # Table 14: 4 to 6 are valid during the detection of background noise alone.
    for state in (4, 5, 6):
        report = BASIC[:8] + bytes((state,)) + BASIC[9:]
        assert await failed_kind(driver(Pieces(report))) is WarmingError


async def check_the_newest_report_counts():
    empty = BASIC[:8] + b"\x00" + BASIC[9:]
    assert (await driver(Pieces(BASIC + empty)).measure())[0] == 0
    assert (await driver(Pieces(empty + BASIC)).measure())[0] == 1


async def check_it_finds_reports_among_garbage():
    huge = b"\xf4\xf3\xf2\xf1\xff\xff"
    for before in (b"\x00", BASIC[5:], BASIC[:9], BASIC[:4], huge, ENGINEERING[:30], b"\xf4" * 9):
        for size in (6, 200):
            came = before + BASIC
            pieces = [came[at : at + size] for at in range(0, len(came), size)]
            assert await driver(Pieces(*pieces)).measure() == AT_REST, before


async def check_what_cannot_be_a_report_is_none():
    for index, value in ((4, 12), (6, 3), (7, 0xAB), (8, 7), (17, 0x54), (18, 1), (19, 0)):
        bad = bytearray(ENGINEERING[:4] + BASIC[4:8] + b"\x00" + BASIC[9:])
        bad[index] = value
        assert await driver(Pieces(bytes(bad) + BASIC)).measure() == AT_REST, index
        assert await driver(Pieces(BASIC + bytes(bad))).measure() == AT_REST, index


async def check_any_bytes_are_survived():
    random.seed(5)
    parts = (b"\xf4", b"\xf4\xf3\xf2\xf1", b"\xfd\xfc\xfb\xfa\x04\x00", BASIC[:12], ENGINEERING)
    for _ in range(150):
        junk = b""
        for _ in range(random.randrange(8)):
            junk += parts[random.randrange(len(parts))]
            junk += bytes([random.getrandbits(8) for _ in range(random.randrange(30))])
        # Junk may end in what looks like the head of a frame of 74 bytes: four reports are more.
        radar = driver(Pieces(junk, BASIC * 4))
        radar._watching = True
        radar._take()
        assert len(radar._frames._came) < 74
        radar._report = b""
        assert await radar.measure() == AT_REST, junk


async def check_options_are_written_as_in_the_examples():
    other = PARAMETERS[:12] + b"\x06\x07" + PARAMETERS[14:]
    line = ScriptedLine(
        [
            (ENABLE, [BASIC[7:] + ENABLED]),
            (READ, other),
            (SET_GATES, GATES_SET),
            (FINISH, [FINISHED, BASIC]),
        ]
    )
    radar = driver(line, moving_gate=8, stationary_gate=8, no_one_s=5)
    assert await radar.measure() == AT_REST
    assert line.done


async def check_the_sensitivity_of_a_gate_is_written_as_in_the_example():
    had = PARAMETERS[:14] + b"\x28" * 3 + b"\x27" + b"\x28" * 14 + PARAMETERS[32:]
    line = ScriptedLine(
        [
            (ENABLE, ENABLED),
            (READ, had),
            (SET_SENSITIVITY, SENSITIVITY_SET),
            (FINISH, [FINISHED, BASIC]),
        ]
    )
    radar = driver(line, moving_sensitivity=[40] * 9)
    assert await radar.measure() == AT_REST
    assert line.done


async def check_what_is_set_already_is_not_written_again():
    line = ScriptedLine([(ENABLE, ENABLED), (READ, PARAMETERS), (FINISH, [FINISHED, BASIC])])
    options = {"moving_gate": 8, "no_one_s": 5, "stationary_sensitivity": [25] * 7}
    radar = driver(line, **options)
    assert await radar.measure() == AT_REST
    assert line.done


async def check_reports_go_on_after_a_refusal():
    near = SET_GATES[:10] + b"\x02" + SET_GATES[11:]
    refused = GATES_SET[:8] + b"\x01" + GATES_SET[9:]
    line = ScriptedLine(
        [(ENABLE, ENABLED), (READ, PARAMETERS), (near, refused), (FINISH, FINISHED)]
    )
    assert await failed_kind(driver(line, moving_gate=2)) is NonsenseError
    assert line.done


async def check_parameters_of_another_form_are_damage():
    bad = PARAMETERS[:4] + b"\x04\x00" + PARAMETERS[6:10] + PARAMETERS[-4:]
    line = ScriptedLine([(ENABLE, ENABLED), (READ, bad), (FINISH, FINISHED)])
    assert await failed_kind(driver(line, moving_gate=2)) is DamagedError
    assert line.done


async def check_without_options_nothing_is_written():
    radar = driver(ScriptedLine([(b"never", b"")]))
    assert await failed_kind(radar) is AbsentError


def check_options_that_cannot_be_are_refused_by_name():
    assert refused_key(driver, moving_gate=9) == "devices.hall.moving_gate"
    assert refused_key(driver, stationary_gate=1) == "devices.hall.stationary_gate"
    assert refused_key(driver, no_one_s=65536) == "devices.hall.no_one_s"
    assert refused_key(driver, moving_sensitivity=[40] * 8) == "devices.hall.moving_sensitivity"
    assert refused_key(driver, moving_sensitivity=[101] * 9) == "devices.hall.moving_sensitivity"
    assert (
        refused_key(driver, stationary_sensitivity=["a"] * 7)
        == "devices.hall.stationary_sensitivity"
    )
    assert (
        refused_key(driver, stationary_sensitivity=[0] * 7, moving_sensitivity=[100] * 9) is None
    )


async def check_the_radar_is_set_to_the_options():
    line = chip_line(stationary_distance=1.6, stationary_energy=33)
    radar = driver(line)
    assert (await radar.measure())[0] == 0
    options = {"stationary_gate": 3, "no_one_s": 0, "stationary_sensitivity": [32] * 7}
    radar = driver(line, **options)
    assert await radar.measure() == [1, None, None, 160, 33, 160]
    chip = line.chip
    assert (chip.gates, chip.no_one_s) == ([8, 3], 0)
    assert chip.sensitivities[1] == [0, 0] + [32] * 7
    assert not chip.configuring
    written = chip.written
    assert await driver(line, **options).measure() == [1, None, None, 160, 33, 160]
    assert chip.written == written


async def check_a_radar_that_comes_back_is_set_again():
    line = chip_line(faults=[["absent", 5, 9]], moving_distance=3, moving_energy=90)
    radar = driver(line, moving_gate=5)
    assert (await radar.measure())[1] == 300
    line.now_s = 5
    assert await failed_kind(radar) is AbsentError
    line.now_s = 10
    line.chip.gates = [2, 2]
    assert (await radar.measure())[1] == 300
    assert line.chip.gates == [5, 2]


async def check_a_range_of_targets_comes_through():
    for engineering in (False, True):
        line = chip_line(
            moving_distance=[[0, 0.5], [100, 5.5]], moving_energy=80, engineering=engineering
        )
        radar = driver(line)
        for second in (0, 20, 40, 60, 80, 100):
            line.now_s = second
            values = await radar.measure()
            assert values[0] == 1
            assert abs(values[1] - (50 + 5 * second)) <= 2, (second, values)
            assert values[2] == 80
            assert values[3:5] == [None, None]


async def check_faults_are_told_apart_and_it_recovers():
    faults = [["absent", 10, 20], ["damaged", 20, 30], ["nonsense", 30, 40]]
    line = chip_line(moving_distance=2, moving_energy=50, faults=faults)
    line.chip.entry["calibrating"] = [[0, 0], [40, 4], [50, 0]]
    radar = driver(line)
    for second, kind in (
        (10, AbsentError),
        (20, DamagedError),
        (30, None),
        (40, WarmingError),
        (50, None),
    ):
        line.now_s = second + 0.01
        assert await failed_kind(radar) is kind, second
        if second == 30:
            assert (await radar.measure())[2] > Ld2410.GIVES[2].highest
    assert await radar.measure() == [1, 200, 50, None, None, 200]


async def watched(radar, line, until_s):
    """Watch until then; return when it told of a change."""
    changes = []
    task = asyncio.create_task(radar.watch(lambda: changes.append(line.now_s)))
    while line.now_s < until_s:
        await asyncio.sleep(0.01)
    values = await failed_kind(radar)
    await ended(task)
    return changes, values


async def check_it_tells_when_presence_changes():
    line = chip_line(moving_distance=2, moving_energy=[[0, 0], [0.4, 0], [0.41, 90]], no_one_s=0)
    changes, error = await watched(driver(line), line, 1.0)
    assert error is None
    assert len(changes) == 2
    assert 0.4 < changes[1] < 0.7


async def check_a_report_older_than_a_second_is_absence():
    line = chip_line(moving_distance=2, moving_energy=90, faults=[["absent", 0.3, 99]])
    radar = driver(line)
    changes, error = await watched(radar, line, 1.6)
    assert len(changes) == 1
    assert error is AbsentError


async def check_old_reports_do_not_count_without_a_watch():
    class Full(Pieces):
        def discard(self):
            self._pieces.clear()

    assert await failed_kind(driver(Full(BASIC))) is AbsentError
