import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from sink_site import DESCRIPTION, Eventually, Unset, batches, city, running

from lilong_gateway.store.store import Store


async def test_batches_arrive_over_a_broker_of_the_old_version(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    plain_broker(free_port)
    async with running(tmp_path, free_port) as site, city(site, free_port):
        await site.put(DESCRIPTION, *batches(0, 100))
        await eventually(lambda: site.uplink.confirmed == 100)
        await eventually(lambda: len(site.received) == 100)
        assert site.uplink.connected == "3.1.1"
        assert site.positions == list(range(1, 101))
        await site.put(*batches(100, 1))
        await eventually(lambda: len(site.received) == 101)


async def test_batches_and_status_arrive_over_mqtt_5(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    async with running(tmp_path, free_port, window=8) as site, city(site, free_port):
        await site.put(DESCRIPTION, *batches(0, 100))
        await eventually(lambda: site.uplink.confirmed == 100)
        await eventually(lambda: len(site.received) == 100)
        assert site.uplink.connected == "5"
        assert site.positions == list(range(1, 101))
    async with aiomqtt.Client("127.0.0.1", free_port) as client:
        await client.subscribe("lilong/s/g/status")
        message = await anext(aiter(client.messages))
        assert message.payload == b"offline"


async def test_a_private_value_is_nowhere_in_what_reaches_the_broker(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    plain_broker(free_port)
    secret = batches(0, 1, channel=1, value=8_765_432)
    async with running(tmp_path, free_port) as site, city(site, free_port):
        await site.put(DESCRIPTION, *secret, *batches(1, 1, channel=0, value=1_234_567))
        await eventually(lambda: site.received)
        everything = b"".join(site.received)
        assert b"1234.567" in everything
        assert b"8765432" not in everything
        assert b"heart" not in everything
        assert site.uplink.filters.withheld == 1


async def test_a_broker_that_comes_late_and_is_killed_loses_nothing(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    async with running(tmp_path, free_port) as site:
        await site.put(DESCRIPTION, *batches(0, 300))
        await eventually(lambda: site.uplink.trouble)
        broker = plain_broker(free_port)
        await eventually(lambda: site.uplink.confirmed > 0)
        broker.kill()
        broker.wait()
        await site.put(*batches(300, 10))
        await eventually(lambda: site.uplink.connected is None)
        plain_broker(free_port)
        await eventually(lambda: site.uplink.confirmed == 310)


async def test_after_a_restart_publishing_resumes_at_the_cursor(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    plain_broker(free_port)
    async with running(tmp_path, free_port) as site:
        await site.put(DESCRIPTION, *batches(0, 20))
        await eventually(lambda: site.uplink.confirmed == 20)
    async with running(tmp_path, free_port) as site, city(site, free_port):
        await site.put(*batches(20, 1))
        await eventually(lambda: site.received)
        assert site.positions == [21]


async def test_only_the_citys_receipt_moves_the_cursor_when_so_configured(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    plain_broker(free_port)
    async with running(tmp_path, free_port, confirm="city") as site, city(site, free_port):
        await site.put(DESCRIPTION, *batches(0, 3))
        await eventually(lambda: len(site.received) == 3)
        summary = await site.store.summary()
        async with aiomqtt.Client("127.0.0.1", free_port) as client:
            for store in ("ffffffff", summary.store_id):
                assert site.uplink.confirmed == 0
                receipt = {"store": store, "positions": [[1, 2]]}
                await client.publish("lilong/s/g/receipt", json.dumps(receipt), qos=1)
            await eventually(lambda: site.uplink.confirmed == 2)
            await client.publish("lilong/s/g/receipt", b"[nonsense", qos=1)
            await eventually(lambda: site.uplink.counters.wrong_receipts == 1)
    store = Store(tmp_path)
    assert (await store.open_sink("city")).cursors[1].done == 2
    await store.close()


@pytest.mark.parametrize("limit", [3, 65_535])
async def test_the_limit_that_a_broker_sets_is_kept(
    tmp_path: Path, free_port: int, mqtt5_server: Any, eventually: Eventually, limit: int
) -> None:
    server = mqtt5_server(receive_maximum=limit)
    listener = await server.listen(free_port)
    async with running(tmp_path, free_port) as site:
        await site.put(DESCRIPTION, *batches(0, 40))
        await eventually(lambda: site.uplink.confirmed == 40)
    assert (server.most_in_flight > 3) == (limit > 3)
    listener.close()


async def test_what_a_broker_refuses_is_not_taken_for_delivered(
    tmp_path: Path, free_port: int, mqtt5_server: Any, eventually: Eventually
) -> None:
    not_authorised = 0x87
    server = mqtt5_server(puback_reason=not_authorised)
    listener = await server.listen(free_port)
    async with running(tmp_path, free_port) as site:
        await site.put(DESCRIPTION, *batches(0, 2))
        await eventually(lambda: "Not authorized" in site.uplink.trouble)
        assert site.uplink.confirmed == 0
        server.puback_reason = 0
        await eventually(lambda: site.uplink.confirmed == 2)
    assert set(server.versions) == {5}
    listener.close()


async def test_a_broker_that_accepts_and_says_nothing_is_left_and_tried_again(
    tmp_path: Path, free_port: int, plain_broker: Any, eventually: Eventually
) -> None:
    callers = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(await reader.read(1))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(hang, "127.0.0.1", free_port)
    async with running(tmp_path, free_port, timeout_s=0.2) as site:
        await site.put(DESCRIPTION, *batches(0, 5))
        await eventually(lambda: len(callers) > 2)
        listener.close()
        await listener.wait_closed()
        plain_broker(free_port)
        await eventually(lambda: site.uplink.confirmed == 5)


async def test_a_broker_that_hangs_up_is_noticed_before_any_time_out(
    tmp_path: Path, free_port: int, eventually: Eventually
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", free_port)
    async with running(tmp_path, free_port, timeout_s=100.0) as site:
        await eventually(lambda: site.uplink.trouble == "hung up before it answered")
    listener.close()


async def test_a_connection_that_goes_silent_is_replaced(
    tmp_path: Path, free_port: int, mqtt5_server: Any, eventually: Eventually
) -> None:
    server = mqtt5_server()
    listener = await server.listen(free_port)
    async with running(tmp_path, free_port, timeout_s=0.5) as site:
        await eventually(lambda: site.uplink.connected)
        server.silent = True
        await site.put(DESCRIPTION, *batches(0, 5))
        await eventually(lambda: site.uplink.trouble)
        server.silent = False
        await eventually(lambda: site.uplink.confirmed == 5)
    listener.close()


async def test_nothing_leaves_while_the_clock_is_not_set(
    tmp_path: Path, free_port: int, eventually: Eventually
) -> None:
    async with running(tmp_path, free_port, Unset()) as site:
        await site.put(DESCRIPTION, *batches(0, 1))
        await eventually(lambda: site.uplink.trouble == "the clock of this machine is not set")


async def test_a_broker_that_was_away_is_spoken_to_in_the_same_version_again(
    tmp_path: Path, free_port: int, mqtt5_server: Any, eventually: Eventually
) -> None:
    server = mqtt5_server()
    async with running(tmp_path, free_port) as site:
        for _ in range(3):
            await eventually(lambda: "refused" in site.uplink.trouble)
            await asyncio.sleep(0.5)
            listener = await server.listen(free_port)
            await eventually(lambda: site.uplink.connected)
            listener.close()
            await server.hang_up()
            await eventually(lambda: site.uplink.connected is None)
    assert set(server.versions) == {5}


async def test_stopping_while_a_broker_hangs_leaves_no_trace_of_a_mistake(
    tmp_path: Path, free_port: int, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    callers = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(await reader.read(1))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(hang, "127.0.0.1", free_port)
    async with running(tmp_path, free_port, timeout_s=100.0):
        await eventually(lambda: callers)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    listener.close()
