"""The unit for systemd, read as systemd reads it."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from lilong_gateway.health.pulse import USUAL_LIMIT_S
from lilong_gateway.leaving import LIMIT_S

UNIT = Path(__file__).parents[1] / "lilong-gateway.service"
EXPOSURE_LIMIT = 2.5
"""systemd-analyze security: below it a service counts as well shut in."""


@pytest.fixture
def unit() -> dict[str, list[str]]:
    """Every setting by its name, in the order of the file."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    """A copy whose program is here, for systemd-analyze."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (on Debian: apt install systemd)")
    text = UNIT.read_text(encoding="utf-8")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text))
    return copy


def test_what_hangs_begins_anew_within_a_minute(unit: dict[str, list[str]]) -> None:
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    watchdog_s, restart_s = float(unit["WatchdogSec"][0]), float(unit["RestartSec"][0])
    assert min(USUAL_LIMIT_S, watchdog_s) + watchdog_s + restart_s < 60
    assert float(unit["TimeoutStopSec"][0]) > LIMIT_S


def test_it_runs_as_nobody_in_particular_and_writes_its_own_folders_only(
    unit: dict[str, list[str]],
) -> None:
    assert unit["User"] == ["lilong"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["StateDirectory"] == ["lilong"]
    assert unit["NoNewPrivileges"] == ["yes"]
    assert "ReadWritePaths" not in unit


def test_serial_ports_and_bluetooth_stay_within_reach(unit: dict[str, list[str]]) -> None:
    assert {"char-ttyUSB rw", "char-ttyACM rw"} <= set(unit["DeviceAllow"])
    assert "PrivateDevices" not in unit
    assert {"AF_UNIX", "AF_BLUETOOTH"} <= set(unit["RestrictAddressFamilies"][0].split())


def test_systemd_finds_nothing_wrong_with_it(analyze: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(analyze)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze cannot verify here: " + done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_well_shut_in(analyze: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(analyze)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip("this systemd-analyze cannot judge a file: " + done.stderr.strip())
    assert float(found[1]) < EXPOSURE_LIMIT
