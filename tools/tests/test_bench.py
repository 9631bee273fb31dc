import json
import subprocess
import sys
from pathlib import Path

import pytest


def bench(*words: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "bench", *words, "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return dict(json.loads(done.stdout))


def test_the_wire_costs_less_than_other_formats_on_a_smooth_recording(tmp_path: Path) -> None:
    path = tmp_path / "smooth.csv"
    rows = [
        f"2020-01-01 {minute // 60:02d}:{minute % 60:02d}:00,{20 + minute % 7 / 100:.2f}"
        for minute in range(300)
    ]
    path.write_text("time,level\n" + "\n".join(rows) + "\n")
    found = bench("wire", str(path))
    payload, framed = found["payload_bytes_per_reading"], found["frame_bytes_per_reading"]
    for size in ("10", "60", "240"):
        assert payload["r1"][size] < payload["cbor_arrays"][size] < payload["senml_cbor"][size]
        assert payload["senml_cbor"][size] < payload["json"][size]
    assert all(
        payload[label][size] < framed[label][size] for label in payload for size in payload[label]
    )
    assert 0 < found["entropy_bytes_per_reading"] < payload["r1"]["240"]
    assert found["encode_ratio"]["r1"] == 1
    assert found["decode_readings_per_s"] > 0


def test_digits_that_no_sensor_gives_are_rounded_unless_all_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"{1577836800 + 60 * row},{20 + row / 7:.13f},{row}" for row in range(120)]
    path.write_text("time,long,whole\n" + "\n".join(rows) + "\n")
    usual, exact = bench("wire", str(path)), bench("wire", str(path), "--exact")
    assert [column["exponent"] for column in usual["columns"]] == [-2, 0]
    assert [column["exponent"] for column in exact["columns"]] == [-13, 0]
    sizes = [found["columns"][0]["payload"]["r1"]["60"] for found in (usual, exact)]
    assert sizes[0] < 2 < sizes[1]


@pytest.mark.usefixtures("micropython32")
def test_a_node_keeps_within_its_memory_and_its_flash_and_no_power_cut_does_harm() -> None:
    found = bench("node", "--days", "1")
    assert 0 < found["heap_used_after_start"] <= 40 * 1024 < found["code_bytes"]
    assert (found["failed_allocations"], found["simulated_s"]) == (0, 86400)
    assert found["heap_growth_week"] < 1024
    assert found["encode_ms"] > 0 < found["seal_ms"] < found["ota_verify_ms"]
    assert found["power_cuts_tried"] >= 1000
    assert found["power_cuts_failed"] == 0
    for state in ("journal", "journal_full"):
        assert found[f"{state}_erases_per_batch"] <= 0.2
        assert found[f"{state}_write_amplification"] <= 1.5
        costs = found[f"{state}_write_amplification_by_item_bytes"]
        peers = found["journal_peer_write_amplification_by_item_bytes"]
        assert len(costs) == len(found["journal_item_bytes"])
        assert all(1 < cost < peer for cost, peer in zip(costs, peers, strict=True))
    assert found["journal_erases_per_batch"] < found["journal_peer_erases_per_batch"] / 5
