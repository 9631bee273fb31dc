import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pushed_node import Maker, PushedNode
from yard import EUI, KEY, NOW_MS, Yard, serving

from lilong_gateway.config import Downlink as Settings
from lilong_gateway.downlink.ledger import REFUSED
from lilong_gateway.downlink.retry import wish
from lilong_gateway.keys import KeyRing
from lilong_gateway.store.records import Attempt
from lilong_protocol.request import APPLY, FAILED, STATUS, UNKNOWN

Eventually = Callable[[Callable[[], object]], Any]
FILES = {"a.mpy": os.urandom(20_000), "b.mpy": b"b", "c.mpy": os.urandom(3000)}
NEW = bytes(range(16, 32))
OTHER = bytes.fromhex("0a1b2c3d4e5f6072")


class Street:
    """An operator's folders, and nodes that can be pushed to."""

    def __init__(self, folder: Path, make_node: Any) -> None:
        self.folder = folder
        self.maker = Maker()
        self.settings = Settings(
            updates=folder / "updates",
            configurations=folder / "configurations",
            keys=(self.maker.public,),
        )
        self.settings.updates.mkdir()
        self.settings.configurations.mkdir()
        self._make_node = make_node

    def node(self, eui: bytes = EUI) -> tuple[Any, PushedNode]:
        pushed = PushedNode(self.maker.public)
        node = self._make_node(KEY, eui=eui, answer=pushed.answer)
        pushed.restart = node.restart
        return node, pushed

    def yard(self, *nodes: Any, keys: KeyRing | None = None) -> Yard:
        ring = KeyRing({EUI: [KEY], OTHER: [KEY]}) if keys is None else keys
        ports = [node.port for node in nodes]
        yard = Yard(self.folder, *ports, keys=ring, settings=self.settings)
        yard.clock.offset_ms = NOW_MS
        return yard

    def bundle(self, sequence: int) -> Path:
        path = self.settings.updates / f"{sequence}.lilong"
        return self.maker.bundle(path, sequence, FILES)

    def configure(self, text: str, eui: bytes = EUI) -> None:
        (self.settings.configurations / f"{eui.hex()}.json").write_text(text)


@pytest.fixture
def street(tmp_path: Path, make_node: Any) -> Street:
    return Street(tmp_path, make_node)


async def look(yard: Yard) -> None:
    """Let the watch see what lies there, and that it rests."""
    for _ in range(2):
        await yard.watch.look()


async def refusal(yard: Yard) -> Attempt:
    """Return what the store holds of a refusal; it is on disk a little after it is counted."""
    async with asyncio.timeout(30):
        while True:
            for attempt in await yard.store.attempts():
                if attempt.outcome == REFUSED:
                    return attempt
            await asyncio.sleep(0.01)


