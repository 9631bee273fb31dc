import asyncio
import sys
from pathlib import Path

import pytest
from bumble.hci import HCI_ErrorCode as Code

from lilong_tools.radio.model import RadioModel

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_peer import Central
from ble_site import FAST_MS, Site, running, until
from ble_strangers import Babbler, Copycat, Hook, Misfit, Mute, frames, noise

STATUSES = (
    Code.COMMAND_DISALLOWED_ERROR,
    Code.CONNECTION_LIMIT_EXCEEDED_ERROR,
    Code.CONNECTION_TIMEOUT_ERROR,
    Code.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR,
    Code.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
    Code.UNACCEPTABLE_CONNECTION_PARAMETERS_ERROR,
)

USELESS = "the node says nothing of use"


def quiet_room(**losses):
    return RadioModel(interval_ms=FAST_MS, rssi_spread_db=0, **losses)


async def test_ten_nodes_hand_over_all_they_have_once_and_are_left(tmp_path):
    site = Site(tmp_path)
    nodes = site.add(10, batches=20)
    async with running(site):
        await until(lambda: all(not node.waiting and node.connection is None for node in nodes))
        site.account()
        assert all(node.damaged == 0 for node in nodes)


async def test_a_small_mtu_costs_time_and_nothing_else(tmp_path):
    site = Site(tmp_path)
    for mtu in (23, 24, 27, 50, 185, 247):
        site.add(mtu=mtu, batches=10)
    async with running(site):
        await site.drained()
        assert all(node.damaged == 0 for node in site.nodes)


async def test_an_alarm_is_noted_before_anybody_connects_and_confirmed_after(tmp_path):
    site = Site(tmp_path)
    (node,) = site.add()
    async with running(site):
        await until(lambda: node.visits and node.connection is None)
        node.say(stream=0, count=2)
        await until(lambda: site.ble().get("alarms"))
        await until(lambda: site.ble()["alarms"][0]["outcome"] == "confirmed")
        site.account()


async def test_connects_that_are_refused_are_tried_again_and_their_node_is_named(tmp_path):
    site = Site(tmp_path)
    for status in STATUSES:
        (node,) = site.add(batches=3)
        site.air.faults.refuse(node.name, status)
    refused = set()
    async with running(site):
        async with asyncio.timeout(60):
            while any(node.waiting for node in site.nodes):
                refused |= {node.eui for node in site.nodes if site.why(node)}
                await asyncio.sleep(0.05)
        site.account()
        await until(lambda: not site.ble()["unreached"])
    # That one is tried again at once.
    at_once = site.nodes[STATUSES.index(Code.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)]
    assert refused >= {node.eui for node in site.nodes} - {at_once.eui}


async def test_a_visit_that_breaks_off_at_any_moment_costs_nothing_but_time(tmp_path):
    site = Site(tmp_path)
    for moment in range(1, 7):
        (node,) = site.add(batches=100)
        break_off(site, node, moment)
    async with running(site):
        await site.drained()
        assert all(node.visits > 1 for node in site.nodes)


def break_off(site, node, moment):
    """Let the first link go dead at the write of that number."""
    writes = []

    def count():
        writes.append(node.visits)
        if writes == [1] * moment:
            site.air.silence(node.name)

    node.on_write = count


async def test_an_adapter_that_is_busy_is_waited_for_and_nothing_held_against_nodes(tmp_path):
    site = Site(tmp_path)
    nodes = site.add(3, batches=5)
    site.air.faults.busy.add("hci0")
    async with running(site):
        await until(lambda: any(site.why(node) for node in nodes))
        (why,) = [site.why(node) for node in nodes if site.why(node)]
        assert why == "the adapter is at something else"
        assert (site.ble()["no_slot"], site.ble()["failed"]) == (1, 0)
        site.air.faults.busy.clear()
        await site.drained()


async def test_values_that_are_lost_cut_doubled_or_bent_are_sent_again(tmp_path):
    site = Site(tmp_path)
    for number, share in enumerate((0.1, 0.2, 0.4)):
        (node,) = site.add(batches=80)
        node.spoil = Hook(share, seed=number)
    async with running(site):
        await site.drained()
        assert sum(node.spoil.spoilt for node in site.nodes) > 5


async def test_a_weak_signal_is_slow_and_the_weakest_is_for_alarms_only(tmp_path):
    site = Site(tmp_path, model=quiet_room(event_loss=0.3, advert_loss=0.5))
    weak, weakest = site.add(2, batches=5)
    site.air.set_rssi("hci0", weak.name, -92)
    site.air.set_rssi("hci0", weakest.name, -98)
    async with running(site):
        await until(lambda: not weak.waiting)
        assert weakest.visits == 0
        weakest.say(stream=0, count=2)
        await site.drained()


