"""The frames are those of the two specifications and of manuals, each named where it stands."""

import random
import struct

import modbus_chip
from checking import failure_of, hexed, refused_key
from scripted_bus import ScriptedLine

from lilong_firmware.devices.modbus_frame import (
    answered,
    crc16,
    data_bytes,
    request,
    sealed,
    silence_ms,
    surplus,
)
from lilong_firmware.devices.register_map import Register, blocks_of, registers_of
from lilong_firmware.drivers.modbus import Modbus
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    WarmingError,
)
from lilong_firmware.fields import Fields

WORD = {"unit": "/", "lowest": -(1 << 40), "highest": 1 << 40}


def entry(name, register, **given):
    made = {"name": name, "register": register}
    made.update(WORD)
    made.update(given)
    return made


def fields(registers, **given):
    options = {"unit": 17, "timeout_ms": 20, "retries": 0, "registers": registers}
    options.update(given)
    return Fields(options, "devices.meter")


def meter(line, registers, **given):
    return Modbus(line, fields(registers, **given))


class Clock:
    """Seconds that pass with each look at the line."""

    def __init__(self):
        self.s = 0.0

    def now_s(self):
        return self.s


class ChipLine:
    def __init__(self, clock, *chips):
        self._clock = clock
        self._chips = chips

    def read(self):
        self._clock.s += 0.002
        return b"".join([chip.send() for chip in self._chips])

    def discard(self):
        self.read()

    async def write(self, data):
        for chip in self._chips:
            chip.receive(data)


def check_the_crc_is_that_of_the_specification():
    # MODBUS over Serial Line V1.02, appendix B: the CRC of 02 07 is sent as 41 12.
    assert crc16(b"\x02\x07") == 0x1241
    assert sealed(b"\x02\x07") == b"\x02\x07\x41\x12"


def check_requests_and_answers_are_those_of_the_specification():
    # Application Protocol V1.1b3, examples of 6.1, 6.2, 6.3, 6.4 and 7; units and CRC as in the
    # examples for RTU on simplymodbus.ca (unit 17; 10 for the exception).
    for asked, answer, data in (
        ("11 01 00 13 00 25 0E 84", "11 01 05 CD 6B B2 0E 1B 45 E6", "CD 6B B2 0E 1B"),
        ("11 02 00 C4 00 16 BA A9", "11 02 03 AC DB 35 20 18", "AC DB 35"),
        ("11 03 00 6B 00 03 76 87", "11 03 06 AE 41 56 52 43 40 49 AD", "AE 41 56 52 43 40"),
        ("11 04 00 08 00 01 B2 98", "11 04 02 00 0A F8 F4", "00 0A"),
    ):
        sent = hexed(asked)
        first, count = struct.unpack(">HH", sent[2:6])
        assert request(17, sent[1], first, count) == sent
        assert surplus(hexed(answer), sent) == 0
        assert answered(hexed(answer), sent, "modbus") == hexed(data)


def check_an_exception_is_that_of_the_specification():
    # Section 7: function 01 for output 1186 is refused with 81 02.
    asked = request(10, 1, 0x04A1, 1)
    assert asked == hexed("0A 01 04 A1 00 01 AC 63")
    answer = hexed("0A 81 02 B0 53")
    assert surplus(answer, asked) == 0
    problem = ""
    try:
        answered(answer, asked, "modbus")
    except NonsenseError as error:
        problem = error.problem
    assert problem == "exception 2, illegal data address"


async def check_each_exception_is_the_right_error():
    for code, kind, words in (
        (1, NonsenseError, "illegal function"),
        (4, NonsenseError, "server device failure"),
        (5, WarmingError, "acknowledge"),
        (6, WarmingError, "server device busy"),
        (8, DamagedError, "memory parity error"),
        (10, AbsentError, "gateway path unavailable"),
        (11, AbsentError, "gateway target device failed to respond"),
        (99, NonsenseError, "exception 99"),
    ):
        line = ScriptedLine([(request(17, 3, 8, 1), sealed(bytes((17, 0x83, code))))])
        error = await failure_of(Modbus(line, fields([entry("a", 8)], retries=3)))
        assert type(error) is kind, error
        assert words in str(error), error
        assert line.done


