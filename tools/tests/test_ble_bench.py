import json
import subprocess
import sys

import pytest

KEYS = {
    "nodes",
    "slots",
    "round_s",
    "alarm_ms",
    "goodput_ratio",
    "adverts_per_s",
    "cpu_ratio",
}


@pytest.mark.usefixtures("micropython32")
def test_a_small_round_loses_and_doubles_nothing_and_gives_every_figure() -> None:
    options = ["--nodes", "3", "--slots", "1", "--kilobytes", "30", "--listen", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "bench", "ble", *options, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.keys() >= KEYS
    assert (found["nodes"], found["slots"]) == (3, 1)
    assert (found["lost"], found["duplicated"], found["waiting"]) == (0, 0, 0)
    assert found["readings"] > 3 * 700
    assert found["backlog_batches"] >= 3 * 12
    assert found["round_s"] > 0
    assert found["alarm_ms"].keys() == {"p50", "p99"}
    assert found["alarms_unheard"] == 0
    assert found["visits"]["drained"] >= 3
    assert 0 < found["goodput_ratio"] < 1.05
    assert 30_000 * 0.8 < found["goodput_item_bytes"] < found["goodput_link_bytes"]
    assert 0 < found["adverts_per_s"] < 1.2 * found["adverts_offered_per_s"]
    assert 0 < found["cpu_ratio"] < 1
