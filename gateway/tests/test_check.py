from pathlib import Path

from lilong_gateway.check import check
from lilong_gateway.finding import OK, WARNING, Finding

SETTINGS = """\
[gateway]
id = "gw-1"
site = "s1"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = ["/dev/nothing*"]
[uplink]
host = "127.0.0.1"
port = 1
timeout_s = 0.1
"""


def data_finding(folder: Path, more: str) -> Finding:
    keys = folder / "nodes.toml"
    keys.touch(0o600)
    keys.write_text("[keys]\n")
    file = folder / "gateway.toml"
    file.write_text(SETTINGS + more)
    return next(finding for finding in check(file) if finding.what == "data")


def test_a_store_that_may_outgrow_its_disk_is_told_before_it_does(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    found = data_finding(tmp_path, f"[store]\nmax_bytes = {1 << 46}\n")
    assert found.verdict == WARNING
    assert "the store may take 67108864 MiB; free some space, or lower" in found.advice
    assert data_finding(tmp_path, "[store]\nmax_bytes = 33554432\n").verdict == OK