async def test_an_update_reaches_the_node_and_is_known_to_run_and_batches_go_on(
    street: Street, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    node, pushed = street.node()
    street.bundle(7)
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        while pushed.slot != FILES:
            node.fill(1)
            await asyncio.sleep(0.02)
        await eventually(lambda: yard.downlink.node_status(EUI)["runs"]["sequence"] == 7)
        assert yard.downlink.status()["done"] == 1
        await eventually(lambda: node.session.idle)
        assert await yard.rows() == [(7, seq) for seq in range(node.outbox.next(2))]
    said = [each.message for each in caplog.records if each.message.startswith("update")]
    assert [line.split(" eui")[0] for line in said] == [
        "update begins",
        "update applied",
        "update is in force",
    ]
    assert pushed.asked.count(APPLY) == 1


async def test_a_push_that_loses_sessions_goes_on_and_ends_with_the_exact_bytes(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    street.bundle(7)
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        for part in range(1, 5):
            await eventually(lambda part=part: len(pushed.asked) > 5 * part)
            pushed.lose_power()
            node.restart()
            await eventually(lambda: node.session.state < 2)
        await eventually(lambda: pushed.slot == FILES)
    # At most the piece that was under way is sent twice.
    total = sum(map(len, pushed._inbox.values()))
    assert total - 4 * 960 <= yard.downlink.status()["bytes"] <= total + 4 * 960


async def test_a_restart_of_the_gateway_amid_a_push_goes_on_where_the_node_is(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    street.bundle(7)
    first = street.yard(node)
    async with serving(first, node):
        await look(first)
        await eventually(lambda: len(pushed.asked) > 15)
        held = sum(map(len, pushed._inbox.values()))
    second = street.yard(node)
    async with serving(second, node):
        await look(second)
        await eventually(lambda: pushed.slot == FILES)
        total = sum(map(len, pushed._inbox.values()))
        assert second.downlink.status()["bytes"] <= total - held + 960


async def test_a_configuration_comes_before_an_update(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    street.bundle(7)
    street.configure('{"version": 2, "x": 1}')
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        await eventually(lambda: pushed.configuration == b'{"version": 2, "x": 1}')
        assert pushed.sequence == 0
        await eventually(lambda: pushed.sequence == 7)
        await eventually(lambda: yard.downlink.status()["done"] == 2)
        street.configure('{"version": 3, "bad": 1}')
        await look(yard)
        await eventually(lambda: yard.downlink.status()["refused"] == 1)
        assert pushed.configuration == b'{"version": 2, "x": 1}'
        assert (await refusal(yard)).why == "bad: means nothing here"


async def test_a_failure_outlives_a_restart_and_is_tried_again_when_a_person_asks(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    pushed.keeps = False
    street.bundle(7)
    first = street.yard(node)
    async with serving(first, node):
        await look(first)
        await eventually(lambda: first.downlink.status()["failed"] == 1)
    second = street.yard(node)
    async with serving(second, node):
        await look(second)
        await eventually(lambda: second.downlink.counters.told == 1)
        await asyncio.sleep(1.5)
        assert pushed.asked.count(APPLY) == 1
        pushed.keeps = True
        wish(street.folder / "data", EUI)
        await look(second)
        await eventually(lambda: pushed.sequence == 7)
        assert not list((street.folder / "data").glob("retry-*"))


async def test_firmware_that_knows_no_status_is_left_alone(
    street: Street, make_node: Any, eventually: Eventually
) -> None:
    asked = []

    def answer(method: int, _body: bytes) -> tuple[int, bytes]:
        asked.append(method)
        return UNKNOWN, b""

    node = make_node(KEY, answer=answer)
    street.bundle(7)
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        await eventually(lambda: asked)
        await asyncio.sleep(1.5)
        assert asked == [STATUS]
        assert yard.downlink.node_status(EUI) == {"runs": None, "push": None}


async def test_a_node_that_fails_for_now_is_not_pressed(
    street: Street, make_node: Any, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    pushed = PushedNode(street.maker.public)
    failed = []

    def answer(method: int, body: bytes) -> tuple[int, bytes]:
        if method == STATUS:
            return pushed.answer(method, body)
        failed.append(method)
        return FAILED, b"flash"

    node = make_node(KEY, answer=answer)
    street.bundle(7)
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        await eventually(lambda: failed)
        await asyncio.sleep(1.5)
        assert len(failed) == 1
        assert yard.downlink.plan.places.count == 0
    assert "update waits" in caplog.text
    assert "why=flash" in caplog.text


async def test_a_key_moves_before_an_update_and_neither_is_lost(
    street: Street, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    node, pushed = street.node()
    street.bundle(7)
    keys = KeyRing({EUI: [KEY]})
    yard = street.yard(node, keys=keys)
    async with serving(yard, node):
        await look(yard)
        await eventually(lambda: len(pushed.asked) > 10)
        keys.take(KeyRing({EUI: [KEY, NEW]}))
        await eventually(lambda: node.keys.current == NEW)
        assert pushed.sequence == 0
        await eventually(lambda: pushed.sequence == 7)
    assert "node has its new key" in caplog.text


async def test_a_bundle_that_is_taken_away_is_pushed_no_further(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    path = street.bundle(7)
    yard = street.yard(node)
    async with serving(yard, node):
        await look(yard)
        await eventually(lambda: len(pushed.asked) > 5)
        path.unlink()
        await yard.watch.look()
        await eventually(lambda: yard.downlink.node_status(EUI)["push"] is None)
        count = len(pushed.asked)
        await asyncio.sleep(1.5)
        assert len(pushed.asked) <= count + 1
        assert pushed.sequence == 0


async def test_the_second_node_waits_for_the_first_to_keep_it(
    street: Street, eventually: Eventually
) -> None:
    first, one = street.node()
    second, two = street.node(OTHER)
    street.bundle(7)
    yard = street.yard(first, second)
    starts = []

    def both_started() -> bool:
        for pushed in (one, two):
            if pushed not in starts and len(pushed._inbox) > 0:
                starts.append(pushed)
                if len(starts) == 2:
                    assert starts[0].sequence == 7
        return len(starts) == 2

    async with serving(yard, first, second):
        await look(yard)
        await eventually(both_started)
        await eventually(lambda: one.sequence == two.sequence == 7)


async def test_what_is_being_pushed_is_told_in_percent(
    street: Street, eventually: Eventually
) -> None:
    node, pushed = street.node()
    street.bundle(7)
    yard = street.yard(node)
    seen = []

    def watch() -> bool:
        push = yard.downlink.node_status(EUI)["push"]
        seen.extend([] if push is None else [(push["what"], push["sequence"], push["percent"])])
        return pushed.sequence == 7

    async with serving(yard, node):
        await look(yard)
        await eventually(watch)
    assert {entry[:2] for entry in seen} == {("update", 7)}
    percents = [entry[2] for entry in seen]
    assert percents == sorted(percents)
    assert percents[0] < 40 < percents[-1] <= 100


async def test_what_stands_in_the_way_of_the_watch_is_said_once_and_stops_nothing_else(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    street.bundle(7)
    (street.settings.updates / "8.lilong").write_bytes(b"PK")
    yard = street.yard()
    async with serving(yard):
        await yard.store.open()
        (street.folder / "data" / f"retry-{EUI.hex()}").mkdir()
        for _ in range(3):
            await look(yard)
        assert [update.sequence for update in yard.downlink.plan.shelf.updates] == [7]
        assert caplog.text.count("downlink waits") == 1
        assert caplog.text.count("8.lilong is damaged") == 1


async def test_nothing_is_offered_before_it_is_known_what_failed_earlier(
    street: Street, tmp_path: Path
) -> None:
    street.bundle(7)
    (tmp_path / "data").write_text("a file in the way")
    yard = street.yard()
    await look(yard)
    assert yard.downlink.plan.shelf.updates == ()
    (tmp_path / "data").unlink()
    await look(yard)
    assert [update.sequence for update in yard.downlink.plan.shelf.updates] == [7]
    await yard.store.close()