async def check_the_holding_registers_of_the_specification_are_read():
    # V1.1b3, 6.3: registers 108 to 110 hold 555, 0 and 100.
    answer = sealed(hexed("11 03 06 02 2B 00 00 00 64"))
    line = ScriptedLine([(hexed("11 03 00 6B 00 03 76 87"), answer)])
    registers = [entry("c", 109), entry("a", 107), entry("b", 108)]
    driver = Modbus(line, fields(registers))
    assert [given.name for given in driver.GIVES] == ["c", "a", "b"]
    assert await driver.measure() == [100, 555, 0]
    assert line.done


async def check_the_input_register_of_the_specification_is_read():
    # V1.1b3, 6.4: input register 9 holds 10.
    line = ScriptedLine([(hexed("11 04 00 08 00 01 B2 98"), hexed("11 04 02 00 0A F8 F4"))])
    assert await Modbus(line, fields([entry("a", 8, function=4)])).measure() == [10]


async def check_a_power_meter_is_read_as_its_manual_says():
    # Eastron SDM630 Modbus protocol: volts of phase 1, 01 04 00 00 00 02 71 CB, are 230.2.
    registers = [
        entry("voltage", 0, function=4, type="f32", unit="V", exponent=-1),
    ]
    line = ScriptedLine([(hexed("01 04 00 00 00 02 71 CB"), hexed("01 04 04 43 66 33 34 1B 38"))])
    assert await Modbus(line, fields(registers, unit=1)).measure() == [2302]


def bits_of(data, **given):
    return Register(Fields(entry("a", 0, **given), "a"), 0).value(data, 0)


def check_words_come_in_every_order():
    for order, data in (
        ("abcd", b"\x01\x02\x03\x04"),
        ("cdab", b"\x03\x04\x01\x02"),
        ("badc", b"\x02\x01\x04\x03"),
        ("dcba", b"\x04\x03\x02\x01"),
    ):
        assert bits_of(data, type="u32", order=order) == 0x01020304
    assert bits_of(b"\x01\x02") == 0x0102
    assert bits_of(b"\x01\x02", order="cdab") == 0x0102
    assert bits_of(b"\x01\x02", order="badc") == 0x0201
    assert bits_of(b"\x01\x02", order="dcba") == 0x0201


def check_signs_are_those_of_the_type():
    assert bits_of(b"\xff\xfe") == 65534
    assert bits_of(b"\xff\xfe", type="s16") == -2
    assert bits_of(b"\xff\xff\xff\xfe", type="s32") == -2
    assert bits_of(b"\x80\x00\x00\x00", type="s32") == -(1 << 31)
    assert bits_of(b"\xff\xff\xff\xff", type="u32") == (1 << 32) - 1


def check_a_scale_is_a_ratio_of_integers():
    assert bits_of(b"\x00\xeb", scale_exponent=-1, exponent=-2) == 2350
    assert bits_of(b"\x00\xeb", scale_exponent=-1) == 24
    assert bits_of(b"\xff\x15", type="s16", scale_exponent=-1) == -23
    assert bits_of(b"\x00\x19", divisor=16, exponent=-4) == 15625
    assert bits_of(b"\x00\x03", multiplier=3600, scale_exponent=3) == 10800000
    assert bits_of(b"\xff\xff\xff\xff", type="u32", scale_exponent=9) == 4294967295000000000


def check_a_number_for_no_value_is_none():
    assert bits_of(b"\x7f\xff", type="s16", invalid=32767) is None
    assert bits_of(b"\x80\x00", type="s16", invalid=-32768) is None
    assert bits_of(b"\xff\xff", invalid=65535) is None
    assert bits_of(b"\xff\xfe", invalid=65535) == 65534
    assert bits_of(b"\xff\xff\xff\xff", type="f32", invalid=0xFFFFFFFF) is None


