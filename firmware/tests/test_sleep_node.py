import json
import random
import time
from pathlib import Path

import pytest

from bootstate import BootState
from lilong_firmware.sleep.retained import Retained
from lilong_protocol.request import STATUS

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).with_name("sleep_probe.py")
UNIX_AT_2000_MS = 946_684_800_000
BASE_MS = 1_700_000_000_000
WATCHDOG = 3
OF_SLEEP = {"rtc.bin", "deepsleep", "truth.log"}
"""What a node writes that only takes a round and sleeps: memory of a chip, and the test's own."""
TRUE_TIME = {"number": 0, "name": "true_time", "unit": "s", "exponent": -3, "privacy": 0}
COUNT = {"number": 1, "name": "n", "unit": "count", "privacy": 0}


class Sleeper:
    """A bench with a node that sleeps and tells true times, and a gateway that knows the time."""

    def __init__(self, bench):
        self.bench = bench
        self.gateway = bench.gateway
        self.gateway.set_clock(time.time_ns() // 1_000_000 - UNIX_AT_2000_MS)
        self.how = {"program": PROBE}

    def start(self, cause=1, settings=None, **sleep):
        if sleep:
            self.bench.settings(
                channels=[TRUE_TIME, COUNT],
                sensor={"kind": "river"},
                health_ms=0,
                **(settings or {}),
                sleep={"every_s": 1, "awake_s": 3, "linger_s": 0, **sleep},
            )
        self.bench.start(cause=cause, **self.how)

    def until(self, condition, limit_s=60):
        self.bench.live_until(condition, limit_s, **self.how)

    def asleep(self):
        return self.bench.process.poll() is not None

    def truth(self):
        """True times of what was read, in ms."""
        path = self.bench.folder / "truth.log"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def delivered(self):
        """(error of its time in ms, true time in ms) of readings whose time is known."""
        return [
            (moment + UNIX_AT_2000_MS - BASE_MS - value, value)
            for boot, moment, value in self.gateway.readings(0)
            if boot is None
        ]

    def values(self):
        return [value for _, _, value in self.gateway.readings(0)]

    def state(self):
        class File:
            """What the chip's memory holds now."""

            def __init__(self, data):
                self.data = data

            def retained(self):
                return self.data

        return Retained(File((self.bench.folder / "rtc.bin").read_bytes())).state

    def files(self):
        return {
            path.relative_to(self.bench.folder).as_posix(): path.stat().st_mtime_ns
            for path in self.bench.folder.rglob("*")
            if path.name not in OF_SLEEP
        }


@pytest.fixture
def node(bench):
    return Sleeper(bench)


def test_a_node_sleeps_dozens_of_cycles_and_delivers_every_reading_with_its_time(node):
    node.start(send_every_s=6)
    node.until(lambda: len(node.values()) >= 36, limit_s=120)
    truth = node.truth()
    assert node.values() == truth[: len(node.values())]
    assert len(truth) - len(node.values()) <= 7
    gaps = [later - earlier for earlier, later in zip(truth, truth[1:], strict=False)]
    assert sum(gaps) / len(gaps) == pytest.approx(1000, rel=0.05)
    assert len({hello.boot_id for hello in node.gateway.hellos}) == 1
    assert [hello.reset_cause for hello in node.gateway.hellos][:3] == [1, 4, 4]
    # What was acknowledged before a sleep is not sent again after it.
    begins = [hello.first[2] for hello in node.gateway.hellos]
    assert begins == sorted(set(begins))
    assert len(node.delivered()) >= 35
    assert all(abs(error_ms) < 500 for error_ms, _ in node.delivered())
    times = [moment for boot, moment, _ in node.gateway.readings(0) if boot is None]
    assert times == sorted(set(times))


def test_a_wake_that_takes_a_round_writes_nothing_to_flash(node):
    node.start(send_every_s=600)
    node.until(node.asleep)
    before, taken = node.files(), len(node.truth())
    assert BootState(str(node.bench.folder / "boot.bin")).failures == 0
    node.until(lambda: len(node.truth()) >= taken + 6 and node.asleep())
    assert node.files() == before
    assert node.state().rounds >= 6
    assert "sequence" not in node.bench.output.split("\n", 1)[1]


def test_a_sleeping_clock_that_is_five_percent_slow_is_found_out(node):
    node.how["SLEEP_PPM"] = "50000"
    node.start(send_every_s=12)
    node.until(lambda: len(node.delivered()) >= 36, limit_s=120)
    first, last = node.delivered()[:11], node.delivered()[-10:]
    assert max(abs(error_ms) for error_ms, _ in first) > 350
    assert max(abs(error_ms) for error_ms, _ in last) < 150
    assert node.values() == node.truth()[: len(node.values())]


def test_kill_9_at_any_moment_loses_no_more_than_the_reading_that_is_taken(node):
    chance = random.Random(5)
    node.start(send_every_s=3)
    kills = 0
    while kills < 8:
        until = time.monotonic() + chance.uniform(0.1, 2.5)
        node.until(lambda until=until: time.monotonic() > until)
        if node.asleep():
            # There is nothing to kill: a chip in deep sleep runs no code.
            continue
        node.bench.kill()
        kills += 1
        node.start(cause=WATCHDOG)
    taken = len(node.truth())
    node.until(lambda: node.values()[-1:] > node.truth()[taken - 1 : taken], limit_s=30)
    values, truth = node.values(), node.truth()
    assert len(values) == len(set(values))
    assert set(values) <= set(truth)
    lost = [moment for moment in truth if moment < values[-1] and moment not in values]
    assert len(lost) <= kills


def test_a_power_cut_loses_the_rounds_in_the_memory_and_nothing_that_was_in_flash(node):
    node.start(send_every_s=600)
    node.until(lambda: len(node.truth()) >= 4 and node.asleep())
    first = node.truth()[0]
    node.bench.kill()
    node.start(cause=1)
    node.until(lambda: len(node.values()) >= 2)
    assert node.values()[0] == first
    assert node.values()[1] > node.truth()[3]


def test_without_a_gateway_the_rounds_go_to_the_journal_and_all_of_them_arrive(node):
    node.start(send_every_s=600, send_rounds=4, retry_s=600, awake_s=1)
    deadline = time.monotonic() + 60
    node.gateway.deaf_to = ""
    node.until(lambda: len(node.truth()) >= 14 or time.monotonic() > deadline)
    assert node.values() == []
    node.gateway.deaf_to = None
    node.until(lambda: len(node.values()) >= 14)
    assert node.values() == node.truth()[: len(node.values())]
    # The gateway heard of them only now, and dates them by the boot.
    boots = {boot for boot, _, _ in node.gateway.readings(0)[:10]}
    assert boots == {node.gateway.hellos[0].boot_id}


def test_attempts_to_deliver_become_rare_while_nobody_listens(node):
    node.gateway.deaf_to = ""
    node.start(send_every_s=16, retry_s=2, awake_s=1)
    node.until(lambda: node.asleep() and node.state().failures >= 3)
    told = [hello.uptime_ms // 1000 for hello in node.gateway.hellos]
    starts = [
        second for second, before in zip(told[1:], told, strict=False) if second > before + 1
    ]
    assert len(starts) == 2
    assert starts[1] - starts[0] >= 4
    assert node.state().send_ms - node.state().uptime_ms > 6000


def test_wakes_that_fail_keep_the_rounds_and_lead_to_a_whole_start_the_third_time(node):
    node.start(send_every_s=600)
    node.until(lambda: node.asleep() and len(node.truth()) >= 4)
    kept = node.truth()[:]
    (node.bench.folder / "failing").touch()
    node.until(lambda: node.bench.output.count("wake: ValueError") == 3 and not node.asleep())
    (node.bench.folder / "failing").unlink()
    node.until(lambda: set(kept) <= set(node.values()))
    assert len(node.gateway.hellos) == 2
    assert node.gateway.hellos[1].reset_cause == 16
    assert node.bench.output.split("loader: ")[1].count("wake: ValueError") == 3
    assert "wake at " in (node.bench.folder / "crash.txt").read_text()
    assert len(node.values()) == len(set(node.values()))


def test_wakes_that_go_on_failing_start_the_whole_node_ever_more_rarely(node):
    node.start(send_every_s=600)
    node.until(lambda: node.asleep() and len(node.truth()) >= 2)
    (node.bench.folder / "failing").touch()

    def starts():
        return node.bench.output.count("loader: the base, sequence 0")

    node.until(lambda: starts() >= 3, limit_s=90)
    fails = node.bench.output.count("wake: ValueError")
    assert 6 <= fails <= 7


def test_news_start_the_whole_node_at_once_and_only_once(node):
    level_ms = int(time.time() * 1000) - BASE_MS
    settings = {"channels": [TRUE_TIME, COUNT]}
    node.bench.settings(
        **settings,
        sensor={"kind": "river"},
        health_ms=0,
        sleep={
            "every_s": 1,
            "awake_s": 3,
            "linger_s": 0,
            "send_every_s": 600,
            "watch": [{"channel": 1, "above": level_ms // 1000 + 6}],
        },
    )
    node.start()
    node.until(lambda: len(node.gateway.hellos) >= 2)
    node.until(lambda: len(node.values()) >= 3)
    limit = level_ms // 1000 + 6
    first = min(value // 1000 for value in node.truth() if value >= 1000 * (limit + 1))
    assert node.values()[-1] // 1000 == first
    heard, taken = len(node.gateway.hellos), len(node.truth())
    node.until(lambda: len(node.truth()) >= taken + 3)
    assert len(node.gateway.hellos) == heard


def test_a_node_that_tells_of_itself_tells_the_error_of_its_clock(bench):
    node = Sleeper(bench)
    bench.settings(
        channels=[TRUE_TIME, COUNT],
        sensor={"kind": "river"},
        sleep={"every_s": 1, "awake_s": 3, "linger_s": 0, "send_every_s": 3},
        health_ms=1000,
    )
    node.start()
    node.until(lambda: len(node.gateway.readings(204)) >= 2)
    assert len(node.gateway.readings(200)) >= 3
    assert all(error >= 0 for _, _, error in node.gateway.readings(204))


def test_a_gateway_that_asks_for_something_keeps_the_node_awake_for_more(node):
    node.start(send_every_s=600, linger_s=2)
    node.until(lambda: node.values() and node.gateway.request(STATUS, b""))
    node.until(lambda: node.gateway.responses)
    answered = time.monotonic()
    node.until(node.asleep)
    assert time.monotonic() - answered >= 4.5


def test_a_sensor_that_is_none_leaves_a_node_that_sleeps_and_talks(bench):
    node = Sleeper(bench)
    node.how = {}
    bench.settings(
        channels=[TRUE_TIME],
        sensor={"kind": "replay", "file": "none", "value_columns": [1]},
        sleep={"every_s": 1, "awake_s": 3, "linger_s": 0, "send_every_s": 2},
        health_ms=0,
    )
    node.start()
    node.until(lambda: len(node.gateway.hellos) >= 3)
    assert "a replay cannot sleep" in bench.output
    assert node.gateway.readings(0) == []


def test_a_simulated_scenario_sleeps_and_ends_in_order(bench):
    node = Sleeper(bench)
    node.how = {}
    bench.settings(
        channels=[{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
        sensor={"kind": "river"},
        sleep={"every_s": 1, "awake_s": 3, "linger_s": 0, "send_every_s": 600},
        health_ms=0,
        trace="trace.log",
    )
    node.start()
    node.until(lambda: node.asleep() and node.state().rounds >= 3)
    (bench.folder / "stop").touch()
    node.until(lambda: len(node.gateway.readings(0)) >= 4)
    assert bench.run_to_end() == 0
    found = [str(value) for _, _, value in node.gateway.readings(0)]
    assert found == [words[2] for words in bench.lines("s")]
    assert len(set(found)) > 1


def test_real_drivers_are_read_in_each_wake_and_tell_what_goes_wrong(bench):
    chip = {"chip": "sht4x", "address": 68, "temperature": 21.5, "humidity": 40}
    world = {"i2c0": [{**chip, "faults": [["absent", 6, 9]]}]}
    (bench.folder / "chips.json").write_text(json.dumps(world))
    bench.settings(
        sensor={"kind": "devices"},
        buses={"i2c0": {"sda": 21, "scl": 22}},
        devices={"box": {"driver": "sht4x", "bus": "i2c0"}},
        channels=[
            {"number": 0, "name": "t", "source": "box.temperature", "privacy": 0},
            {"number": 2, "name": "box", "source": "box.status", "privacy": 0},
        ],
        health_ms=0,
        sleep={"every_s": 1, "send_every_s": 5, "awake_s": 3, "linger_s": 0},
    )
    bench.gateway.set_clock(time.time_ns() // 1_000_000 - UNIX_AT_2000_MS)

    def values(channel):
        return [value for _, _, value in bench.gateway.readings(channel)]

    bench.start()
    bench.live_until(lambda: 1 in values(2) and values(2)[-1] == 0, 60)
    assert all(abs(value - 2150) < 5 for value in values(0))
    assert len(values(0)) == values(2).count(0) >= 6
    assert len({hello.boot_id for hello in bench.gateway.hellos}) == 1
    bench.kill()
