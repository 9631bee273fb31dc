import asyncio
import random

from checking import Clock, failure_of, refusal
from ds18b20_chip import Chip
from onewire import OneWire, OneWireError, crc8

from lilong_firmware.drivers.ds18b20 import Ds18b20, _crc8
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SensorError,
    WarmingError,
)
from lilong_firmware.fields import Fields

ROM = "28ca610a00000089"
OTHER = "280102030405069e"
THIRD = "22ca610a00000002"
FOURTH = "2201020304050615"
CODES = (
    (0x07D0, 1250000),
    (0x0550, 850000),
    (0x0191, 250625),
    (0x00A2, 101250),
    (0x0008, 5000),
    (0x0000, 0),
    (0xFFF8, -5000),
    (0xFF5E, -101250),
    (0xFE6F, -250625),
    (0xFC90, -550000),
)


def with_crc(data):
    return bytes(data) + bytes((crc8(data),))


def rom(digits):
    return with_crc(bytes([int(digits[i : i + 2], 16) for i in range(0, 14, 2)]))


def scratchpad(code, configuration=0x7F, byte_6=None, alarms=b"\x7d\xc9"):
    if byte_6 is None:
        byte_6 = 0x10 - (code & 0x0F)
    low = bytes((code & 0xFF, code >> 8))
    return with_crc(low + alarms + bytes((configuration, 0xFF, byte_6, 0x10)))


def setting_up(code=0x0550, configuration=0x7F):
    """Operation example 2: TH, TL and configuration are written and read back; with Match ROM."""
    return [
        ("reset", True),
        (">", b"\x55" + rom(ROM) + b"\x4e\x7d\xc9" + bytes((configuration,))),
        ("reset", True),
        (">", b"\x55" + rom(ROM) + b"\xbe"),
        ("<", scratchpad(code, configuration, 0x0C)),
    ]


def measuring(pad):
    """Operation example 1: convert, then read the scratchpad, both with Match ROM."""
    return [
        ("reset", True),
        (">", b"\x55" + rom(ROM) + b"\x44"),
        ("reset", True),
        (">", b"\x55" + rom(ROM) + b"\xbe"),
        ("<", pad),
    ]


class ScriptedWire:
    def __init__(self, script):
        self._left = []
        for kind, data in script:
            if kind == "reset":
                self._left.append((kind, data))
            else:
                self._left.extend([(kind, byte) for byte in data])

    @property
    def done(self):
        return not self._left

    def reset(self):
        return self._play("reset")

    def readbyte(self):
        return self._play("<")

    def writebyte(self, byte):
        expected = self._play(">")
        assert byte == expected, (byte, expected)

    def _play(self, kind):
        assert self._left, kind
        assert self._left[0][0] == kind, (self._left[0], kind)
        return self._left.pop(0)[1]


class Pin:
    def __init__(self, *chips):
        self.chips = list(chips)


class Short:
    pull = 0

    def reset(self):
        return True

    def hear(self, level):
        pass


class RandomWire:
    def reset(self):
        return random.getrandbits(3) > 0

    def readbit(self):
        return random.getrandbits(1)

    def readbyte(self):
        return random.getrandbits(8)

    def writebit(self, bit):
        pass

    def writebyte(self, byte):
        pass


def sensor(wire, **options):
    return Ds18b20(wire, Fields(options))


def simulated(*entries, clock=None):
    clock = clock or Clock()
    return OneWire(Pin(*[Chip(entry, clock) for entry in entries]))


async def check_every_line_of_table_1_is_exact():
    # Table 1, Temperature/Data Relationship. Byte 6 says that +85 was measured.
    wires = [ScriptedWire(setting_up() + measuring(scratchpad(code))) for code, _ in CODES]
    values = await asyncio.gather(*[sensor(wire, rom=ROM).measure() for wire in wires])
    assert values == [[value] for _, value in CODES], values
    assert all(wire.done for wire in wires)