def check_floats_are_exact():
    # simplymodbus.ca: AE41 5652 is -4.395978E-11. IEEE 754: 42F6E979 is 123.456001281738...
    assert bits_of(b"\xae\x41\x56\x52", type="f32") == 0
    tiny = {"type": "f32", "exponent": -9, "multiplier": 1000000, "scale_exponent": 3}
    assert bits_of(b"\xae\x41\x56\x52", **tiny) == -43959787
    assert bits_of(b"\x42\xf6\xe9\x79", type="f32", exponent=-9) == 123456001282
    assert bits_of(b"\x4b\x7f\xff\xff", type="f32") == 16777215
    assert bits_of(b"\x4b\x80\x00\x01", type="f32") == 16777218
    assert bits_of(b"\x7f\x7f\xff\xff", type="f32") == (2**24 - 1) << 104
    assert bits_of(b"\x00\x00\x00\x01", type="f32", exponent=-9) == 0
    assert bits_of(b"\x80\x00\x00\x00", type="f32") == 0
    assert bits_of(b"\x3f\x00\x00\x00", type="f32") == 1
    assert bits_of(b"\xbf\x00\x00\x00", type="f32") == 0
    assert bits_of(b"\xbf\x80\x00\x00", type="f32", exponent=-3) == -1000


def check_what_is_no_number_is_none_and_infinity_is_out_of_range():
    assert bits_of(b"\x7f\xc0\x00\x00", type="f32") is None
    assert bits_of(b"\xff\x80\x00\x01", type="f32") is None
    assert bits_of(b"\x7f\x80\x00\x00", type="f32") == WORD["highest"] + 1
    assert bits_of(b"\xff\x80\x00\x00", type="f32") == WORD["lowest"] - 1


def blocks(registers, gap=0):
    found = blocks_of(registers_of(fields(registers)), gap)
    return [(block.function, block.first, block.count) for block in found]


def check_neighbours_are_read_in_one_request():
    registers = [entry("c", 4, type="f32"), entry("a", 0), entry("b", 1, type="u32")]
    assert blocks(registers) == [(3, 0, 3), (3, 4, 2)]
    assert blocks(registers, gap=1) == [(3, 0, 6)]
    registers.append(entry("d", 0, function=4))
    assert blocks(registers, gap=1) == [(3, 0, 6), (4, 0, 1)]


def check_one_register_may_be_two_quantities():
    assert blocks([entry("a", 5, type="u32"), entry("b", 5), entry("c", 6)]) == [(3, 5, 2)]
    assert blocks([entry("a", 5, type="u32"), entry("b", 5)]) == [(3, 5, 2)]
    assert blocks([entry("a", 5), entry("b", 5, type="u32")]) == [(3, 5, 2)]
    assert blocks([entry("a", 5, type="u32"), entry("b", 6), entry("c", 7)]) == [(3, 5, 3)]


def check_no_request_is_longer_than_125_registers():
    registers = [entry(str(i), 4 * i, type="u32") for i in range(64)]
    found = blocks(registers, gap=2)
    assert [count for _, _, count in found] == [122, 122, 6]


def check_no_answer_with_bits_is_as_long_as_the_echo_of_its_request():
    # The request for 19 coils from 0x0313 is itself a valid answer with 3 bytes.
    echo = request(1, 1, 0x0313, 19)
    assert crc16(echo) == 0
    assert echo[2] == 3 == data_bytes(echo)
    registers = [entry(str(i), 0x0313 + i, function=1) for i in range(19)]
    assert blocks(registers) == [(1, 0x0313, 16), (1, 0x0323, 3)]


def refused(registers, **given):
    return refused_key(meter, registers=registers, **given)


