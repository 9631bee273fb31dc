import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lilong_tools.__main__ import main
from lilong_tools.energy.book import Assumptions, read_scenarios
from lilong_tools.energy.command import CHIP
from lilong_tools.energy.model import (
    DAY_S,
    PARTS,
    Cell,
    Chip,
    Costs,
    Load,
    Sensor,
    day_mah,
    fits,
    life_days,
    sends_a_day,
    wakes_a_day,
)
from lilong_tools.energy.power import drivers_folder, sensor_of
from lilong_tools.errors import ToolError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/energy.md"
PROBE = Sensor("probe", "probe", on_ua=1000, on_ms=100, off_ua=2)
RADAR = Sensor("radar", "", on_ua=80000, on_ms=None, off_ua=80000)
THING = Chip(sleep_ua=10, active_ma=50, radio_ma=30, boot_ms=50, boot_mc=2)
SIMPLE = Costs(
    board_ua=5,
    mount_ms=300,
    mount_mc=20,
    code_ms=50,
    start_s=1,
    find_s=2,
    session_s=1,
    linger_s=1,
    reading_b=2,
    overhead_b=760,
    throughput_b_s=1000,
    room_b=1700,
    round_b=1,
    value_b=1,
)
HOURLY = Load(
    mains=False, sample_s=60, report_s=3600, channels=2, events_a_day=0, sensors=(PROBE,)
)


def loads():
    return [scenario.load for scenario in read_scenarios(drivers_folder())]


def test_the_example_that_was_computed_by_hand():
    found = day_mah(HOURLY, THING, SIMPLE)
    # 1440 wakes of 50 + 300 + 50 + 100 ms = 720 s. 24 reports of 1 + 2 + 1 + 1 s and 760 bytes and
    # 60 * 2 readings of 2 bytes at 1000 a second = 6 s: 144 s. So 85536 s of sleep.
    sleep_mah = (10 * 85536 + 5 * 86400) / 1000 / 3600
    # 2 + 20 mC, and 150 ms at 50 mA.
    wake_mah = 1440 * (22 + 7.5) / 3600
    # 144 s at 1 mA, and the rest of the day at 2 uA.
    sensors_mah = (144 * 1 + 86256 * 0.002) / 3600
    # 6 s at 50 mA, 5 of them with 30 more.
    send_mah = 24 * (6 * 50 + 5 * 30) / 3600
    assert found == pytest.approx(
        {"sleep": sleep_mah, "wake": wake_mah, "sensors": sensors_mah, "send": send_mah}
    )
    assert sum(found.values()) == pytest.approx(0.3576 + 11.8 + 0.08792 + 3.0, rel=1e-4)
    assert fits(HOURLY, THING, SIMPLE)


def test_a_node_on_the_mains_takes_its_whole_current_all_day():
    found = day_mah(replace(HOURLY, mains=True, sensors=(RADAR,)), THING, SIMPLE)
    assert found == pytest.approx(
        {"sleep": 0, "wake": 24 * 50.005, "sensors": 24 * 80, "send": 24 * 30}
    )


def test_a_cell_lasts_as_long_as_its_usable_charge_and_loses_some_by_itself():
    cell = Cell(rated_mah=3040, usable=0.8, self_discharge=0.02)
    assert life_days(10.16, cell) == pytest.approx(2432 / (10.16 + 2))
    assert life_days(0.0, cell) == pytest.approx(1216)


@pytest.mark.parametrize("chip", Assumptions().chips)
def test_the_time_of_a_day_is_shared_out_and_no_part_is_negative(chip):
    book = Assumptions()
    for load in loads():
        parts = day_mah(load, book.chip(chip), book.costs())
        assert tuple(parts) == PARTS
        assert min(parts.values()) >= 0
        assert sum(parts.values()) > 0


def test_a_longer_interval_never_costs_more():
    book = Assumptions()
    chip, costs = book.chip(CHIP), book.costs()
    for load in loads():
        for key in ("sample_s", "report_s"):
            costly = [
                sum(day_mah(replace(load, mains=False, **{key: value}), chip, costs).values())
                for value in (10, 30, 60, 300, 3600, 86400)
            ]
            assert costly == sorted(costly, reverse=True)


