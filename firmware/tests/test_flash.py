import random

import pytest

from lilong_firmware.area import SECTOR_BYTES
from lilong_firmware.flash import FileFlash
from lilong_firmware.virtual.nor import Nor


@pytest.fixture
def open_flash(tmp_path):
    """Flashes on one folder, closed when the test is over."""
    opened = []

    def make(size_bytes=4 * SECTOR_BYTES, folder="journal"):
        opened.append(FileFlash(str(tmp_path / folder), size_bytes))
        return opened[-1]

    yield make
    for flash in opened:
        flash.close()


def content(flash):
    found = b""
    for sector in range(flash.ioctl(4, 0)):
        buffer = bytearray(SECTOR_BYTES)
        flash.readblocks(sector, buffer, 0)
        found += buffer
    return found


def test_files_are_a_flash_like_any_other(open_flash):
    flash, model = open_flash(), Nor(4, strict=False)
    assert flash.ioctl(5, 0) == model.ioctl(5, 0)
    chance = random.Random(3)
    for step in range(400):
        sector = chance.randrange(4)
        if chance.random() < 0.1:
            flash.ioctl(6, sector)
            model.ioctl(6, sector)
        else:
            data = chance.randbytes(chance.randrange(1, 600))
            offset = chance.randrange(SECTOR_BYTES - len(data) + 1)
            flash.writeblocks(sector, data, offset)
            model.writeblocks(sector, data, offset)
        if step % 20 == 0:
            assert content(flash) == bytes(model.data)
            flash.close()
            flash = open_flash()
    assert content(flash) == bytes(model.data)


def test_a_new_area_is_blank_and_takes_no_room(open_flash, tmp_path):
    flash = open_flash(100_000)
    assert content(flash) == b"\xff" * (100_000 // SECTOR_BYTES * SECTOR_BYTES)
    assert list((tmp_path / "journal").iterdir()) == []


def test_an_area_grows_but_never_shrinks(open_flash):
    flash = open_flash(8 * SECTOR_BYTES)
    flash.writeblocks(5, b"here", 0)
    before = content(flash)
    assert content(open_flash(4 * SECTOR_BYTES)) == before[: 6 * SECTOR_BYTES]
    assert content(open_flash(9 * SECTOR_BYTES)) == before + b"\xff" * SECTOR_BYTES


def test_foreign_files_count_for_nothing(open_flash, tmp_path):
    open_flash()
    for name in ("sector", "sectorABCD", "sector00070", "2-0000000a", "a0009"):
        (tmp_path / "journal" / name).write_text("x")
    assert open_flash().ioctl(4, 0) == 4


def test_a_folder_that_cannot_be_made_fails_as_a_flash_does(open_flash, tmp_path):
    (tmp_path / "file").write_text("in the way")
    flash = open_flash(folder="file")
    with pytest.raises(OSError, match="file"):
        flash.writeblocks(0, b"x", 0)
