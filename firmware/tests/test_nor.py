import pytest

from lilong_firmware.virtual.nor import (
    AFTER,
    BEFORE,
    PARTIAL,
    TORN,
    WAYS,
    Chance,
    Nor,
    PowerCutError,
)

BLOCK = 64
BLANK = b"\xff" * BLOCK


def read(flash, block=0):
    buffer = bytearray(BLOCK)
    flash.readblocks(block, buffer, 0)
    return bytes(buffer)


def cut(way, seed, operation):
    """What a cut leaves of a block, of which the first half was programmed before."""
    flash = Nor(2, BLOCK)
    flash.writeblocks(0, bytes(BLOCK // 2), 0)
    flash.cut_after(0, way, seed)
    with pytest.raises(PowerCutError):
        operation(flash)
    flash.cut_after(None)
    assert read(flash, 1) == BLANK
    return read(flash)


def program(flash):
    flash.writeblocks(0, bytes(BLOCK // 2), BLOCK // 2)


def erase(flash):
    flash.ioctl(6, 0)


def test_bits_are_cleared_by_programs_and_set_by_erases_alone():
    flash = Nor(2, BLOCK)
    assert (flash.ioctl(4, 0), flash.ioctl(5, 0)) == (2, BLOCK)
    flash.writeblocks(1, b"\x0f\xf0", 3)
    assert read(flash, 1) == b"\xff\xff\xff\x0f\xf0" + BLANK[5:]
    flash.writeblocks(1, b"\x0e", 3)
    with pytest.raises(ValueError, match="without an erase"):
        flash.writeblocks(1, b"\x0f", 3)
    flash.ioctl(6, 1)
    assert read(flash, 1) == read(flash, 0) == BLANK
    assert (flash.erases, flash.programs, flash.programmed_bytes, flash.operations) == (1, 2, 3, 3)


def test_a_lenient_flash_does_as_a_chip_does():
    flash = Nor(1, BLOCK, strict=False)
    flash.writeblocks(0, b"\x0f", 0)
    flash.writeblocks(0, b"\xf3", 0)
    assert read(flash)[0] == 0x03


@pytest.mark.parametrize(("block", "offset"), [(2, 0), (-1, 0), (0, BLOCK), (0, -1)])
def test_beyond_the_flash_is_nothing(block, offset):
    with pytest.raises(ValueError, match="beyond"):
        Nor(2, BLOCK).writeblocks(block, b"\0", offset)


def test_power_goes_in_the_operation_that_was_asked_for_and_what_follows_is_in_vain():
    flash = Nor(1, BLOCK)
    flash.cut_after(2, AFTER)
    flash.writeblocks(0, b"\1", 0)
    flash.writeblocks(0, b"\2", 1)
    with pytest.raises(PowerCutError):
        flash.writeblocks(0, b"\3", 2)
    flash.writeblocks(0, b"\4", 3)
    flash.cut_after(None)
    assert read(flash) == b"\1\2\3" + BLANK[3:]


@pytest.mark.parametrize("operation", [program, erase])
def test_a_clean_cut_leaves_all_or_nothing(operation):
    whole = Nor(1, BLOCK)
    whole.writeblocks(0, bytes(BLOCK // 2), 0)
    untouched = read(whole)
    operation(whole)
    assert cut(BEFORE, 1, operation) == untouched
    assert cut(AFTER, 1, operation) == read(whole)


def test_a_torn_program_leaves_a_first_part_of_any_length():
    left = {cut(TORN, seed, program) for seed in range(2000)}
    assert left == {bytes(size) + BLANK[size:] for size in range(BLOCK // 2, BLOCK + 1)}


def test_a_partial_program_leaves_bits_of_it_anywhere():
    left = [cut(PARTIAL, seed, program) for seed in range(300)]
    assert all(block[: BLOCK // 2] == bytes(BLOCK // 2) for block in left)
    assert len(set(left)) > 200
    late = [block for block in left if block[BLOCK // 2] == 0xFF and block[-1] == 0]
    sparse = [block for block in left if sum(block) > 0 and block.count(b"\xff") > BLOCK // 4]
    assert late
    assert sparse


@pytest.mark.parametrize("way", [TORN, PARTIAL])
def test_a_torn_erase_leaves_parts_of_what_was_there(way):
    left = [cut(way, seed, erase) for seed in range(300)]
    assert len(set(left)) > 20
    assert all(block[BLOCK // 2 :] == BLANK[BLOCK // 2 :] for block in left)
    bits = {byte for block in left for byte in block}
    assert bits == {0, 0xFF} if way == TORN else len(bits) > 100


def test_chance_is_the_same_everywhere_and_depends_on_its_seed():
    assert [Chance(1).below(1000) for _ in range(3)] == [Chance(1).below(1000)] * 3
    chance = Chance(7)
    drawn = chance.bytes(4000)
    assert drawn[:6].hex() == "4393de947b37"
    assert set(drawn) == set(range(256))
    assert Chance(8).bytes(6) != drawn[:6]
    assert len(WAYS) == 4
