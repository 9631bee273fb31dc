import json
import os
import subprocess
import sys

import pytest

from lilong_gateway.config import load_config
from lilong_tools.city.address import Address
from lilong_tools.demo.ether import ADAPTER
from lilong_tools.demo.gateway import write_gateway
from lilong_tools.demo.plan import over_links, scenario_nodes
from lilong_tools.vnode.folder import installed_firmware


def demo(folder, micropython, *words):
    done = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "demo", "--json", *words],
        capture_output=True,
        check=False,
        timeout=200,
        env={**os.environ, "LILONG_MICROPYTHON": str(micropython), "TMPDIR": str(folder)},
    )
    return done.returncode, json.loads(done.stdout or b"null"), done.stderr.decode()


def plans(count):
    return scenario_nodes(installed_firmware().program.parent / "lilong_firmware/scenarios", count)


def test_the_demo_over_ble_delivers_all_and_reports_as_the_serial_one_does(tmp_path, micropython):
    status, serial, told = demo(tmp_path, micropython, "--nodes", "2", "--seconds", "3")
    assert status == 0, told
    status, ble, told = demo(tmp_path, micropython, "--nodes", "2", "--seconds", "6", "--ble")
    assert status == 0, told
    assert list(ble) == list(serial)
    assert ble["readings_delivered"] == ble["readings_sampled"] > 0
    assert (ble["lost"], ble["duplicated"], ble["mismatched"], ble["restarts"]) == (0, 0, 0, 0)
    assert ble["link_bytes"] > 0


def test_links_can_be_mixed(tmp_path, micropython):
    words = ("--nodes", "2", "--seconds", "6", "--links", "ble,serial")
    status, report, told = demo(tmp_path, micropython, *words)
    assert status == 0, told
    assert report["readings_delivered"] == report["readings_sampled"] > 0


def test_the_gateway_is_told_of_the_links_that_there_are(tmp_path):
    for links, ports, adapters in (
        (["ble"], 0, (ADAPTER,)),
        (["serial"], 1, ()),
        (["ble", "serial"], 1, (ADAPTER,)),
    ):
        folder = tmp_path / "-".join(links)
        folder.mkdir()
        mixed = over_links(plans(2), links)
        config = load_config(write_gateway(folder, mixed, Address("::1", 1883), "json", "demo"))
        assert (len(config.ports), config.ble.adapters) == (ports, adapters)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--links", "wifi"), "wifi is none of ble, serial and ble,serial"),
        (("--ble", "--links", "serial"), "exclude each other"),
    ],
)
def test_links_that_cannot_be_are_refused(tmp_path, micropython, words, why):
    status, _, told = demo(tmp_path, micropython, *words)
    assert status == 2
    assert why in told