async def test_what_only_seems_to_be_a_node_or_has_gone_mad_keeps_nobody_from_being_served(
    tmp_path,
):
    site = Site(tmp_path)
    (victim,) = site.add(interval_ms=300)
    madness = {
        site.add(kind=Misfit)[0]: ["has no Lilong service; its firmware is another"],
        site.add(kind=Mute)[0]: ["no session came about"],
        site.add(kind=Babbler, utter=noise)[0]: ["no session came about", USELESS],
        site.add(kind=Babbler, utter=frames)[0]: [USELESS],
    }
    for one in madness:
        one.say()
    sane = site.add(3, batches=5)
    copycat = Copycat(site.air, "copycat", victim, interval_ms=20)
    async with running(site):
        await until(lambda: victim.advert)
        site.join(copycat)
        for _ in range(3):
            victim.say()
            await until(lambda: not victim.waiting)
        await until(lambda: not any(node.waiting for node in sane))
        await until(lambda: all(site.why(one) in whys for one, whys in madness.items()))
        site.account()
        assert copycat.visits > 0
        assert not {one.eui.hex() for one in madness} & site.status()["nodes"].keys()


async def test_a_node_that_a_stranger_holds_is_served_as_soon_as_it_is_free(tmp_path):
    site = Site(tmp_path)
    held, free = site.add(2, batches=5)
    stranger = await Central(site.air, "stranger").start()
    site.power(held)
    connection = await stranger.connect(site.air.named[held.name].public_address)
    async with running(site):
        await until(lambda: not free.waiting)
        assert held.waiting
        assert not site.why(held)
        await connection.disconnect()
        await site.drained()


async def test_the_other_adapter_takes_over_from_one_that_is_lost(tmp_path):
    site = Site(tmp_path, adapters=("hci0", "hci1"))
    nodes = site.add(6, batches=200)
    for node in nodes:
        site.air.set_rssi("hci0", node.name, -50)
        site.air.set_rssi("hci1", node.name, -80)
    async with running(site):
        await until(lambda: any(node.open for node in nodes))
        await site.ports["hci0"].close()
        await site.drained()
        lost, other = site.ble()["adapters"]
        assert lost["silent_ms"] > other["silent_ms"]


async def test_a_gateway_killed_amid_its_visits_loses_and_doubles_nothing(tmp_path):
    site = Site(tmp_path)
    nodes = site.add(4)
    async with running(site):
        for _ in range(3):
            for node in nodes:
                for _ in range(30):
                    node.say()
            await until(lambda: site.process.returncode is None and any(n.open for n in nodes))
            await asyncio.sleep(0.2)
            await site.kill()
            await site.start()
        await site.drained()


async def test_a_gateway_told_to_stop_amid_its_visits_lets_the_nodes_go(tmp_path):
    site = Site(tmp_path)
    nodes = site.add(3, batches=100)
    for node in nodes:
        node.on_write = node.say
    async with running(site):
        await until(lambda: any(node.open for node in nodes))
        await site.close()
        assert all(node.connection is None for node in nodes)
        assert any(node.waiting for node in nodes)


def told(site, table, node):
    return site.status().get(table, {}).get(node.eui.hex(), {})


async def test_nodes_get_new_keys_in_their_visits_and_revoked_ones_are_left(tmp_path):
    site = Site(tmp_path)
    moving, revoked = site.add(2, batches=1)
    for node in (moving, revoked):
        node.on_write = node.say  # So a visit never ends for want of anything to say.
    async with running(site):
        await until(lambda: moving.open and revoked.open)
        await site.keys("revoke", revoked.eui.hex(), "--reason", "stolen")
        await site.keys("rotate", moving.eui.hex())
        await until(lambda: moving.keys.current != moving.key)
        await until(lambda: revoked.connection is None)
        moving.on_write = lambda: None
        left, visits = revoked.waiting, revoked.visits
        await until(lambda: told(site, "refused", revoked).get("reason") == "revoked")
        await until(lambda: told(site, "nodes", moving).get("key") == "current")
        await until(lambda: not moving.waiting)
        assert left > 0
        assert (revoked.waiting, revoked.visits) == (left, visits)
        site.nodes.remove(revoked)
        site.account()


@pytest.mark.timeout(300)
async def test_adapters_that_vanish_or_fall_silent_are_noticed_treated_and_serve_again(tmp_path):
    # What tells that nothing is heard any more is the watchdog, after 90 s of silence.
    sites = [Site(tmp_path / name) for name in ("vanished", "wedged", "mute")]
    async with asyncio.TaskGroup() as group:
        for site in sites:
            group.create_task(serves_again(site))


async def serves_again(site):
    site.folder.mkdir()
    (node,) = site.add(batches=1)
    async with running(site):
        await site.drained()
        match site.folder.name:
            case "vanished":
                await site.ports["hci0"].close()
                await asyncio.sleep(1)
                await site.ports["hci0"].open()
            case "wedged":
                site.air.faults.wedged.add("hci0")
            case "mute":
                site.air.faults.mute.add("hci0")
        await until(lambda: site.ble()["adapters"][0]["restarts"], 240)
        node.say()
        await site.drained(200)
        await until(lambda: site.ble()["adapters"][0]["silent_ms"] < 5_000)
        (adapter,) = site.ble()["adapters"]
        assert adapter["state"] == "listening"
        assert (adapter["power_cycles"] > 0) == (site.folder.name != "vanished")
        assert "has heard no advertisement for" in site.log()
