import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bleak
import pytest
from yard import NOW_MS, Yard, backoff

from lilong_gateway.config_links import Ble
from lilong_gateway.keys import KeyRing
from lilong_gateway.radio.listener import Listener
from lilong_gateway.radio.rounds import Premises, Rounds
from lilong_tools.radio.air import Air
from lilong_tools.radio.backend import install
from lilong_tools.radio.fleet import Fleet
from lilong_tools.radio.model import RadioModel

# The node on paper lies beside the tests of the bench.
sys.path.append(str(Path(__file__).parents[2] / "tools" / "tests"))
from ble_node import BleNode

Eventually = Callable[[Callable[[], object]], Any]
KEY = bytes(range(16))
EUI = bytes.fromhex("02004c494c4f0001")
FAST_MS = 7.5


class Place:
    """The rounds of a gateway in this process, and one node."""

    def __init__(self, folder: Path, air: Air, fleet: Fleet) -> None:
        self.air = air
        self.node = BleNode(air, "node", EUI, KEY)
        self.yard = Yard(folder, keys=KeyRing({EUI: [KEY]}))
        around = self.yard.around
        listener = Listener(
            around.keys, around.proofs, around.roster, around.store, around.ingest, around.clock
        )
        self.given_up: list[str] = []
        premises = Premises(
            self.yard.supervisor,
            backoff,
            random.Random(1).random,
            fleet.recover,
            lambda: True,
            self.given_up.append,
        )
        self.rounds = Rounds(Ble(("hci0",)), around, listener, premises)

    @property
    def ble(self) -> dict[str, Any]:
        return self.rounds.status()

    def stored(self) -> int:
        return self.yard.ingest.counters.batches


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    before = dict(vars(bleak))
    air = Air(RadioModel(interval_ms=FAST_MS), seed=1)
    port = await air.serve("hci0")
    fleet = install({"hci0": port.address}, (FAST_MS, FAST_MS))
    place = Place(tmp_path, air, fleet)
    await place.yard.store.open()
    async with at_work(place.node.run, place.yard.ingest.run, place.rounds.run):
        yield place
    await fleet.close()
    await port.close()
    await place.yard.store.close()
    vars(bleak).update(before)
    assert place.yard.supervisor.failures == {}


@asynccontextmanager
async def at_work(*duties: Callable[[], Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(duty()) for duty in duties]
    try:
        yield
        assert not any(task.done() for task in tasks), tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_full_disk_ends_visits_and_begins_none_and_loses_nothing(
    place: Place, eventually: Eventually
) -> None:
    node, yard = place.node, place.yard
    await eventually(lambda: node.open)
    yard.store.full = True
    for _ in range(50):
        node.say()
    await eventually(lambda: yard.ingest.trouble is not None)
    await eventually(lambda: node.connection is None)
    visits = node.visits
    node.say(stream=0, count=2)
    await asyncio.sleep(1.5)
    assert (node.visits, node.waiting) == (visits, 51)
    yard.store.full = False
    await eventually(lambda: not node.waiting)
    assert yard.ingest.counters.duplicates == 0
    assert sorted(seq for _, seq in await yard.rows()) == [0, *range(50)]


async def test_a_clock_that_is_set_amid_a_visit_begins_the_session_anew_and_loses_nothing(
    place: Place, eventually: Eventually
) -> None:
    node = place.node
    for number in range(3):
        for _ in range(200):
            node.say()
        await eventually(lambda: node.open)
        place.yard.clock.offset_ms = NOW_MS + number * 60_000
    await eventually(lambda: not node.waiting)
    assert len(await place.yard.rows()) == 600
