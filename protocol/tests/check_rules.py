"""Golden data of the rules, and a digest of random series, on whichever Python runs it.

usage: check_rules.py RULES_JSON
"""

import binascii
import hashlib
import json
import sys

from lilong_protocol.errors import RangeError
from lilong_protocol.rules.catalogue import build_rule

RANDOM = [
    ("limit", {"above": 60, "clear_below": 50, "for_ms": 40, "clear_for_ms": 30}),
    ("limit", {"above": 70, "below": 30, "for_ms": 25, "fresh_ms": 20}),
    ("contact", {"state": 0, "for_ms": 30, "clear_for_ms": 10, "fresh_ms": 40}),
    ("silence", {"for_ms": 20, "clear_after": 2}),
    ("slope", {"rise": 40, "fall": 50, "within_ms": 150, "clear_for_ms": 20}),
]


class Dice:
    """A linear congruential generator: the same numbers on every interpreter."""

    def __init__(self, seed):
        self.state = seed

    def roll(self, sides):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % sides


def check(condition, text):
    if not condition:
        raise SystemExit("failed: " + text)


def told(rule):
    found = [int(rule.raised), rule.since_ms, rule.decided_ms]
    return found + [rule.value, rule.limit, rule.reference]


def check_golden(case):
    rule = build_rule(case["kind"], case["parameters"])
    raised = False
    decisions = []
    waits = []
    for index, call in enumerate(case["calls"]):
        if len(call) == 1:
            rule.lapse(call[0])
        else:
            rule.take(call[1], call[0])
        if rule.raised != raised:
            raised = rule.raised
            decisions.append([index] + told(rule))
        waits.append([index, rule.wait_ms(call[0])])
    check(decisions == case["decisions"], case["what"] + ": " + repr(decisions))
    for expected in case.get("wait", []):
        check(waits[expected[0]] == expected, case["what"] + ": wait " + repr(waits))


def check_refused(case):
    try:
        build_rule(case["kind"], case["parameters"])
    except RangeError as error:
        check(str(error).startswith(case["key"]), str(error))
        check("\n" not in str(error) and len(str(error)) > len(case["key"]) + 2, str(error))
        return
    check(False, "taken: " + repr(case))


def random_series(kind, parameters, dice, digest):
    rule = build_rule(kind, parameters)
    at_ms = dice.roll(1000) + (1 << 30) - 500
    value = 50
    decisions = 0
    raised = False
    for _ in range(1500):
        at_ms += dice.roll(25)
        value = max(0, min(100, value + dice.roll(41) - 20))
        kind_of_call = dice.roll(10)
        if kind_of_call == 0:
            rule.lapse(at_ms)
        elif kind_of_call == 1:
            rule.take(None, at_ms)
        else:
            rule.take(value if dice.roll(20) else 0, at_ms - (dice.roll(60) == 0) * 30)
        if rule.raised != raised:
            raised = rule.raised
            decisions += 1
        digest.update((repr(told(rule)) + repr(rule.wait_ms(at_ms))).encode())
    return decisions


def main(arguments):
    with open(arguments[0]) as source:
        golden = json.load(source)
    for case in golden["rules"]:
        check_golden(case)
    for case in golden["refused"]:
        check_refused(case)
    print("golden", len(golden["rules"]), len(golden["refused"]))
    for seed, (kind, parameters) in enumerate(RANDOM):
        digest = hashlib.sha256()
        decisions = random_series(kind, parameters, Dice(seed + 1), digest)
        check(decisions > 20, "a series that decides something")
        print(kind, decisions, binascii.hexlify(digest.digest()).decode())


main(sys.argv[1:])
