import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from sink_site import DESCRIPTION, Eventually, Heard, batches, city, fill, packs_in, running

from lilong_gateway.store.store import Store

PROGRAM = Path(__file__).parent / "deliver_until_killed.py"


async def test_an_alarm_overtakes_a_backlog_of_twenty_thousand_batches(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    for first in range(0, 20_000, 5000):
        await fill(tmp_path, DESCRIPTION, *batches(first, 5000))
    async with (
        running(tmp_path, free_port, replay_per_s=8000) as site,
        city(site, free_port),
    ):
        await eventually(lambda: len(site.positions) > 500)
        await site.put(*batches(0, 1, stream=0))
        behind = len(site.positions)
        await eventually(lambda: 20_001 in site.positions)
        assert site.uplink.replaying
        assert site.uplink.replay_waiting > 10_000
        assert site.positions.index(20_001) - behind < 2000


async def test_what_is_new_arrives_in_order_beside_a_backlog_in_order(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    await fill(tmp_path, DESCRIPTION, *batches(0, 6000))
    async with (
        running(tmp_path, free_port, replay_per_s=2000) as site,
        city(site, free_port),
    ):
        await eventually(lambda: site.received)
        for seq in range(6000, 6050):
            await site.put(*batches(seq, 1))
            await asyncio.sleep(0.002)
        await eventually(lambda: 6050 in site.positions)
        assert site.uplink.replaying
        assert site.positions.index(6050) < 5000
        await eventually(lambda: site.uplink.waiting == 0)
        await eventually(lambda: len(site.positions) == 6050)
        old = [pos for pos in site.positions if pos <= 6000]
        new = [pos for pos in site.positions if pos > 6000]
        assert (old, new) == (list(range(1, 6001)), list(range(6001, 6051)))
        late = {record["pos"] for record in packs_in(site.received) if record.get("late")}
        assert late == set(old)
        assert not site.uplink.replaying
        assert len(site.received) < 3000
    store = Store(tmp_path)
    assert (await store.open_sink("city")).cursors[1] == (6050, 0, 0)
    await store.close()


async def test_a_backlog_goes_at_the_configured_pace_and_live_data_does_not_wait_for_it(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    await fill(tmp_path, DESCRIPTION, *batches(0, 1000))
    loop = asyncio.get_running_loop()
    async with (
        running(tmp_path, free_port, replay_per_s=100) as site,
        city(site, free_port),
    ):
        begun_s = loop.time()
        await eventually(lambda: site.uplink.connected)
        await site.put(*batches(1000, 200))
        await eventually(lambda: 1200 in site.positions)
        await eventually(lambda: any(pos <= 1000 for pos in site.positions))
        await asyncio.sleep(1)
        old = [pos for pos in site.positions if pos <= 1000]
        assert len(old) <= 100 * (loop.time() - begun_s) + 20


async def test_a_city_that_sends_receipts_gets_a_backlog_as_well(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    await fill(tmp_path, DESCRIPTION, *batches(0, 5000))
    async with running(tmp_path, free_port, confirm="city") as site, city(site, free_port):
        store_id = (await site.store.open_sink("city")).store_id
        told = 0
        while site.uplink.waiting != 0:
            heard = site.positions[told:]
            told += len(heard)
            if heard:
                ranges = [[pos, pos] for pos in heard[:1000]]
                told -= max(0, len(heard) - 1000)
                await site.say(free_port, {"store": store_id, "positions": ranges})
            await asyncio.sleep(0.01)
        assert site.uplink.confirmed == 5000
        assert sorted(site.positions) == list(range(1, 5001))


def program(folder: Path, port: int, live: int, per_s: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, PROGRAM, folder, port, live, per_s]
    return subprocess.Popen([str(argument) for argument in arguments], stdout=subprocess.PIPE)


async def test_memory_does_not_grow_with_the_backlog(
    tmp_path: Path, free_port: int, full_broker: Any
) -> None:
    full_broker(free_port)
    most_kib = []
    for count in (500, 15_000):
        folder = tmp_path / str(count)
        for first in range(0, count, 5000):
            size = min(5000, count - first)
            await fill(folder, DESCRIPTION, *batches(first, size, readings=20))
        process = program(folder, free_port, 0, 0)
        output, _ = await asyncio.to_thread(process.communicate)
        most_kib.append(int(output))
    assert most_kib[1] < 1.25 * most_kib[0]


async def test_killed_in_the_middle_of_a_replay_nothing_is_lost_and_little_repeated(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    await fill(tmp_path, DESCRIPTION, *batches(0, 6000))
    heard = Heard()
    async with city(heard, free_port):
        process = program(tmp_path, free_port, 10_000, 2000)
        await eventually(lambda: len(heard.positions) > 3000)
        process.kill()
        await asyncio.to_thread(process.communicate)
        before = len(set(heard.positions))
        store = Store(tmp_path)
        state = await store.open_sink("city")
        await store.close()
        assert 0 < state.cursors[1].done < 6000 <= state.cursors[1].ahead_from
        assert state.cursors[1].ahead_to > 6000
        process = program(tmp_path, free_port, 0, 0)
        await asyncio.to_thread(process.communicate)
        await eventually(lambda: set(range(1, state.last + 1)) <= set(heard.positions))
        repeated = [pos for pos, times in Counter(heard.positions).items() if times > 1]
        assert len(repeated) < before // 2
