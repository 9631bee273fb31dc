import asyncio
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilong_firmware.alarms import Alarms
from lilong_firmware.clock import Clock
from lilong_firmware.collection import Shelf
from lilong_firmware.fields import Fields
from lilong_firmware.guard import Guard
from lilong_firmware.journal import Journal
from lilong_firmware.local_rules import LocalRules
from lilong_firmware.output import open_outputs
from lilong_firmware.rule_settings import RuleSettings
from lilong_firmware.settings import Sampling
from lilong_firmware.trace import Trace
from lilong_firmware.virtual.nor import Nor
from lilong_protocol.blocks import decode_block
from lilong_protocol.frame import ALARM_STREAM, DATA_STREAM

FIRMWARE = Path(__file__).parents[1]
PATH = [FIRMWARE, FIRMWARE.parent / "protocol"]
BOOT = 42
LEVEL, BUTTON, FLOOD, SOS, SIREN = range(5)
LIMIT = {"kind": "limit", "channel": "level", "above": 30, "outputs": ["siren"]}


def channel(number, name, source="", time_exponent=-3):
    entry = {"number": number, "name": name, "privacy": 0, "source": source, "interval_ms": 500}
    return {**entry, "time_exponent": time_exponent}


def document(*, flood=None, sos=None, longest_s=0, time_exponent=-3):
    sos = {"kind": "contact", "channel": "button", "state": 1, **(sos or {})}
    return {
        "sensor": {"kind": "river"},
        "batch_ms": 1000,
        "channels": [
            channel(LEVEL, "level", time_exponent=time_exponent),
            channel(BUTTON, "button"),
            channel(FLOOD, "flood", "rules.flood"),
            channel(SOS, "sos", "rules.sos"),
            channel(SIREN, "siren", "outputs.siren"),
        ],
        "rules": [{"name": "flood", **(flood or LIMIT)}, {"name": "sos", **sos}],
        "outputs": {"siren": {"pin": 25, "longest_s": longest_s, "allow": ["flood", "sos"]}},
    }


class Pin:
    """Notes when it is switched, among everything else that happens."""

    def __init__(self, events):
        self.events = events
        self.level = 0

    def value(self, level):
        self.level = level
        self.events.append(("pin", level))


class Notes:
    """A shelf that notes what comes: (channel, value, boot, time)."""

    def __init__(self, events):
        self.events = events

    def put(self, item, channels, rows, mark):
        block = decode_block(item)
        ((number, (value,)),) = block.columns
        assert ((number,), 1, (0, 0, 0)) == (channels, rows, mark)
        self.events.append((number, value, block.boot, block.times[0]))


class Bench:
    """Local rules on a clock that a test sets."""

    def __init__(self, **settings):
        self.now = 0
        self.events = []
        self.lines = []
        self.clock = Clock(lambda: self.now, lambda a, b: a - b)
        fields = Fields(document(**settings))
        sampling = Sampling(fields)
        parsed = RuleSettings(fields, sampling.channels)
        self.pin = Pin(self.events)
        outputs = open_outputs(parsed, lambda _number, _level: self.pin, self.lines.append)
        alarms = Alarms(Notes(self.events), sampling.channels, self.clock, BOOT)
        self.rules = LocalRules(parsed, outputs, alarms, self.clock, self.lines.append)

    def take(self, now, value, number=LEVEL):
        self.now = now
        self.rules.take(number, value, self.clock.uptime_ms())

    def lapse(self, now):
        self.now = now
        self.rules.lapse(self.clock.uptime_ms())

    def told(self, number):
        return [event[1] for event in self.events if event[0] == number]

    def states(self):
        return dict(self.rules.read(self.now, None))


def test_the_output_is_switched_before_anything_is_told():
    bench = Bench()
    bench.take(10, 30)
    assert bench.events == [
        ("pin", 1),
        (FLOOD, 1, BOOT, 10),
        (LEVEL, 30, BOOT, 10),
        (SIREN, 1, BOOT, 10),
    ]
    bench.take(20, 29)
    assert bench.events[4:] == [
        ("pin", 0),
        (FLOOD, 0, BOOT, 20),
        (LEVEL, 29, BOOT, 20),
        (SIREN, 0, BOOT, 20),
    ]


def test_nothing_happens_while_nothing_changes():
    bench = Bench()
    for now in range(0, 2000, 100):
        bench.take(now, 29)
        bench.take(now, 7, 99)
        bench.lapse(now + 50)
    assert bench.events == []


def test_what_is_told_has_the_time_of_the_channel_once_that_is_known():
    bench = Bench(time_exponent=0)
    bench.clock.measured(1_000_000, 5, 0)
    bench.take(2500, 30)
    assert bench.events[1:3] == [(FLOOD, 1, None, 1_002_500), (LEVEL, 30, None, 1002)]