def check_a_map_that_cannot_be_is_refused_by_name():
    path = "devices.meter.registers"
    assert refused([entry("a", 0)]) is None
    assert refused([entry("a", 0)], unit=0) == "devices.meter.unit"
    assert refused([entry("a", 0)], unit=248) == "devices.meter.unit"
    assert refused([]) == path
    assert refused([entry(str(i), i) for i in range(65)]) == path
    assert refused([entry("a", 0), entry("a", 1)]) == path + "[1].name"
    assert refused([entry("status", 0)]) == path + "[0].name"
    assert refused([entry("a", 0, type="u64")]) == path + "[0].type"
    assert refused([{"name": "a", "register": 0}]) == path + "[0].lowest"
    assert refused([entry("a", 0, order="abdc")]) == path + "[0].order"
    assert refused([entry("a", 65535, type="u32")]) == path + "[0].register"
    assert refused([entry("a", 0, function=1, type="u16")]) == path + "[0].type"
    assert refused([entry("a", 0, function=5)]) == path + "[0].function"
    assert refused([entry("a", 0, lowest=5, highest=4)]) == path + "[0].highest"
    assert refused([7]) == path + "[0]"
    assert Modbus(None, fields([entry("a", 0)])).GIVES[0].unit == "/"


ASKED = request(17, 3, 107, 3)
GOOD = sealed(hexed("11 03 06 02 2B 00 00 00 64"))
THREE = [entry("a", 107), entry("b", 108), entry("c", 109)]


async def check_echo_noise_and_strangers_are_passed_over():
    for before in (
        ASKED,
        b"\x00",
        b"\xff\x00" + ASKED,
        sealed(hexed("12 03 06 00 01 00 02 00 03")),
        sealed(hexed("11 04 06 00 01 00 02 00 03")),
        sealed(hexed("11 03 02 00 01")),
        sealed(hexed("11 84 02")),
        sealed(hexed("12 83 02")),
        sealed(b"\x12\x03\x0e" + GOOD[:-3] + b"\x00" * 6) + ASKED,
    ):
        for cut in (1, 3, len(before)):
            came = before + GOOD
            line = ScriptedLine([(ASKED, [came[:cut], b"", came[cut:]])])
            assert await Modbus(line, fields(THREE)).measure() == [555, 0, 100], before


async def check_a_frame_inside_the_frame_of_another_is_not_taken():
    inner = sealed(hexed("11 03 02 12 34"))
    outer = sealed(b"\x12\x03" + bytes((len(inner) + 1, 0)) + inner)
    asked = request(17, 3, 8, 1)
    line = ScriptedLine([(asked, [outer[:-4], outer[-4:] + sealed(hexed("11 03 02 00 05"))])])
    assert await Modbus(line, fields([entry("a", 8)])).measure() == [5]


async def check_silence_is_absence_and_a_wrong_crc_is_damage():
    line = ScriptedLine([(ASKED, b"")])
    assert type(await failure_of(Modbus(line, fields(THREE)))) is AbsentError
    line = ScriptedLine([(ASKED, ASKED)])
    assert type(await failure_of(Modbus(line, fields(THREE)))) is AbsentError
    line = ScriptedLine([(ASKED, b"\x00\xff")])
    assert type(await failure_of(Modbus(line, fields(THREE)))) is AbsentError
    for index in range(2, len(GOOD), 2):
        bad = bytearray(GOOD)
        bad[index] ^= 0x10
        line = ScriptedLine([(ASKED, bytes(bad))])
        assert type(await failure_of(Modbus(line, fields(THREE)))) is DamagedError, index


async def check_only_the_asked_unit_function_and_length_are_an_answer():
    for wrong in ("12 03 06 02 2B 00 00 00 64", "11 04 06 02 2B 00 00 00 64", "11 03 02 02 2B"):
        line = ScriptedLine([(ASKED, sealed(hexed(wrong)))])
        assert type(await failure_of(Modbus(line, fields(THREE)))) is AbsentError


async def check_it_asks_again_as_often_as_it_may():
    line = ScriptedLine([(ASKED, b""), (ASKED, b"\x11\x03"), (ASKED, GOOD)])
    assert await Modbus(line, fields(THREE, retries=2)).measure() == [555, 0, 100]
    line = ScriptedLine([(ASKED, b""), (ASKED, b"")])
    assert type(await failure_of(Modbus(line, fields(THREE, retries=1)))) is AbsentError
    assert line.done


