"""From a reading to a pin and to the alarm stream, on whichever Python runs it.

usage: check_local_rules.py; prints everything that happened.
"""

import asyncio

from lilong_firmware.alarms import Alarms
from lilong_firmware.clock import Clock
from lilong_firmware.fields import Fields
from lilong_firmware.local_rules import LocalRules
from lilong_firmware.output import open_outputs
from lilong_firmware.rule_settings import RuleSettings
from lilong_firmware.settings import Sampling
from lilong_protocol.blocks import decode_block

RULES = [
    {"name": "flood", "kind": "limit", "channel": "level", "above": 30, "outputs": ["siren"]},
    {"name": "sos", "kind": "contact", "channel": "button", "state": 1, "for_ms": 300},
    {"name": "mute", "kind": "silence", "channel": "level", "for_ms": 60000},
    {"name": "surge", "kind": "slope", "channel": "level", "rise": 10, "within_ms": 1000},
]
SOURCES = ("", "", "rules.flood", "rules.sos", "rules.mute", "rules.surge", "outputs.siren")
NAMES = ("level", "button", "flood", "sos", "mute", "surge", "siren")


class Pin:
    def __init__(self, level):
        print("pin", level)

    def value(self, level):
        print("pin", level)


class Shelf:
    def put(self, item, channels, rows, _mark):
        block = decode_block(item)
        print("alarm", block.boot, block.times, channels, rows, block.columns[0][1])


class Duty:
    def __init__(self, rules):
        self.rules = rules
        self.beats = 0

    def beat(self):
        self.beats += 1
        if self.beats == 3:
            self.rules.stop()


def main():
    now = [5000]
    clock = Clock(lambda: now[0], lambda a, b: a - b)
    now[0] = 10000
    channels = [
        {"number": n, "name": NAMES[n], "privacy": 0, "interval_ms": 500, "source": SOURCES[n]}
        for n in range(7)
    ]
    outputs = {"siren": {"pin": 25, "longest_s": 2, "allow": ["flood"]}}
    document = {"channels": channels, "sensor": {"kind": "river"}, "rules": RULES}
    document["outputs"] = outputs
    fields = Fields(document)
    sampling = Sampling(fields)
    settings = RuleSettings(fields, sampling.channels)
    alarms = Alarms(Shelf(), sampling.channels, clock, 42)
    pins = open_outputs(settings, lambda _number, level: Pin(level), print)
    rules = LocalRules(settings, pins, alarms, clock, print)
    for channel, value, after_ms in ((0, 25, 0), (0, 31, 500), (1, 1, 100), (0, 41, 400)):
        now[0] += after_ms
        rules.take(channel, value, clock.uptime_ms())
        print("state", rules.read(0, None), rules.wait_ms(clock.uptime_ms()))
    clock.measured(1000000, 5, 0)
    for _ in range(3):
        now[0] += 1000
        rules.lapse(clock.uptime_ms())
        print("state", rules.read(0, None))
    rules.take(0, 29, clock.uptime_ms())
    duty = Duty(rules)
    asyncio.run(rules.run(duty))
    print("beats", duty.beats)


main()