def test_time_alone_raises_and_is_told_with_the_moment_that_it_happened():
    bench = Bench(flood={**LIMIT, "for_ms": 1000})
    bench.take(100, 31)
    bench.take(900, 32)
    assert bench.rules.wait_ms(900) == 200
    assert bench.rules.wait_ms(1090) == 10
    bench.lapse(1099)
    assert bench.events == []
    bench.lapse(1150)
    assert bench.events == [
        ("pin", 1),
        (FLOOD, 1, BOOT, 1100),
        (LEVEL, 32, BOOT, 900),
        (SIREN, 1, BOOT, 1150),
    ]


def test_a_change_that_the_next_reading_takes_back_is_told_all_the_same():
    bench = Bench(flood={**LIMIT, "for_ms": 1000})
    bench.take(100, 31)
    bench.take(1300, 5)
    assert bench.told(FLOOD) == [1, 0]
    assert bench.told("pin") == [1, 0]
    assert bench.told(LEVEL) == [31, 5]


def test_two_rules_share_an_output():
    bench = Bench(sos={"outputs": ["siren"]})
    bench.take(0, 30)
    bench.take(10, 1, BUTTON)
    bench.take(20, 29)
    assert bench.pin.level == 1
    bench.take(30, 0, BUTTON)
    assert bench.pin.level == 0


def test_a_rule_switches_no_output_but_its_own():
    bench = Bench()
    bench.take(0, 1, BUTTON)
    assert bench.told(SOS) == [1]
    assert bench.told("pin") == []


def test_the_longest_time_of_an_output_ends_it_and_tells_so():
    bench = Bench(longest_s=1)
    bench.take(0, 30)
    bench.lapse(999)
    assert bench.pin.level == 1
    assert bench.rules.wait_ms(999) == 1
    bench.lapse(1000)
    assert (bench.pin.level, bench.told(SIREN)) == (0, [1, 0])
    assert bench.states()[FLOOD] == 1


def test_a_missing_reading_is_silence_and_nothing_else():
    quiet = {"kind": "silence", "channel": "level", "for_ms": 1000}
    bench = Bench(flood=quiet)
    bench.take(10, 50)
    bench.take(900, None)
    bench.lapse(1010)
    assert bench.told(FLOOD) == [1]


def test_a_channel_that_is_silent_from_the_start_is_noticed_from_the_start():
    bench = Bench(flood={"kind": "silence", "channel": "level", "for_ms": 1000})
    bench.lapse(1000)
    assert bench.events == [(FLOOD, 1, BOOT, 1000)]


def test_chatter_is_bounded_and_counted_while_the_output_follows():
    bench = Bench()
    for now in range(400):
        bench.take(now, 30 if now % 2 == 0 else 29)
    assert bench.told("pin") == [1, 0] * 200
    assert bench.told(FLOOD) == [1, 0] * 3
    assert len(bench.told(LEVEL)) == 6
    assert len(bench.told(SIREN)) == 6
    assert bench.rules.withheld == 394


def test_what_still_holds_is_told_when_there_is_room_again():
    bench = Bench()
    for now in range(7):
        bench.take(now, 30 if now % 2 == 0 else 29)
    assert bench.told(FLOOD) == [1, 0] * 3
    bench.lapse(29_999)
    assert bench.told(FLOOD) == [1, 0] * 3
    bench.lapse(30_000)
    assert bench.told(FLOOD) == [1, 0, 1, 0, 1, 0, 1]
    assert bench.events[-3:] == [
        (FLOOD, 1, BOOT, 6),
        (LEVEL, 30, BOOT, 6),
        (SIREN, 1, BOOT, 30_000),
    ]
    assert bench.rules.withheld == 1


def test_room_that_nobody_used_does_not_add_up():
    bench = Bench()
    for now in range(1_000_000, 1_000_100):
        bench.take(now, 30 if now % 2 == 0 else 29)
    assert len(bench.told(FLOOD)) == 6


def test_the_state_of_a_rule_is_a_gap_until_something_is_heard():
    bench = Bench()
    assert bench.states() == {SIREN: 0}
    bench.take(0, None)
    assert bench.states() == {SIREN: 0}
    bench.take(10, 5)
    assert bench.states() == {FLOOD: 0, SIREN: 0}
    bench.take(20, 50)
    assert bench.states() == {FLOOD: 1, SIREN: 1}


def test_after_stop_the_outputs_are_off_for_good():
    bench = Bench()
    bench.take(0, 30)
    bench.rules.stop()
    assert bench.pin.level == 0
    bench.take(10, 29)
    bench.take(20, 50)
    assert bench.pin.level == 0