def test_a_full_memory_is_sent_although_no_report_is_due():
    rare = replace(HOURLY, report_s=DAY_S * 30)
    assert sends_a_day(rare, SIMPLE) == pytest.approx(1440 / (1700 // 3))
    assert sends_a_day(HOURLY, SIMPLE) == 24


def test_an_event_costs_a_wake_and_a_report():
    eventful = replace(HOURLY, events_a_day=7)
    assert wakes_a_day(eventful) == 1447
    assert sends_a_day(eventful, SIMPLE) == 31


def test_a_day_that_is_too_short_for_its_rounds_is_told():
    assert not fits(replace(HOURLY, sample_s=0.4), THING, SIMPLE)
    assert fits(replace(HOURLY, sample_s=0.4, mains=True), THING, SIMPLE)


def test_there_are_27_scenarios_in_their_order_each_with_a_sensor():
    scenarios = read_scenarios(drivers_folder())
    assert [each.number for each in scenarios] == list(range(1, 28))
    assert len({each.name for each in scenarios}) == 27
    assert all(each.load.sensors for each in scenarios)


def test_hardware_without_a_driver_is_told():
    scenarios = {each.number: each for each in read_scenarios(drivers_folder())}
    for scenario in scenarios.values():
        missing = {sensor.name for sensor in scenario.load.sensors if not sensor.driver}
        assert {f"no driver: {name}" for name in missing} <= set(scenario.remarks)
    assert "no driver: 60 GHz radar" in scenarios[3].remarks


def test_every_driver_tells_its_power():
    paths = [path for path in drivers_folder().glob("[a-z]*.py") if path.stem != "__init__"]
    assert len(paths) > 5
    assert all(sensor_of(path.stem, path.parent) is not None for path in paths)


def test_the_power_of_a_driver_is_read_from_its_docstring(tmp_path):
    text = '"""A thing.\n\nPower: 320 uA for 8.3 ms a measurement, 0.08 uA asleep\n"""\n'
    (tmp_path / "thing.py").write_text(text)
    assert sensor_of("thing", tmp_path) == Sensor("thing", "thing", 320, 8.3, 0.08)
    (tmp_path / "thing.py").write_text('"""A thing.\n\nPower: 79000 uA always\n"""\n')
    assert sensor_of("thing", tmp_path) == Sensor("thing", "thing", 79000, None, 79000)
    (tmp_path / "thing.py").write_text('"""A thing.\n\nPower: little\n"""\n')
    with pytest.raises(ToolError, match="does not tell its power"):
        sensor_of("thing", tmp_path)
    assert sensor_of("nothing", tmp_path) is None


def test_a_scenario_that_names_a_driver_which_is_not_there_is_refused(tmp_path):
    with pytest.raises(ToolError, match="which is not there"):
        read_scenarios(tmp_path)


def test_a_switched_supply_saves_what_runs_always():
    book = Assumptions()
    always, switched = (
        [
            day_mah(each.load, book.chip(CHIP), book.costs())
            for each in read_scenarios(folder, **how)
        ]
        for folder, how in ((drivers_folder(), {}), (drivers_folder(), {"switched": True}))
    )
    assert all(b["sensors"] <= a["sensors"] for a, b in zip(always, switched, strict=True))
    assert switched[22]["sensors"] < always[22]["sensors"] / 20


def test_every_assumption_says_its_unit_and_where_it_comes_from():
    book = Assumptions()
    for chip in book.chips:
        for one in book.all(chip):
            assert one.value > 0, one.name
            assert one.unit, one.name
            assert re.match(
                r"(datasheets?|published|estimate|measured|setting|DESIGN|lilong_firmware)\b",
                one.source,
            ), one.name


def test_the_room_for_rounds_is_that_of_the_firmware():
    (room,) = [one for one in Assumptions().all(CHIP) if one.name == "buffer.room"]
    text = (ROOT / "firmware/lilong_firmware/sleep/retained.py").read_text("utf-8")
    assert f"    {room.value:g} " in text


def test_the_page_holds_what_the_model_computes(capsys):
    text = PAGE.read_text("utf-8")
    for words in ([], ["--switched"]):
        assert main(["energy", "--markdown", *words]) == 0
        table, assumed = capsys.readouterr().out.split("\n\n")
        assert len(table.splitlines()) == 29
        assert table in text
        assert assumed in text


def test_the_command_prints_the_table_and_says_that_nothing_was_measured(capsys):
    assert main(["energy"]) == 0
    text = capsys.readouterr().out
    assert len(re.findall(r"^\d+ ", text, re.MULTILINE)) == 27
    assert "nothing was measured on hardware" in text
    assert "wake.mount_charge = 23.6 mC" in text


def test_the_command_prints_one_scenario_as_json_with_other_intervals(capsys):
    words = ["--scenario", "13", "--json", "--battery-mah", "19000", "--sample-s", "600"]
    assert main(["energy", *words, "--report-s", "7200", "--chip", "esp32c3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"] is False
    (one,) = found["scenarios"]
    assert (one["number"], one["sample_s"], one["report_s"]) == (13, 600, 7200)
    assert sum(one["parts_mah"].values()) == pytest.approx(one["mah_a_day"], abs=1e-3)
    assert one["most_for"] == max(one["parts_mah"], key=one["parts_mah"].get)
    assert {"value", "unit", "source"} == set(found["assumptions"]["chips.esp32c3.sleep"])
    assert main(["energy", "--scenario", "13", "--json"]) == 0
    (other,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert other["days"] < one["days"] / 5


def test_a_scenario_on_the_mains_can_be_computed_for_a_battery(capsys):
    assert main(["energy", "--scenario", "17", "--battery", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert one["supply"] == "battery"
    assert one["days"] > 300


def test_a_scenario_that_is_none_is_refused(capsys):
    assert main(["energy", "--scenario", "28"]) == 2
    assert "there is no scenario 28" in capsys.readouterr().err
