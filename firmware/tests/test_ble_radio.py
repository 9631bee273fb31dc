"""The real radio file on MicroPython, on a stack that a test plays event by event."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STACK = """
class UUID:
    def __init__(self, text):
        self.text = text

class BLE:
    only = None
    room = True
    present = (1,)

    def __init__(self):
        BLE.only = self
        self.calls = []
        self.buffer = b""
        self.error = None
        self.handler = None

    def active(self, on):
        self.calls.append(("active", on))

    def config(self, **values):
        self.calls.append(("config", sorted(values.items())))

    def irq(self, handler):
        self.handler = handler

    def gatts_register_services(self, services):
        self.services = [(s.text, [(c.text, f) for c, f in cs]) for s, cs in services]
        self.calls.append(("register", len(services)))
        return ((11, 14),)

    def gatts_set_buffer(self, handle, size, append):
        self.calls.append(("buffer", handle, size, append))

    def gatts_read(self, handle):
        assert handle == 14
        data, self.buffer = self.buffer, b""
        if self.error is not None:
            raise self.error
        return data

    def gatts_notify(self, connection, handle, value):
        if self.error is not None:
            raise self.error
        self.calls.append(("notify", connection, handle, value))

    def gap_disconnect(self, connection):
        if self.error is not None:
            raise self.error
        return connection in self.present

    def gap_advertise(self, interval_us, data=None, *, resp_data=None, connectable=True):
        if self.error is not None:
            raise self.error
        self.calls.append(("advertise", interval_us, data, resp_data, connectable))

    def write(self, data, events=1, connection=1):
        self.buffer += data
        for _ in range(events):
            self.happen(3, (connection, 14))

    def happen(self, event, data):
        # The stack's own tuple and memory: not valid any more after the call.
        assert self.handler(event, data) is None
"""
PREAMBLE = """
import asyncio, json
from errno import ENOMEM, ENOTCONN
from lilong_firmware.ble.radio import Radio
from lilong_protocol.advert import scan_response

class Listener:
    def __init__(self):
        self.heard = []
    def connected(self, handle):
        self.heard.append(("connected", handle))
    def disconnected(self, handle):
        self.heard.append(("disconnected", handle))
    def resized(self, handle, mtu):
        self.heard.append(("resized", handle, mtu))
    def written(self, handle, data):
        assert type(data) is bytes
        self.heard.append(("written", handle, data.decode()))

EUI = bytes(range(8))
radio = Radio(EUI)
ble = radio._ble
listener = Listener()
def heard():
    radio.deliver(listener)
    found, listener.heard = listener.heard, []
    return found
"""


@pytest.fixture(params=["micropython", "micropython32"])
def run(request, tmp_path):
    interpreter = request.getfixturevalue(request.param)
    (tmp_path / "bluetooth.py").write_text(STACK)
    path = [tmp_path, ".frozen", ROOT / "protocol", ROOT / "firmware"]

    def run_lines(text):
        (tmp_path / "program.py").write_text(PREAMBLE + text)
        done = subprocess.run(
            [interpreter, "-X", "heapsize=400wK", tmp_path / "program.py"],
            env={**os.environ, "MICROPYPATH": ":".join(map(str, path))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run_lines


def test_the_service_is_registered_once_before_anything_is_advertised(run):
    calls, services, response = run("""
radio.advertise(100, b"advert", connectable=True)
radio.silence()
response = ble.calls[-2][3]
calls = [[str(word) for word in call if word != response] for call in ble.calls]
print(json.dumps(calls))
print(json.dumps(ble.services))
print(json.dumps(response == scan_response(EUI)))
""")
    assert calls == [
        ["active", "True"],
        ["config", "[('gap_name', b'lilong 0607'), ('mtu', 247)]"],
        ["register", "1"],
        ["buffer", "14", "1024", "True"],
        ["advertise", "100000", "b'advert'", "True"],
        ["advertise", "None", "None", "None", "True"],
    ]
    ((service, ((up, notify), (down, write))),) = services
    assert (notify, write) == (0x10, 0x08 | 0x04)
    assert [uuid[:8] for uuid in (service, up, down)] == ["2ba20001", "2ba20002", "2ba20003"]
    assert response


def test_events_are_told_in_their_order_and_others_are_let_pass(run):
    assert run("""
