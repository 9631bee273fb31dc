import json
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEY = "0123456789abcdef"
OTHER = "another key 1234"
WHOLE = {"key": KEY, "nvs_key": KEY, "public": True, "highest": 41, "base": 17, "usable": True}
"""What a provisioned node has after whatever happened."""
QUIET = {"boots": 1, "said": [], "writes": 0, "lost": None}
"""A boot with nothing to mend."""


@pytest.fixture
def run(micropython32, tmp_path):
    """Run a program of this folder on the VM; return the JSON object of its last line."""

    def run(*words):
        paths = [".frozen", ROOT / "protocol", ROOT / "firmware", HERE]
        done = subprocess.run(
            [micropython32, "-X", "heapsize=4M", *words],
            cwd=tmp_path,
            env={"MICROPYPATH": ":".join(map(str, paths))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def case(run):
    return lambda name: run(HERE / "boot_cases.py", name)


@pytest.fixture
def chip(run):
    return lambda name: run(HERE / "boot_chip.py", ROOT / "firmware" / "_boot.py", name)


def part(found, wanted):
    return {name: found[name] for name in wanted}


def test_a_blank_flash_is_made_ready_in_the_first_boot(case):
    found = case("fresh")
    assert part(found, ["boots", "usable", "lost", "key"]) == {
        "boots": 1,
        "usable": True,
        "lost": None,
        "key": "",
    }


def test_a_node_can_be_provisioned_through_nvs_alone(case):
    found = case("provisioned_over_nvs")
    assert part(found, WHOLE) == WHOLE
    assert found["boots"] == 1


def test_a_boot_with_nothing_to_mend_says_nothing_and_writes_nothing_to_nvs(case):
    found = case("good")
    assert part(found, WHOLE) == WHOLE
    assert part(found, QUIET) == QUIET


def test_spoilt_superblocks_lead_to_a_new_file_system_in_the_third_boot_with_all_that_counts(case):
    found = case("superblocks")
    assert part(found, WHOLE) == WHOLE
    assert (found["boots"], found["failures"]) == (3, 0)
    assert found["settings"] == found["nvs_settings"] != ""
    assert found["lost"].splitlines()[1:] == ["5a" * 48, "5a" * 48]


def test_what_fails_in_one_boot_only_costs_nothing(case):
    found = case("glitch")
    assert part(found, WHOLE) == WHOLE
    assert (found["first"], found["boots"], found["failures"]) == (False, 1, 0)
    assert found["lost"] is None


def test_a_fat_file_system_gives_way(case):
    found = case("fat")
    assert (found["boots"], found["usable"]) == (3, True)
    assert b"MSDOS5.0".hex() in found["lost"]


def test_whatever_blocks_are_lost_the_node_comes_back_with_its_key_and_can_write(case):
    found = case("half_erased")
    assert found["problems"] == []
    assert found["most"] == 3
    # Both outcomes occur: mended, and made anew.
    assert 0 < found["made"] < found["seeds"]


def test_a_full_file_system_loses_its_inbox_for_the_key(case):
    found = case("full")
    assert part(found, WHOLE) == WHOLE
    assert (found["boots"], found["lost"]) == (1, None)


def test_a_file_system_without_room_for_the_key_gives_way(case):
    found = case("full_for_good")
    assert part(found, WHOLE) == WHOLE
    assert found["boots"] == 3


@pytest.mark.parametrize(
    "name", ["key_missing", "key_torn", "torn_pair", "public_missing", "woken_without_key"]
)
def test_what_is_missing_or_torn_comes_back_from_nvs(case, name):
    found = case(name)
    assert part(found, WHOLE) == WHOLE
    assert (found["boots"], found["lost"], found["writes"]) == (1, None, 0)


def test_both_keys_of_a_rotation_come_back(case):
    assert case("rotating")["back"]


def test_the_file_is_the_newer_key(case):
    found = case("rotated")
    assert (found["key"], found["nvs_key"], found["boots"]) == (OTHER, OTHER, 1)


@pytest.mark.parametrize("name", ["nvs_empty", "nvs_corrupt"])
def test_what_nvs_lost_is_copied_again(case, name):
    found = case(name)
    assert part(found, WHOLE) == WHOLE
    assert found["nvs_settings"] == found["settings"] != ""
    assert found["writes"] >= 3


def test_a_damaged_copy_is_not_taken_for_a_key(case):
    found = case("lost_in_both")
    assert (found["key"], found["boots"], found["lost"]) == ("", 1, None)


def test_a_node_without_nvs_goes_on(case):
    found = case("nvs_dead")
    assert (found["boots"], found["key"], found["usable"]) == (1, KEY, True)


def test_the_only_key_is_not_given_up_for_a_flash_that_cannot_be_written(case):
    found = case("only_key_in_dead_flash")
    assert (found["boots"], found["key"], found["lost"]) == (1, KEY, None)


@pytest.mark.parametrize("name", ["dead_flash", "read_only_flash"])
def test_a_node_whose_flash_takes_nothing_has_its_files_in_memory(case, name):
    found = case(name)
    assert part(found, WHOLE) == WHOLE
    assert found["boots"] == 3


def test_a_mount_that_hangs_three_times_is_not_tried_again(case):
    found = case("hangs")
    assert part(found, WHOLE) == WHOLE
    assert (found["boots"], found["failures"]) == (1, 0)
    assert found["lost"].startswith("it hangs\n")


@pytest.mark.parametrize("name", ["hung_application", "stuck_count"])
def test_the_watchdogs_resets_of_an_application_cost_no_files(case, name):
    found = case(name)
    assert part(found, WHOLE) == WHOLE
    assert found["file"]


def test_a_wake_up_writes_nothing(case):
    assert case("woken") == {"boots": 1, "operations": 0, "nvs": 0}


def test_no_older_update_gets_in_because_the_boot_state_is_gone(case):
    found = case("floor_lost")
    assert part(found, WHOLE) == WHOLE
    assert case("floor_newer") == {"floor": [55, 20]}


def test_settings_are_copied_when_they_have_found_a_gateway(case):
    found = case("settings_on_trial")
    assert (found["settings"], "3" in found["nvs_settings"]) == ('{"version": 4}', True)
    assert case("settings_kept")["nvs_settings"] == '{"version": 4}'


def test_settings_that_are_unusable_or_long_are_left_alone_and_not_copied(case):
    found = case("settings_unusable")
    assert found["settings"] == '{"version": '
    assert '"version": 3' in found["nvs_settings"]
    found = case("settings_long")
    assert found["settings"] > 5000
    assert '"version": 3' in found["nvs_settings"]


def test_a_node_can_be_made_to_forget(case):
    assert case("forgotten") == {"left": []}


def test_after_a_power_cut_in_any_operation_the_files_and_the_key_are_there(case):
    found = case("cuts")
    assert found["problems"] == []
    assert found["cuts"] > 500


def test_a_provisioned_chip_starts_the_watchdog_and_imports_nothing_from_its_flash(chip):
    found = chip("provisioned")
    assert (found["resets"], found["watchdogs"], found["path"]) == (0, [60000], [".frozen"])


def test_a_key_that_a_running_chip_takes_is_copied_to_nvs_at_once(chip):
    assert chip("provisioned")["copied"] == OTHER


def test_a_chip_without_a_key_leaves_a_person_alone(chip):
    found = chip("blank")
    assert (found["resets"], found["watchdogs"], found["key"]) == (0, [], "")
    assert found["path"] == ["", ".frozen", "/lib"]


def test_a_chip_resets_between_the_tries(chip):
    found = chip("spoilt")
    assert (found["resets"], found["key"]) == (2, KEY)
    assert found["watchdogs"] == [60000] * 3


def test_a_chip_that_wakes_from_deep_sleep_writes_nothing(chip):
    found = chip("asleep")
    assert (found["operations"], found["key"], found["path"]) == (0, KEY, [".frozen"])


@pytest.mark.parametrize("name", ["no_partition", "failing"])
def test_whatever_goes_wrong_a_provisioned_chip_has_its_key(chip, name):
    found = chip(name)
    assert (found["resets"], found["key"]) == (0, KEY)


def test_a_chip_without_nvs_has_its_files(chip):
    found = chip("no_nvs")
    assert (found["key"], found["watchdogs"]) == (KEY, [])