async def check_what_came_before_the_question_is_no_answer():
    old = sealed(hexed("11 03 06 00 09 00 09 00 09"))
    line = ScriptedLine([(b"", [old, old]), (ASKED, GOOD)])
    assert await Modbus(line, fields(THREE)).measure() == [555, 0, 100]


async def check_a_late_answer_is_not_taken_for_the_next_one():
    clock = Clock()
    chip = modbus_chip.Chip(
        {"unit": 17, "delay_s": 0.05, "registers": [{"register": 0, "value": 1}]}, clock.now_s
    )
    line = ChipLine(clock, chip)
    error = await failure_of(Modbus(line, fields([entry("a", 0)])))
    assert type(error) is AbsentError
    chip.entry["registers"] = [{"register": 0, "value": 2}]
    chip.entry["delay_s"] = 0.02
    assert await Modbus(line, fields([entry("a", 0)])).measure() == [2]
    assert len(chip.requests) == 2


async def check_a_line_that_never_rests_is_damage():
    class Babble:
        def read(self):
            return b"\x11\x03"

        discard = read

        async def write(self, data):
            raise AssertionError(data)

    driver = Modbus(Babble(), fields(THREE))
    assert type(await failure_of(driver)) is DamagedError


async def check_any_bytes_are_survived():
    random.seed(7)
    parts = (b"\x11", b"\x03", b"\x11\x03", b"\x11\x83", b"\x11\x03\x06", ASKED, GOOD[:5])
    for _ in range(25):
        pieces = []
        for _ in range(random.randrange(6)):
            pieces.append(parts[random.randrange(len(parts))])
            pieces.append(bytes([random.getrandbits(8) for _ in range(random.randrange(40))]))
        line = ScriptedLine([(ASKED, pieces), (ASKED, GOOD)])
        driver = Modbus(line, fields(THREE))
        assert isinstance(await failure_of(driver), (AbsentError, DamagedError)), pieces
        line.discard()
        assert await driver.measure() == [555, 0, 100]


def check_no_bytes_hold_it_up_or_pass_for_an_answer():
    random.seed(8)
    for _ in range(200):
        came = bytes([random.choice((17, 3, 6, 0, 0x83, 0xFF, 250)) for _ in range(300)])
        while True:
            before = surplus(came, ASKED)
            if before <= 0:
                break
            came = came[before:]
        assert before == -1
        assert len(came) < 256


RADAR = [
    entry("level", 0, unit="m", type="u16", scale_exponent=-3, exponent=-3, highest=30000),
    entry("distance", 1, unit="m", type="u16", scale_exponent=-3, exponent=-3, highest=30000),
    entry("echo", 2, unit="/", type="u16", scale_exponent=-2, exponent=-2, highest=100),
]
SONDE = [
    entry("temperature", 0x2600, unit="Cel", type="f32", order="dcba", exponent=-2),
    entry(
        "oxygen", 0x2602, unit="kg/m3", type="f32", order="dcba", scale_exponent=-3, exponent=-6
    ),
    entry("ph", 0x2604, unit="pH", type="f32", order="cdab", exponent=-2),
    entry("conductivity", 0x2606, unit="S/m", type="s32", order="badc", divisor=8, exponent=-3),
]
METER = [
    entry("voltage", 0, function=4, unit="V", type="f32", exponent=-1),
    entry("current", 6, function=4, unit="A", type="f32", exponent=-3),
    entry("power", 12, function=4, unit="W", type="f32"),
    entry("energy", 0x156, function=4, unit="J", type="f32", multiplier=3600, scale_exponent=3),
    entry("relay", 3, function=1, unit="/"),
    entry("door", 9, function=2, unit="/"),
]


def simulated(registers, values, counts, **given):
    simulated_registers = []
    for register, value, count in zip(registers, values, counts):
        kept = {
            key: register[key]
            for key in ("register", "function", "type", "order")
            if key in register
        }
        kept.update({"value": value, "counts": count})
        simulated_registers.append(kept)
    made = {"unit": 17, "registers": simulated_registers}
    made.update(given)
    clock = Clock()
    chip = modbus_chip.Chip(made, clock.now_s)
    return clock, chip, ChipLine(clock, chip)