class Duty:
    def __init__(self):
        self.beats = 0

    def beat(self):
        self.beats += 1


async def test_the_duty_notices_by_itself_what_time_decides():
    bench = Bench(flood={**LIMIT, "for_ms": 50})
    start = time.monotonic()
    bench.clock = bench.rules._clock
    duty = Duty()
    bench.take(0, 30)
    task = asyncio.create_task(bench.rules.run(duty))
    while bench.pin.level == 0:
        bench.now = int((time.monotonic() - start) * 1000)
        await asyncio.sleep(0.005)
    bench.rules.stop()
    await asyncio.wait_for(task, 10)
    assert bench.told("pin") == [1, 0]
    assert duty.beats > 1


class Flash(Nor):
    """Takes nothing any more once it is worn."""

    worn = False

    def writeblocks(self, block, data, offset=0):
        if self.worn:
            raise OSError(errno.EIO, "worn out")
        super().writeblocks(block, data, offset)


class Store:
    """A journal, with the shelves of a node on it."""

    def __init__(self):
        self.flash = Flash(8)
        self.journal = Journal(self.flash, os.urandom)
        self.trace = Trace()
        self.lines = []

    def shelf(self, stream):
        wake = asyncio.Event()
        return Shelf(self.journal, self.trace, wake, self.lines.append, stream)

    def held(self, stream):
        journal = self.journal
        numbers = range(journal.first(stream), journal.next(stream))
        blocks = [decode_block(bytes(journal.read(stream, seq))) for seq in numbers]
        return [(block.times, block.columns) for block in blocks]


def guard_of(store, pin, clock):
    fields = Fields(document())
    sampling = Sampling(fields)
    parsed = RuleSettings(fields, sampling.channels)
    outputs = open_outputs(parsed, lambda _number, _level: pin, store.lines.append)
    shelves = [store.shelf(DATA_STREAM), store.shelf(ALARM_STREAM)]
    parts = (store.journal, store.trace, clock, BOOT, store.lines.append)
    return Guard(parsed, sampling, outputs, *shelves, *parts), shelves


def test_alarms_are_durable_at_once_and_the_states_come_again_as_data():
    now = [0]
    clock = Clock(lambda: now[0], lambda a, b: a - b)
    store = Store()
    guard, _ = guard_of(store, Pin([]), clock)
    guard.states.step()
    guard.rules.take(LEVEL, 30, 0)
    assert [columns for _, columns in store.held(ALARM_STREAM)] == [
        [(FLOOD, [1])],
        [(LEVEL, [30])],
        [(SIREN, [1])],
    ]
    assert store.held(DATA_STREAM) == []
    for now[0] in range(500, 2001, 500):
        guard.states.step()
    repeated = [columns for _, columns in store.held(DATA_STREAM)]
    assert repeated[0] == [(SIREN, [0])]
    assert repeated[1] == [(FLOOD, [1, 1, 1]), (SIREN, [1, 1, 1])]


def test_a_flash_that_fails_keeps_no_output_from_its_work():
    clock = Clock(lambda: 0, lambda a, b: a - b)
    store = Store()
    pin = Pin([])
    guard, (_, alarm_shelf) = guard_of(store, pin, clock)
    store.flash.worn = True
    guard.rules.take(LEVEL, 30, 0)
    assert pin.level == 1
    assert alarm_shelf.lost == 3
    assert len([line for line in store.lines if line.startswith("batch lost")]) == 1


def output_of(command, variable, path):
    done = subprocess.run(
        [*command, Path(__file__).parent / "check_local_rules.py"],
        env={**os.environ, variable: ":".join(map(str, path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def here():
    return output_of([sys.executable], "PYTHONPATH", PATH)


@pytest.mark.parametrize("name", ["micropython", "micropython32"])
def test_rules_act_and_tell_the_same_on_every_interpreter(name, request):
    command = [request.getfixturevalue(name), "-X", "heapsize=400k"]
    assert output_of(command, "MICROPYPATH", [".frozen", *PATH]) == here()


def test_a_node_acts_and_tells_from_the_first_reading_to_the_end():
    lines = here()
    assert [line for line in lines if line.startswith("pin")] == ["pin 0", "pin 1", "pin 0"]
    assert [line for line in lines if line.startswith("rule")] == [
        "rule flood raised, last reading 31",
        "rule surge raised, last reading 41",
        "rule sos raised, last reading 1",
        "rule flood cleared, last reading 29",
        "rule surge cleared, last reading 29",
    ]
    assert lines[-1] == "beats 3"
