import json
import subprocess
import sys
from pathlib import Path


def bench(*words: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "bench", *words, "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(json.loads(done.stdout))


def test_the_wire_costs_less_than_senml_on_a_smooth_recording(tmp_path: Path) -> None:
    path = tmp_path / "smooth.csv"
    rows = [f"2020-01-01 00:{minute:02d}:00,{20 + minute / 100:.2f}" for minute in range(60)]
    path.write_text("time,level\n" + "\n".join(rows) + "\n")
    (row,) = bench("wire", str(path))["wire"]
    assert row["readings"] == 60
    assert row["item_bytes"] < row["frame_bytes"] < row["senml_cbor_bytes"]
    assert row["ratio"] > 5


def test_the_gateway_bench_stores_every_batch_it_counts(tmp_path: Path) -> None:
    figures = bench(
        "gateway", "--nodes", "3", "--batches", "20", "--readings", "10", "--folder", str(tmp_path)
    )["gateway"]
    assert figures["batches"] == 60
    assert figures["readings"] == 600
    assert figures["ratio_to_sqlite_alone"] > 0
    assert not list(tmp_path.iterdir())
