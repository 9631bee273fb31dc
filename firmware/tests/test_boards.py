import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

BOARDS = Path(__file__).parents[1] / "boards"
CHIPS = {"LILONG_ESP32": "esp32", "LILONG_ESP32S3": "esp32s3", "LILONG_ESP32C3": "esp32c3"}
FIRST = 0x9000
"""Behind the bootloader and the table."""
SECTOR = 0x1000
IMAGE_ALIGNMENT = 0x10000
MIB = 1 << 20


@dataclass(frozen=True)
class Partition:
    """A row of the table."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int
    flags: str

    @property
    def end(self):
        return self.offset + self.size


def table(path):
    rows = []
    for line in path.read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(",")]
            name, kind, subtype, offset, size, flags = cells
            rows.append(Partition(name, kind, subtype, int(offset, 0), int(size, 0), flags))
    return {row.name: row for row in rows}


TABLES = {path.name: table(path) for path in sorted(BOARDS.glob("partitions-*.csv"))}
each_table = pytest.mark.parametrize("name", TABLES)
each_board = pytest.mark.parametrize("board", CHIPS)


def options(path):
    """What a file of sdkconfig sets."""
    lines = path.read_text("ascii").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 and pair[0].startswith("CONFIG_") for pair in pairs), path
    assert len({pair[0] for pair in pairs}) == len(pairs), path
    return dict(pairs)


def test_there_is_a_table_for_4_and_one_for_8_mib():
    assert sorted(TABLES) == ["partitions-4MiB.csv", "partitions-8MiB.csv"]


@each_table
def test_the_partitions_fill_the_flash_in_order_and_none_overlaps(name):
    rows = list(TABLES[name].values())
    assert rows[0].offset == FIRST
    assert [row.offset for row in rows[1:]] == [row.end for row in rows[:-1]]
    assert rows[-1].end == int(re.search(r"(\d+)MiB", name)[1]) * MIB


@each_table
def test_images_begin_at_64_kib_and_all_else_at_a_sector(name):
    for row in TABLES[name].values():
        assert row.offset % (IMAGE_ALIGNMENT if row.type == "app" else SECTOR) == 0
        assert row.size % SECTOR == 0
        assert row.size > 0


@each_table
def test_there_are_two_slots_for_images_of_equal_size_and_no_factory(name):
    images = [row for row in TABLES[name].values() if row.type == "app"]
    assert [(row.name, row.subtype) for row in images] == [("ota_0", "ota_0"), ("ota_1", "ota_1")]
    assert images[0].size == images[1].size >= 0x170000
    # An address in flash as the other image sees it: 64 KiB pages.
    assert images[0].size % IMAGE_ALIGNMENT == 0


@each_table
def test_the_data_of_the_bootloader_the_radio_and_nvs_are_as_the_idf_wants_them(name):
    rows = TABLES[name]
    found = {
        name: (rows[name].type, rows[name].subtype) for name in ("nvs", "otadata", "phy_init")
    }
    assert found == {
        "nvs": ("data", "nvs"),
        "otadata": ("data", "ota"),
        "phy_init": ("data", "phy"),
    }
    assert rows["otadata"].size == 2 * SECTOR
    assert rows["phy_init"].size == SECTOR
    # One page is always empty, and two hold what is copied while it is written again.
    assert rows["nvs"].size >= 4 * SECTOR


@each_table
def test_the_journal_is_whole_sectors_and_not_encrypted(name):
    journal = TABLES[name]["journal"]
    assert (journal.type, journal.subtype, journal.flags) == ("data", "undefined", "")
    assert journal.size % SECTOR == 0
    assert journal.size >= 0x20000 >= 4 * SECTOR


@each_table
def test_the_file_system_has_the_name_that_the_port_and_the_boot_look_for(name):
    row = TABLES[name]["vfs"]
    assert (row.type, row.flags) == ("data", "")
    source = (BOARDS.parent / "_boot.py").read_text("utf-8")
    assert '_LABEL = "vfs"' in source


def test_there_is_a_board_for_every_chip_and_no_other():
    assert {path.parent.name for path in BOARDS.glob("*/mpconfigboard.cmake")} == set(CHIPS)


@each_board
def test_a_board_has_all_files_that_the_port_reads(board):
    names = {path.name for path in (BOARDS / board).iterdir()}
    assert names >= {"board.json", "mpconfigboard.h", "mpconfigboard.cmake", "sdkconfig.board"}
    described = json.loads((BOARDS / board / "board.json").read_text("utf-8"))
    assert described["mcu"] == CHIPS[board]
    # Where the bootloader looks for itself.
    offset = "0x1000" if CHIPS[board] == "esp32" else "0"
    assert described["deploy_options"] == {"flash_offset": offset}
    variants = {
        path.stem.removeprefix("mpconfigvariant_")
        for path in (BOARDS / board).glob("mpconfigvariant_*.cmake")
    }
    assert set(described.get("variants", {})) == variants


@each_board
def test_a_board_is_for_its_chip_and_its_name_ends_in_it(board):
    text = (BOARDS / board / "mpconfigboard.cmake").read_text("utf-8")
    assert re.findall(r"set\(IDF_TARGET (\w+)\)", text) == [CHIPS[board]]
    header = (BOARDS / board / "mpconfigboard.h").read_text("utf-8")
    assert re.findall(r'MICROPY_HW_MCU_NAME\s+"(\w+)"', header) == [CHIPS[board].upper()]


@each_board
def test_every_file_that_a_board_names_is_there(board):
    folder = BOARDS / board
    for path in [*folder.glob("*.cmake"), BOARDS / "lilong.cmake"]:
        text = path.read_text("utf-8")
        for variable, name in re.findall(
            r"\$\{(MICROPY_BOARD_DIR|CMAKE_CURRENT_LIST_DIR)\}/([\w./-]+)", text
        ):
            home = path.parent if variable == "CMAKE_CURRENT_LIST_DIR" else folder
            assert (home / name).is_file(), (path, name)


def test_the_options_of_every_node_end_every_failure_in_a_reset_and_keep_the_way_back():
    found = options(BOARDS / "sdkconfig.lilong")
    on = [
        "BOOTLOADER_APP_ROLLBACK_ENABLE",
        "BOOTLOADER_WDT_ENABLE",
        "ESP_BROWNOUT_DET",
        "ESP_INT_WDT",
        "ESP_SYSTEM_PANIC_PRINT_REBOOT",
        "ESP_TASK_WDT_INIT",
        "ESP_TASK_WDT_PANIC",
    ]
    assert {found.get(f"CONFIG_{name}") for name in on} == {"y"}
    assert "CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK" not in found


@each_board
def test_a_board_keeps_ble_in_the_role_that_a_node_has(board):
    text = (BOARDS / board / "mpconfigboard.cmake").read_text("utf-8")
    assert "boards/sdkconfig.ble" in text
    ours = options(BOARDS / "sdkconfig.lilong") | options(BOARDS / board / "sdkconfig.board")
    assert {name for name in ours if name.startswith("CONFIG_BT")} == set()
    header = (BOARDS / board / "mpconfigboard.h").read_text("utf-8")
    assert "BLUETOOTH" not in header


@each_board
def test_the_flash_of_a_board_is_that_of_its_table(board):
    assert options(BOARDS / board / "sdkconfig.board")["CONFIG_ESPTOOLPY_FLASHSIZE_4MB"] == "y"


def test_the_variant_with_8_mib_takes_the_other_table():
    assert options(BOARDS / "LILONG_ESP32S3" / "sdkconfig.flash_8M") == {
        "CONFIG_ESPTOOLPY_FLASHSIZE_4MB": "n",
        "CONFIG_ESPTOOLPY_FLASHSIZE_8MB": "y",
    }
    text = (BOARDS / "LILONG_ESP32S3" / "mpconfigboard.cmake").read_text("utf-8")
    chosen = re.search(r'BOARD_VARIANT STREQUAL "FLASH_8M".*?(partitions-\w+\.csv)', text, re.S)
    assert chosen[1] == "partitions-8MiB.csv"
