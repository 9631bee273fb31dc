import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from sink_site import DESCRIPTION, Eventually, batches, city, fill, running, several

from lilong_gateway.config import Uplink as Settings
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.formats.canonical import Canonical
from lilong_gateway.uplink.guarded import Guarded
from lilong_gateway.uplink.message import Message


def sink(port: int, name: str, **options: Any) -> Settings:
    options = {"format": "senml+json", "timeout_s": 1.0, "prefix": name} | options
    return Settings("127.0.0.1", port, name=name, **options)


async def test_a_sink_that_cannot_be_reached_does_not_hold_up_another(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    callers = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(await reader.read(1))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(hang, "127.0.0.1", 0)
    deaf_port = listener.sockets[0].getsockname()[1]
    sinks = [sink(1, "gone"), sink(deaf_port, "deaf", timeout_s=0.2), sink(free_port, "alive")]
    async with several(tmp_path, sinks) as site, city(site, free_port, "alive"):
        await site.put(DESCRIPTION, *batches(0, 500))
        await eventually(lambda: site.sink("alive").confirmed == 500)
        await eventually(lambda: callers and site.sink("gone").trouble)
        assert [one.confirmed for one in site.uplinks.sinks] == [0, 0, 500]
        await site.put(*batches(500, 1))
        await eventually(lambda: site.sink("alive").confirmed == 501)
        await eventually(lambda: site.sink("gone").waiting == 501)
        assert site.positions == list(range(1, 502))
        status = site.uplinks.status()
        assert list(status) == ["gone", "deaf", "alive"]
        assert status["alive"]["waiting"] == 0
        assert status["gone"]["connected"] is None
    listener.close()


async def test_each_sink_goes_on_at_its_own_cursor_after_a_restart(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    async with several(tmp_path, [sink(free_port, "one")]) as site:
        await site.put(DESCRIPTION, *batches(0, 20))
        full_broker(free_port)
        await eventually(lambda: site.sink("one").confirmed == 20)
    both = [sink(free_port, "one"), sink(free_port, "two"), sink(free_port, "new", start="now")]
    async with several(tmp_path, both) as site:
        await eventually(lambda: site.sink("two").confirmed == 20)
        await eventually(lambda: site.sink("new").connected)
        await site.put(*batches(20, 1))
        await eventually(lambda: [one.confirmed for one in site.uplinks.sinks] == [1, 21, 1])


async def test_a_sink_for_alarms_alone_reads_nothing_else_and_counts_as_delivered(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    await fill(tmp_path, DESCRIPTION, *batches(0, 1000))
    alarms = sink(free_port, "alarms", streams=frozenset({0}))
    async with several(tmp_path, [alarms]) as site, city(site, free_port, "alarms"):
        await site.put(*batches(0, 2, stream=0), *batches(1000, 50))
        await eventually(lambda: site.sink("alarms").confirmed == 2)
        await eventually(lambda: site.sink("alarms").waiting == 0)
        await eventually(lambda: site.positions == [1001, 1002])
        assert site.sink("alarms").filters.filtered == 0
    store = Store(tmp_path, ["alarms"])
    assert [cursor.done for cursor in (await store.open_sink("alarms")).cursors] == [1052, 1052]
    await store.close()


async def test_the_state_of_the_gateway_is_told_once_connected(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    async with running(tmp_path, free_port) as site, city(site, free_port):
        await eventually(lambda: "lilong/s/g/health" in site.topics)


async def test_what_the_city_cannot_read_is_done_and_kept_for_a_person(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    async with running(tmp_path, free_port, confirm="city") as site, city(site, free_port):
        await site.put(DESCRIPTION, *batches(0, 3))
        await eventually(lambda: len(site.received) == 3)
        store_id = (await site.store.open_sink("city")).store_id
        await site.say(
            free_port, {"store": store_id, "positions": [[1, 1]], "refused": [[2, 3], [9, 9]]}
        )
        await eventually(lambda: site.uplink.counters.refused == 2)
        await eventually(lambda: site.uplink.waiting == 0)
        assert site.uplink.confirmed == 1
    store = Store(tmp_path)
    assert (await store.summary()).quarantined == 2
    assert (await store.open_sink("city")).cursors[1].done == 3
    await store.close()


class Choosy(Canonical):
    """Fails at batches whose number ends in 7, as no format should."""

    def messages(self, batches: Any) -> Any:
        for batch in batches:
            if batch.batch.endswith("7"):
                raise ValueError(batch.batch)
        return super().messages(batches)


class Dumb(Canonical):
    """Fails at everything but batches."""

    def begin(self) -> Any:
        raise RuntimeError("begin")

    def subscriptions(self) -> Any:
        raise RuntimeError("subscriptions")

    def health(self, *_state: Any) -> Any:
        raise RuntimeError("health")


def use(site: Any, form: Any) -> None:
    """Give a sink that has not begun another format."""
    site.uplink._means = replace(site.uplink._means, form=Guarded(form, "city"))


async def test_a_batch_that_a_format_fails_at_is_set_aside_and_the_rest_is_delivered(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    await fill(tmp_path, DESCRIPTION, *batches(0, 1000))
    async with running(tmp_path, free_port) as site:
        use(site, Choosy("lilong/s/g", "senml+json"))
        full_broker(free_port)
        async with city(site, free_port):
            await eventually(lambda: site.uplink.waiting == 0)
            assert (site.uplink.confirmed, site.uplink.counters.unformattable) == (900, 100)
            await eventually(lambda: len(site.positions) >= 900)
            assert set(site.positions) == {pos for pos in range(1, 1001) if pos % 10 != 8}
    store = Store(tmp_path)
    assert (await store.summary()).quarantined == 100
    await store.close()


async def test_a_format_that_fails_at_all_else_still_delivers(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    async with running(tmp_path, free_port) as site:
        use(site, Dumb("lilong/s/g", "senml+json"))
        full_broker(free_port)
        await site.put(DESCRIPTION, *batches(0, 3))
        await eventually(lambda: site.uplink.confirmed == 3)


class Reticent(Canonical):
    """Has something to say of every second batch only."""

    def messages(self, batches: Any) -> list[Message]:
        return list(super().messages([batch for batch in batches if batch.pos % 2]))


async def test_batches_of_which_a_format_says_nothing_are_delivered(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    async with running(tmp_path, free_port) as site:
        use(site, Reticent("lilong/s/g", "senml+json"))
        full_broker(free_port)
        async with city(site, free_port):
            await site.put(DESCRIPTION, *batches(0, 20))
            await eventually(lambda: site.uplink.waiting == 0)
            await eventually(lambda: site.positions == list(range(1, 21, 2)))
