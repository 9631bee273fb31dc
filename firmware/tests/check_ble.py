"""A node on BLE from its journal to a gateway, on whichever Python runs it.

usage: check_ble.py; prints what became of it. The radio forgets, refuses, and loses connections.
"""

import asyncio
import os

from ble_loop import BROKEN, FULL, Central, LoopRadio

from lilong_firmware.ble.advertiser import Advertiser
from lilong_firmware.ble.content import Content
from lilong_firmware.ble.counter import Counter
from lilong_firmware.ble.visits import Visits
from lilong_firmware.clock import Clock
from lilong_firmware.journal import Journal
from lilong_firmware.virtual.nor import Nor
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.block_encoder import encode_single
from lilong_protocol.frame import ALARM_STREAM, DATA_STREAM
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession

EUI = bytes(range(8))
KEY = bytes(range(16))
PATH = "advert.txt"
ITEM_BYTES = 300
BATCHES = 40


class Duty:
    def __init__(self):
        self.beats = 0

    def beat(self):
        self.beats += 1


class Node:
    """The link of a node with a journal; time passes when it is told to."""

    def __init__(self):
        self.now_ms = 1000
        self.clock = Clock(lambda: self.now_ms, lambda a, b: a - b)
        self.now_ms = 2000
        self.radio = LoopRadio(keep=False)
        self.journal = Journal(Nor(16), os.urandom)
        self.keys = NodeKeys(KEY)
        greeting = Greeting(7, 1, "check")
        self.session = NodeSession(EUI, self.keys, self.journal, os.urandom, greeting, b"\x00" * 9)
        content = Content(self.journal, lambda: 3300, 2, (5,))
        parts = (self.radio, content, Counter(PATH, os.urandom), self.keys, EUI, self.clock)
        self.advertiser = Advertiser(*parts, 1000)
        self.events = []
        self.wake = asyncio.Event()
        told = (self.wake, self.events.append, self.advertiser)
        self.visits = Visits(self.radio, self.session, self.clock, *told)

    def put(self, stream, item):
        self.journal.append(stream, item)
        self.wake.set()

    def told(self):
        data = self.radio.on_air[1][7:]
        return read_advert(data)[1], AdvertOpener(KEY).open(data)

    async def until(self, condition, central=None):
        """Let time pass, 10 ms in each turn of the loop that waits for one."""
        for _ in range(20000):
            if condition():
                return
            self.now_ms += 10
            if central is not None:
                central.step(self.now_ms)
            await asyncio.sleep(0.001)
        raise RuntimeError("it does not happen")


async def drain(node, mtu, answers):
    """Let a gateway come, take all, and leave; return it."""
    central = Central(node.radio, KEY, mtu=mtu)
    node.radio.answers = list(answers)
    await node.until(lambda: node.journal.held == 0, central)
    node.radio.drop(1)
    await node.until(lambda: node.radio.on_air is not None)
    return central


async def main():
    node = Node()
    duty = Duty()
    tasks = [asyncio.create_task(node.visits.receive(duty))]
    tasks.append(asyncio.create_task(node.visits.send(duty)))
    await node.until(lambda: node.radio.on_air is not None)
    before, told = node.told()
    print("first", told.alarm, told.waiting, told.supply_mv, told.device_class)
    for mtu in (23, 65, 247):
        items = [bytes([mtu, number]) * (ITEM_BYTES // 2) for number in range(BATCHES)]
        for item in items:
            node.put(DATA_STREAM, item)
        await node.until(lambda: node.told()[1].waiting > 0)
        central = await drain(node, mtu, [FULL, FULL, BROKEN] + [True, FULL] * 30)
        delivered = [item for _, stream, _, item in sorted(central.batches)]
        print("drained", mtu, delivered == items, central.reader.damaged, central.fullest)
    node.put(ALARM_STREAM, encode_single(5, 123, 1))
    await node.until(lambda: node.told()[1].alarm)
    counter, told = node.told()
    print("alarm", told.raised, told.channel, told.seq, node.radio.on_air[0], counter > before)
    central = await drain(node, 247, [])
    print("taken", [(stream, item) for _, stream, _, item in central.batches])
    await node.until(lambda: not node.told()[1].alarm)
    counters = node.visits.counters
    print("visits", counters["visits"], counters["dismissed"], counters["broken"])
    print("damaged", node.visits.damaged, duty.beats > 100, node.visits.idle)
    for task in tasks:
        task.cancel()


asyncio.run(main())
