import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lilong_tools.bench.gateway.process import waiting
from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime.cache import Cache
from lilong_tools.runtime.wheels import Peer, Wheels, find_thingsboard_gateway

INGEST = ("--part", "ingest", "--nodes", "3", "--batches", "20", "--trickle", "20")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lilong_tools", "bench", "gateway", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        env={**os.environ, **environment},
    )


def bench(*words: str) -> dict[str, object]:
    return dict(json.loads(run(*words, "--json").stdout))


@pytest.fixture(scope="session")
def peer() -> Path:
    try:
        return find_thingsboard_gateway()
    except ProgramMissingError as error:
        pytest.skip(str(error))


def test_every_batch_that_counts_is_in_the_store_and_cost_bytes(tmp_path: Path) -> None:
    found = bench(*INGEST, "--readings", "10", "--folder", str(tmp_path))
    assert (found["batches"], found["readings"]) == (60, 600)
    assert found["readings_per_s"] == pytest.approx(10 * found["batches_per_s"])
    assert 0 < found["ratio_to_sqlite_alone"] < 1
    written = found["written_bytes_per_reading"]
    assert 0 < written["full_groups"] < written["trickle"]
    assert written["counter"] in {"write_bytes", "wchar"}
    assert "ack_ms" not in found
    assert not list(tmp_path.iterdir())


def test_each_batch_of_a_paced_load_is_acknowledged_by_a_real_gateway() -> None:
    found = bench("--part", "ack", "--sessions", "3", "--rate", "60", "--ack-s", "1")["ack_ms"]
    assert 0 < found["p50"] <= found["p99"] <= found["worst"]
    assert 0 < found["batches_per_s"] <= found["asked_batches_per_s"] == 60
    assert 0 < found["disk_sync_ms"]["p50"] <= found["disk_sync_ms"]["p99"]


@pytest.mark.usefixtures("mosquitto")
def test_the_idle_gateway_knows_every_node() -> None:
    found = bench("--part", "idle", "--registered", "1500", "--idle-s", "1")
    assert found["registered_nodes"] == 1500
    assert found["rss_mb"] > 0 <= found["idle_cpu"]


@pytest.mark.usefixtures("mosquitto")
def test_a_backlog_arrives_at_the_city_whole() -> None:
    found = bench("--part", "replay", "--replay-nodes", "3", "--replay-minutes", "20")
    replay = found["replay"]
    assert (replay["backlog_batches"], replay["city_batches"], replay["lost"]) == (60, 60, 0)
    assert (replay["complete"], replay["aside"]) == (True, 0)
    assert replay["live_batches_per_s"] == 3 / 60
    assert found["replay_ratio"] == pytest.approx(replay["batches_per_s"] / (3 / 60))
    assert 0 < replay["rss_before_mb"] <= replay["rss_peak_mb"]


@pytest.mark.usefixtures("peer")
def test_the_peer_stores_what_it_is_given_and_is_compared() -> None:
    found = bench(*INGEST, "--part", "peer", "--peer-records", "3000")
    peer = found["peer"]
    assert (peer["name"], peer["version"]) == ("thingsboard-gateway", "3.8.5")
    assert (peer["records"], peer["record_bytes"]) == (3000, 167)
    assert 0 < peer["readings_per_s"] < peer["packed_readings_per_s"]
    assert found["ratio_to_peer"] == pytest.approx(
        found["readings_per_s"] / peer["readings_per_s"]
    )
    assert 0 < found["ratio_to_peer_packed"] < found["ratio_to_peer"]


def test_a_peer_that_cannot_be_fetched_is_said_in_one_line(tmp_path: Path) -> None:
    done = run(*INGEST, "--part", "peer", "--json", LILONG_CACHE=str(tmp_path), PIP_NO_INDEX="1")
    found = json.loads(done.stdout)
    assert found["peer"] is None
    assert found["batches"] == 60
    assert "ratio_to_peer" not in found
    (line,) = done.stderr.splitlines()
    assert "thingsboard-gateway could not be fetched" in line


def test_a_person_reads_a_figure_a_line() -> None:
    lines = dict(line.rsplit(maxsplit=1) for line in run(*INGEST).stdout.splitlines())
    assert lines["batches"] == "60"
    assert float(lines["written_bytes_per_reading.trickle"].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ({"store": {"waiting": 7}, "uplink": {"connected": "5"}}, 7),
        ({"store": {}, "uplink": {"city": {"waiting": 3}, "park": {"waiting": 9}}}, 9),
        ({"store": {"waiting": 0}, "uplink": [{"waiting": 4}, {"waiting": 0}]}, 4),
        ({"store": {"trouble": "full"}, "uplink": {"connected": None}}, None),
    ],
)
def test_the_slowest_sink_tells_what_is_left(status: Mapping[str, object], left: int) -> None:
    assert waiting(status) == left


def make_wheel(folder: Path) -> str:
    """Make the package `small`, and return the hash of its wheel."""
    path = folder / "small-1.0-py3-none-any.whl"
    about = "small-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("small.py", "SIZE = 1\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small(folder: Path, digest: str) -> Peer:
    requirements = folder / "small.txt"
    requirements.write_text(f"small==1.0 --hash=sha256:{digest}\n")
    return Peer("small", requirements)


def test_a_peer_is_fetched_once(tmp_path: Path) -> None:
    package = small(tmp_path, make_wheel(tmp_path))
    near = ("--no-index", "--find-links", str(tmp_path))
    folder = Wheels(Cache(tmp_path / "cache"), near).find(package)
    assert (folder / "small.py").read_text() == "SIZE = 1\n"
    assert Wheels(Cache(tmp_path / "cache"), ("--no-index",)).find(package) == folder
    assert not list((tmp_path / "cache").glob("scratch-*"))


def test_a_peer_with_another_hash_is_refused(tmp_path: Path) -> None:
    make_wheel(tmp_path)
    wheels = Wheels(Cache(tmp_path / "cache"), ("--no-index", "--find-links", str(tmp_path)))
    with pytest.raises(ProgramMissingError, match="small could not be fetched"):
        wheels.find(small(tmp_path, "0" * 64))
    assert not (tmp_path / "cache" / "wheels").exists()