def check_the_check_sum_is_that_of_application_note_27():
    # Application note 27, example 2: family 02, serial number 1CB801000000h, CRC A2.
    assert crc8(b"\x02\x1c\xb8\x01\x00\x00\x00") == 0xA2
    assert _crc8(b"\x02\x1c\xb8\x01\x00\x00\x00\xa2") == 0
    # Scratchpad of a new DS18B20 (github.com/cpetrich/counterfeit_DS18B20, family A1).
    assert _crc8(b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c") == 0
    assert _crc8(b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1d") != 0


async def check_a_second_measurement_does_not_set_up_again():
    script = setting_up(configuration=0x1F)
    script += measuring(scratchpad(0x0190, 0x1F)) + measuring(scratchpad(0x0198, 0x1F))
    wire = ScriptedWire(script)
    driver = sensor(wire, rom=ROM, bits=9)
    assert await driver.measure() == [250000]
    assert await driver.measure() == [255000]
    assert wire.done


async def check_bits_that_are_undefined_are_taken_away():
    # Section Operation, Measuring Temperature: at 9 bits 2, 1 and 0 are undefined.
    pad = scratchpad(0x0197, 0x1F)
    driver = sensor(ScriptedWire(setting_up(configuration=0x1F) + measuring(pad)), rom=ROM, bits=9)
    assert await driver.measure() == [250000]


async def check_the_value_of_the_power_on_is_none():
    # Figure 9, power-up state; byte 6 is 0Ch until something was measured.
    script = setting_up(configuration=0x1F) + measuring(scratchpad(0x0550, 0x1F, 0x0C))
    assert isinstance(
        await failure_of(sensor(ScriptedWire(script), rom=ROM, bits=9)), WarmingError
    )


async def check_a_clone_that_does_not_count_in_byte_6_can_reach_85_cel():
    script = setting_up(configuration=0x1F) + measuring(scratchpad(0x0548, 0x1F, 0x0C))
    driver = sensor(
        ScriptedWire(script + measuring(scratchpad(0x0550, 0x1F, 0x0C))), rom=ROM, bits=9
    )
    assert await driver.measure() == [845000]
    assert await driver.measure() == [850000]


async def check_a_chip_that_lost_its_power_is_set_up_again():
    lost = scratchpad(0x0550, 0x7F, 0x0C, b"\x4b\x46")
    script = setting_up(configuration=0x1F) + measuring(scratchpad(0x0190, 0x1F))
    script += measuring(lost)
    script += setting_up(configuration=0x1F) + measuring(scratchpad(0x0198, 0x1F))
    wire = ScriptedWire(script)
    driver = sensor(wire, rom=ROM, bits=9)
    assert await driver.measure() == [250000]
    assert isinstance(await failure_of(driver), WarmingError)
    assert await driver.measure() == [255000]
    assert wire.done


async def check_a_conversion_that_failed_is_nonsense():
    script = setting_up(configuration=0x1F) + measuring(scratchpad(0x07FF, 0x1F))
    error = await failure_of(sensor(ScriptedWire(script), rom=ROM, bits=9))
    assert isinstance(error, NonsenseError)


async def check_each_way_to_be_wired_badly_has_its_error():
    begin = setting_up()[:4]
    for pad, kind in (
        (b"\xff" * 9, AbsentError),
        (bytes(9), DamagedError),
        (scratchpad(0x0190)[:8] + b"\x00", DamagedError),
    ):
        wire = ScriptedWire(begin + [("<", pad)])
        assert isinstance(await failure_of(sensor(wire, rom=ROM)), kind), kind
        assert wire.done
    assert isinstance(await failure_of(sensor(ScriptedWire([("reset", False)]))), AbsentError)


def check_a_rom_with_a_wrong_digit_is_refused_before_there_is_a_bus():
    for given in ("28ca610a00000088", "28ca610a0000", "nonsense", "", "2"):
        assert refusal(sensor, rom=given).key == "rom", given
    sensor(None, rom=ROM.upper())


def check_a_ds18s20_is_refused_by_its_family():
    digits = "".join(["%02x" % byte for byte in rom("10ca610a000000")])
    assert "no DS18B20" in refusal(sensor, rom=digits).problem
    assert refusal(sensor, bits=13).key == "bits"


async def check_random_bytes_are_errors():
    random.seed(1)
    for index in range(300):
        options = {"rom": ROM} if index % 2 else {}
        assert isinstance(await failure_of(sensor(RandomWire(), **options)), SensorError)


def check_random_scratchpads_are_values_or_errors():
    random.seed(1)
    driver = sensor(None, rom=ROM)
    for _ in range(300):
        pad = bytearray([random.getrandbits(8) for _ in range(9)])
        pad[2:4] = b"\x7d\xc9"
        try:
            value = driver._temperature(pad)
        except SensorError:
            continue
        assert -20480000 <= value <= 20480000, value
        assert value % 625 == 0, value


async def check_temperatures_of_the_simulated_chip():
    wanted = (-55, -25.0625, -0.5, 0, 21.5, 84.9375, 85, 125)
    drivers = [sensor(simulated({"temperature": each})) for each in wanted]
    values = await asyncio.gather(*[driver.measure() for driver in drivers])
    assert values == [[int(each * 10000)] for each in wanted], values


async def check_each_resolution_gives_its_steps():
    drivers = [sensor(simulated({"temperature": 21.95}), bits=bits) for bits in range(9, 13)]
    values = await asyncio.gather(*[driver.measure() for driver in drivers])
    assert values == [[215000], [217500], [218750], [219375]], values


async def check_several_chips_on_a_line_each_give_their_own():
    wire = simulated(
        {"rom": ROM[:14], "temperature": 10},
        {"rom": OTHER[:14], "temperature": 20},
        {"rom": THIRD[:14], "temperature": 30},
        {"rom": FOURTH[:14], "temperature": 40},
    )
    for chip, value in zip(wire.pin.chips, (100000, 200000, 300000, 400000)):
        digits = "".join(["%02x" % byte for byte in chip.rom])
        assert await sensor(wire, rom=digits, bits=9).measure() == [value]
    error = await failure_of(sensor(wire, bits=9))
    assert isinstance(error, AbsentError)
    for chip in wire.pin.chips:
        assert "".join(["%02x" % byte for byte in chip.rom]) in error.problem


async def check_a_chip_of_another_type_beside_it_does_no_harm():
    entry = {"rom": "10ca610a000000"}
    error = await failure_of(sensor(simulated(entry)))
    assert isinstance(error, AbsentError)
    assert "10ca610a000000" in error.problem
    wire = simulated(entry, {"temperature": 10})
    assert await sensor(wire, bits=9).measure() == [100000]


async def check_a_short_circuit_and_an_empty_line_are_errors():
    assert isinstance(await failure_of(sensor(OneWire(Pin(Short())))), DamagedError)
    assert isinstance(await failure_of(sensor(OneWire(Pin(Short())), rom=ROM)), DamagedError)
    assert isinstance(await failure_of(sensor(OneWire(Pin()))), AbsentError)
    assert isinstance(await failure_of(sensor(simulated({}), rom=OTHER)), AbsentError)


async def check_each_fault_of_the_simulated_chip_and_that_it_recovers():
    clock = Clock()
    wire = simulated(
        {
            "temperature": [[0, 20], [450, 20], [460, 30]],
            "faults": [
                ["absent", 100, 150],
                ["damaged", 200, 250],
                ["nonsense", 300, 350],
                ["brownout", 400, 450],
                ["stuck", 450, 550],
            ],
        },
        clock=clock,
    )
    driver = sensor(wire, bits=9)
    assert await driver.measure() == [200000]
    for at_s, kind in (
        (100, AbsentError),
        (200, DamagedError),
        (300, NonsenseError),
        (400, WarmingError),
    ):
        clock.ahead_s = at_s
        assert isinstance(await failure_of(driver), kind), kind
        clock.ahead_s = at_s + 60 if at_s < 400 else at_s
        if at_s < 400:
            assert await driver.measure() == [200000]
    clock.ahead_s = 500
    assert await driver.measure() == [200000]
    clock.ahead_s = 600
    assert await driver.measure() == [300000]


async def check_nothing_holds_others_up_for_longer_than_two_milliseconds():
    # Times of MicroPython's onewire: 960 us for a reset, 70 us for a slot.
    class Timed(OneWire):
        spent_us = 0

        def reset(self):
            self.spent_us += 960
            return OneWire.reset(self)

        def _slot(self, level):
            self.spent_us += 70
            return OneWire._slot(self, level)

    clock = Clock()
    wire = Timed(Pin(Chip({}, clock), Chip({"rom": "10ca610a000000"}, clock)))
    longest_us = 0
    task = asyncio.create_task(sensor(wire, bits=9).measure())
    while not task.done():
        wire.spent_us = 0
        await asyncio.sleep(0)
        longest_us = max(longest_us, wire.spent_us)
    assert await task == [215000]
    assert 1000 < longest_us <= 2000, longest_us


def check_the_stand_in_finds_what_is_on_the_line():
    wire = simulated({"rom": ROM[:14]}, {"rom": OTHER[:14]}, {"rom": THIRD[:14]})
    found = sorted([bytes(each) for each in wire.scan()])
    assert found == sorted([chip.rom for chip in wire.pin.chips]), found
    assert OneWire(Pin()).scan() == []
    assert all(wire.crc8(each) == 0 for each in found)


def check_the_stand_in_lets_chips_collide_as_on_a_wire():
    # Read ROM: with several chips there is the logical and of all of them.
    wire = simulated({"rom": ROM[:14]}, {"rom": OTHER[:14]})
    wire.reset()
    wire.writebyte(0x33)
    data = bytearray(8)
    wire.readinto(data)
    first, second = [chip.rom for chip in wire.pin.chips]
    assert data == bytes([a & b for a, b in zip(first, second)])


def check_the_stand_in_requires_somebody_when_it_is_to():
    try:
        OneWire(Pin()).reset(True)
    except OneWireError:
        return
    raise AssertionError("nobody was there")


def check_the_stand_in_reads_a_scratchpad_as_the_library_would():
    wire = simulated({"temperature": 20})
    wire.select_rom(wire.pin.chips[0].rom)
    wire.write(b"\xbe")
    data = bytearray(9)
    wire.readinto(data)
    assert data == b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c"
    # Then there is nothing more: the line stays high.
    assert (wire.readbyte(), wire.readbit()) == (0xFF, 1)