async def check_a_level_radar_is_read_in_one_request():
    for given in ({}, {"echo": True}, {"glitch": True}, {"echo": True, "glitch": True}):
        _, chip, line = simulated(RADAR, (1.234, 8.766, 0.87), (1000, 1000, 100), **given)
        assert await Modbus(line, fields(RADAR)).measure() == [1234, 8766, 87]
        assert len(chip.requests) == 1


async def check_a_water_quality_sonde_is_read_in_its_orders():
    values = (-1.25, 8.5, 7.0625, 12.5)
    _, chip, line = simulated(SONDE, values, (1, 1, 1, 8))
    assert await Modbus(line, fields(SONDE)).measure() == [-125, 8500, 706, 12500]
    assert len(chip.requests) == 1


async def check_a_power_meter_is_read_with_its_bits():
    values = (230.5, 1.25, -287.0, 10.5, 1, 0)
    _, chip, line = simulated(METER, values, (1, 1, 1, 1, 1, 1))
    assert await Modbus(line, fields(METER)).measure() == [2305, 1250, -287, 37800000, 1, 0]
    assert len(chip.requests) == 6


async def check_a_range_of_values_comes_through():
    registers = [entry("t", 7, type="s16", scale_exponent=-1, exponent=-1)]
    clock, _, line = simulated(registers, ([[0, -40], [100, 85]],), (10,))
    for second in range(0, 101, 20):
        clock.s = second
        (value,) = await Modbus(line, fields(registers)).measure()
        assert abs(value - (-400 + 12.5 * second)) <= 1, (second, value)


async def check_faults_are_told_apart_and_it_recovers():
    faults = [["absent", 1, 2], ["damaged", 2, 3], ["busy", 3, 4]]
    clock, _, line = simulated(RADAR, (1, 2, 0.5), (1000, 1000, 100), faults=faults)
    driver = Modbus(line, fields(RADAR))
    for second, kind in ((1, AbsentError), (2, DamagedError), (3, WarmingError)):
        clock.s = second
        assert type(await failure_of(driver)) is kind, kind
    clock.s = 5
    assert await driver.measure() == [1000, 2000, 50]


async def check_an_infinity_is_left_to_the_range_of_its_quantity():
    _, _, line = simulated(METER[:1], (1,), (1,), faults=[["nonsense", 0, 99]])
    (value,) = await Modbus(line, fields(METER[:1])).measure()
    assert value > METER[0]["highest"]


async def check_two_units_share_a_line():
    clock = Clock()
    chips = [
        modbus_chip.Chip(
            {"unit": unit, "registers": [{"register": 0, "value": unit}]}, clock.now_s
        )
        for unit in (1, 2)
    ]
    line = ChipLine(clock, *chips)
    for unit in (1, 2):
        assert await Modbus(line, fields([entry("a", 0)], unit=unit)).measure() == [unit]


async def check_an_absent_register_is_refused_by_the_unit():
    _, _, line = simulated(RADAR, (1, 1, 1), (1, 1, 1))
    error = await failure_of(Modbus(line, fields([entry("a", 50)])))
    assert type(error) is NonsenseError
    assert "illegal data address" in str(error)


def check_frames_are_3_5_characters_apart():
    # Serial Line V1.02, 2.5.1.1: at least 3.5 characters of 11 bits, 1.75 ms above 19200 baud.
    for baudrate in (300, 1200, 2400, 4800, 9600, 19200):
        assert (silence_ms(baudrate) - 2) * baudrate >= 3500 * 11, baudrate
    for baudrate in (38400, 57600, 115200, 921600):
        assert 1.75 <= silence_ms(baudrate) - 2 <= 2, baudrate


async def check_it_waits_until_the_line_is_silent():
    written = []

    class Busy:
        baudrate = 115200
        pieces = [b"\x01", b"\x02", b"", GOOD]

        def read(self):
            return self.pieces.pop(0)

        async def write(self, data):
            written.append((data, len(self.pieces)))

    assert await Modbus(Busy(), fields(THREE)).measure() == [555, 0, 100]
    assert written == [(ASKED, 1)]
