"""Every driver on a node of its own, from its simulated bus to the city."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lilong_tools.city.pack import Record, read_pack
from lilong_tools.demo.plan import driver_nodes
from lilong_tools.drivers.leaflet import leaflets
from lilong_tools.vnode.folder import installed_firmware

BENCHES = installed_firmware().program.parent / "lilong_firmware" / "virtual" / "benches"
SECONDS = 15

# What the benches say of the world, as the city must have it: the first seconds of each curve.
EXPECTED = {
    "a02yyuw": {"distance": (1.4, 1.6)},
    "ads1115": {"a0": (0.5, 2.5), "a2_a3": (0.29, 0.31)},
    "bme280": {"temperature": (19.3, 19.5), "pressure": (101250, 101350), "humidity": (60, 62)},
    "contact": {"closed": (0, 1)},
    "current_loop": {"level": (3.0, 3.3), "current": (0.0119, 0.0127)},
    "ds18b20": {"temperature": (31, 36)},
    "hcsr04": {"distance": (1.8, 1.95)},
    "hx711": {"weight": (1.9, 4.5)},
    "ld2410": {"presence": (0, 1)},
    "lis3dh": {"rms": (0.05, 0.45), "tilt": (0, 0.3)},  # a starved machine samples unevenly
    "modbus": {"level": (2.39, 2.5), "turbidity": (12.3, 12.3)},
    "pir": {"motion": (0, 1)},
    "pulse_counter": {"count": (0, 200), "rain": (0, 0.04)},
    "qmc5883l": {"x": (17e-6, 45e-6), "y": (-4.1e-6, -3.9e-6), "z": (39.9e-6, 40.1e-6)},
    "sht4x": {"temperature": (21.4, 22.5), "humidity": (53, 55.1)},
    "vl53l1x": {"distance": (1.1, 1.25)},
}
SEEN_BOTH = (("contact", "closed"), ("ld2410", "presence"), ("pir", "motion"))


def arrived(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return the values at the city by driver and channel, in the order of their times."""
    names = {plan.eui: plan.label for plan in driver_nodes(BENCHES)}
    found: dict[str, list[Record]] = {}
    with sqlite3.connect(folder / "city.db") as city:
        for eui, payload in city.execute("SELECT eui, payload FROM batch"):
            found.setdefault(names[eui], []).extend(read_pack(payload).records)
    values: dict[str, dict[str, list[float]]] = {}
    for driver, records in found.items():
        for record in sorted(records, key=lambda record: record.time):
            channel = record.name.rpartition(":")[2]
            values.setdefault(driver, {}).setdefault(channel, []).append(float(record.value))
    return values


def test_every_driver_has_a_bench() -> None:
    drivers = {leaflet.name for leaflet in leaflets()}
    assert {path.stem for path in BENCHES.glob("*.json")} == drivers == set(EXPECTED)


def test_each_driver_reads_its_chip_in_the_vm_and_the_city_has_the_readings(
    tmp_path: Path, micropython: Path
) -> None:
    work = tmp_path / "demo"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lilong_tools", "demo", "--drivers", "--json"),
            *("--seconds", str(SECONDS), "--keep", str(work)),
        ],
        env={**os.environ, "LILONG_MICROPYTHON": str(micropython)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["lost"] == report["duplicated"] == report["mismatched"] == 0
    values = arrived(work)
    for driver, channels in EXPECTED.items():
        assert values[driver]["status"][-1] == 0, driver
        for channel, (low, high) in channels.items():
            seen = values[driver][channel]
            assert len(seen) > 2, (driver, channel)
            assert low <= min(seen) <= max(seen) <= high, (driver, channel, seen)
    for driver, channel in SEEN_BOTH:
        assert set(values[driver][channel]) == {0, 1}, driver


@pytest.mark.parametrize("words", [["--nodes", "3"], ["--replay", "a.csv"]])
def test_drivers_exclude_scenarios_and_recordings(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,value\n1527825600,1\n1527825601,2\n")
    done = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "demo", "--drivers", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--drivers" in done.stderr
