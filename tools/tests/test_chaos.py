"""The crash campaign of the folder chaos: every harm alone, and gateways of known fault."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("chaos")
FAULTS = ("lost", "duplicated", "not_recovered", "altered", "disordered", "broken")
WRONG = {
    "acknowledge_early": "lost",
    "drop": "lost",
    "double": "duplicated",
    "alter": "altered",
    "misdate": "altered",
    "disorder": "disordered",
    "give_up": "not_recovered",
    "hang": "not_recovered",
}


def campaign(*words: str) -> dict:
    command = [sys.executable, str(CAMPAIGN), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    return {"told": done.stderr, **json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.timeout(240)
def test_after_every_harm_all_that_was_acknowledged_arrives_once_and_in_order(
    mosquitto: Path,
) -> None:
    sums = campaign("--each", "--jobs", "9")
    assert {name: sums[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0), sums["told"]
    assert sums["tracebacks"] == 0, sums["told"]
    assert sums["batches"] > 20 * sums["runs"]
    assert len({label.partition(":")[0] for label in sums["harms"]}) == sums["runs"]


@pytest.mark.timeout(240)
def test_gateways_that_are_wrong_on_purpose_are_found(mosquitto: Path) -> None:
    sums = campaign("--suspects", "--runs", "2", "--jobs", "8")
    found = {name: set() for name in WRONG}
    for outcome in sums["outcomes"]:
        found[outcome["wrong"]] |= {fault for fault in FAULTS if outcome[fault]}
    assert {name: fault for name, fault in WRONG.items() if fault not in found[name]} == {}
    assert sums["broken"] == 0, sums["told"]