ble.happen(1, (1, 0, memoryview(bytes(6))))
ble.happen(27, (1, 24, 0, 72, 0))
ble.happen(21, (1, 247))
ble.write(b"one")
ble.happen(4, (1, 11))
ble.write(b"two")
ble.happen(2, (1, 0, memoryview(bytes(6))))
print(json.dumps(heard()))
print(json.dumps(heard()))
""") == [
        [
            ["connected", 1],
            ["resized", 1, 247],
            ["written", 1, "one"],
            ["written", 1, "two"],
            ["disconnected", 1],
        ],
        [],
    ]


def test_writes_that_were_joined_before_their_events_come_once(run):
    assert run("""
ble.buffer = b"one"
ble.write(b"two", events=3)
ble.happen(3, (1, 11))
print(json.dumps([heard(), radio.lost]))
""") == [[[["written", 1, "onetwo"]], 0]]


def test_what_one_central_has_left_is_not_the_next_ones(run):
    assert run("""
ble.buffer = b"left over"
ble.happen(1, (2, 0, b""))
ble.write(b"its own", connection=2)
print(json.dumps(heard()))
""") == [[["connected", 2], ["written", 2, "its own"]]]


def test_at_most_1024_unread_bytes_are_kept_and_the_others_counted(run):
    assert run("""
for number in range(8):
    ble.write(b"%d" % number * 200)
print(json.dumps([len(words[2]) for words in heard()] + [radio.lost]))
ble.write(b"again" * 200)
print(json.dumps([len(words[2]) for words in heard()] + [radio.lost]))
""") == [[200] * 5 + [3], [1000, 3]]


def test_who_writes_very_much_does_not_hide_that_it_left(run):
    assert run("""
ble.happen(1, (1, 0, b""))
for _ in range(200):
    ble.write(b"x")
ble.happen(2, (1, 0, b""))
found = heard()
print(json.dumps([found[0][0], found[-1][0], 40 < len(found) < 64, radio.lost > 100]))
for _ in range(200):
    ble.happen(2, (1, 0, b""))
print(json.dumps([len(heard()), len(heard())]))
""") == [["connected", "disconnected", True, True], [63, 0]]


def test_no_exception_leaves_the_handler_and_the_next_event_is_taken(run):
    assert run("""
ble.error = MemoryError()
ble.write(b"lost")
ble.happen(3, ())
ble.error = None
ble.write(b"kept")
print(json.dumps([heard(), radio.lost]))
""") == [[[["written", 1, "kept"]], 2]]


def test_a_notification_leaves_or_has_no_room_or_is_refused(run):
    assert run("""
found = [radio.notify(1, b"value")]
for code in (ENOMEM, ENOTCONN, -128, 19):
    ble.error = OSError(code)
    found.append(radio.notify(1, b"value"))
ble.error = None
print(json.dumps(found + [ble.calls[-1][:3] == ("notify", 1, 11)]))
""") == [[True, False, None, None, None, True]]


def test_a_radio_that_refuses_raises_nothing(run):
    assert run("""
found = [radio.disconnect(1), radio.disconnect(2)]
ble.error = OSError(-18)
found += [radio.disconnect(1), radio.advertise(20, b"", connectable=False), radio.silence()]
print(json.dumps(found))
""") == [[True, False, False, False, False]]


def test_a_task_wakes_when_something_has_happened_or_in_the_end(run):
    assert run("""
async def main():
    await radio.wait(0.05)
    found = [heard()]
    async def later():
        await asyncio.sleep(0.05)
        ble.write(b"now")
    task = asyncio.create_task(later())
    await radio.wait(30)
    found.append(heard())
    ble.happen(99, ())
    await radio.wait(30)
    return found
print(json.dumps(asyncio.run(main())))
""") == [[[], [["written", 1, "now"]]]]
