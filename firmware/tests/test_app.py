import json
import os
import random
import time
from pathlib import Path

import pytest

import lilong_firmware.sensors
from lilong_firmware.flash import FileFlash
from lilong_firmware.journal import Journal

SCENARIOS = Path(lilong_firmware.sensors.__file__).parents[1] / "scenarios"
OWN = 200
"""The lowest number of the node's own channels."""
LEVEL = {"number": 0, "name": "level", "unit": "m", "exponent": -2, "privacy": 0}
FLOW = {"number": 1, "name": "flow", "unit": "m3/s", "exponent": -1, "privacy": 0}


def scenario(kind, **changes):
    return {**json.loads((SCENARIOS / f"{kind}.json").read_text()), "trace": "trace.log"} | changes


def recording(folder, rows):
    lines = [f"{1527825600 + 300 * n},{n * 7 % 1000 / 100:.2f},{n % 90 / 10:.1f}" for n in rows]
    (folder / "x.csv").write_text("time,level,flow\n" + "\n".join(lines) + "\n")


def replay(**changes):
    sensor = {"kind": "replay", "file": "x.csv", "value_columns": [1, 2], "exit_at_end": True}
    return {
        "channels": [LEVEL, FLOW],
        "batch_readings": 40,
        "batch_ms": 200,
        "trace": "trace.log",
        "sensor": {**sensor, "speed": 300_000, **changes},
    }


def sampled(bench, channel):
    return [(int(words[2]), words[1]) for words in bench.lines("s") if int(words[0]) == channel]


def delivered(bench, channel):
    return [
        (value, str(moment) if boot is None else f"u{moment}")
        for boot, moment, value in bench.gateway.readings(channel)
    ]


@pytest.mark.parametrize("kind", ["bicycle", "crowd", "elevator", "river", "vitals"])
def test_a_node_delivers_what_it_samples_and_ends_in_order(bench, kind):
    bench.settings(**scenario(kind, report_ms=20, batch_ms=300))
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 12)
    assert bench.stop() == 0
    assert bench.trace()[-1] == ["e"]
    assert not (bench.folder / "stop").exists()
    for channel in scenario(kind)["channels"]:
        assert delivered(bench, channel["number"]) == sampled(bench, channel["number"])
    described = bench.gateway.descriptors[0]
    names = [channel.name for channel in described if channel.number < OWN]
    assert names == [channel["name"] for channel in scenario(kind)["channels"]]


def test_the_same_node_runs_on_64_bits(bench64):
    bench64.settings(**scenario("river", report_ms=20, batch_ms=300))
    bench64.start()
    bench64.run_until(lambda: len(bench64.gateway.batches) > 12)
    assert bench64.stop() == 0
    assert delivered(bench64, 0) == sampled(bench64, 0)


def test_readings_before_the_first_synchronisation_carry_boot_and_uptime(bench):
    bench.settings(**scenario("river", report_ms=20, batch_ms=200))
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 10)
    assert bench.stop() == 0
    boots = [boot for boot, _, _ in bench.gateway.readings(0)]
    boot_id = int(bench.lines("b")[0][0])
    assert boots[0] == boot_id == bench.gateway.hellos[0].boot_id
    assert boots[-1] is None
    assert boots == sorted(boots, key=lambda boot: boot is None)


def test_a_recording_is_delivered_whole_and_the_node_ends_by_itself(bench):
    recording(bench.folder, range(300))
    bench.settings(**replay())
    bench.start()
    assert bench.run_to_end() == 0
    expected = [(None, (1527825600 - 946684800 + 300 * n) * 1000) for n in range(300)]
    assert [(boot, moment) for boot, moment, _ in bench.gateway.readings(0)] == expected
    assert [value for _, _, value in bench.gateway.readings(1)] == [n % 90 for n in range(300)]


def test_kill_9_at_any_moment_loses_and_doubles_no_row(bench):
    rows = 1500
    recording(bench.folder, range(rows))
    bench.settings(**replay())
    chance = random.Random(11)
    kills = 0
    while True:
        bench.start()
        until = time.monotonic() + chance.uniform(0.05, 0.6)
        while bench.process.poll() is None and (kills >= 8 or time.monotonic() < until):
            bench.gateway.step()
        if bench.process.poll() is not None:
            break
        bench.kill()
        kills += 1
    bench.kill()
    assert bench.process.returncode == 0
    assert kills >= 5
    for channel in (0, 1):
        moments = [moment for _, moment, _ in bench.gateway.readings(channel)]
        assert len(moments) == rows
        assert moments == sorted(set(moments))
    assert journalled(bench) == {key[1:] for key in bench.gateway.batches}


def journalled(bench):
    return {(int(words[1]), int(words[2])) for words in bench.lines("j")}


def test_without_a_gateway_batches_wait_and_survive_a_reset(bench):
    bench.settings(**scenario("river", report_ms=10, batch_ms=100))
    bench.start()
    while len(bench.lines("j")) < 30 and bench.process.poll() is None:
        time.sleep(0.05)
    bench.kill()
    waiting = journalled(bench)
    bench.start()
    bench.run_until(lambda: waiting <= {key[1:] for key in bench.gateway.batches})
    assert bench.stop() == 0
    assert len({hello.epoch for hello in bench.gateway.hellos}) == 1


def test_a_full_journal_gives_all_that_is_left_to_the_gateway_that_returns(bench):
    flash = FileFlash(str(bench.folder / "journal"), 16384)
    journal = Journal(flash, os.urandom)
    appended = 2000
    for seq in range(appended):
        journal.append(2, b"batch %d" % seq * 12)
    left = {seq: item for seq in range(appended) if (item := journal.read(2, seq))}
    flash.close()
    assert journal.counters["dropped"] == appended - len(left)
    bench.settings(**scenario("river", report_ms=500, batch_ms=500, journal_bytes=16384))
    bench.start()
    bench.run_until(lambda: (journal.epoch, 2, appended) in bench.gateway.batches)
    assert bench.stop() == 0
    got = {key[2]: item for key, item in bench.gateway.batches.items()}
    assert {seq: item for seq, item in got.items() if item and seq < appended} == left
    assert min(left) > 64
    assert bench.gateway.given_up[journal.epoch, 2] == min(left)
    assert len(got) < appended - min(left) + 64


def test_a_recording_waits_for_room_instead_of_pushing_out_its_own_rows(bench):
    rows = 3000
    recording(bench.folder, range(rows))
    bench.settings(**replay() | {"batch_readings": 4}, journal_bytes=16384)
    bench.start()
    waiting = 0
    while waiting < 100 or waiting < len(bench.lines("j")):
        assert bench.process.poll() is None
        waiting = len(bench.lines("j"))
        time.sleep(0.5)
    assert waiting < rows // 2
    assert bench.run_to_end() == 0
    moments = [moment for _, moment, _ in bench.gateway.readings(0)]
    assert len(moments) == rows
    assert moments == sorted(set(moments))


def test_a_full_line_stalls_nothing_but_itself(bench):
    bench.settings(**scenario("river", report_ms=10, batch_ms=100))
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 5)
    before = len(bench.lines("s"))
    for _ in range(40):
        time.sleep(0.1)
        assert bench.process.poll() is None
    assert len(bench.lines("s")) > before + 600
    assert bench.stop() == 0
    assert delivered(bench, 0) == sampled(bench, 0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"eui": "0011223344556677", "channels": [', "settings.json: is not JSON"),
        ('{"eui": nobody}', "settings.json: is not JSON"),
        ('{"eui": "zz11223344556677"}', "eui: must be 16"),
        ('{"eui": "0011223344556677", "report_ms": -1}', "report_ms: must be"),
        (None, "settings.json: cannot be read"),
    ],
)
def test_unusable_settings_never_stop_the_node_from_talking(bench, text, line):
    if text is not None:
        (bench.folder / "settings.json").write_text(text)
    bench.start()
    bench.run_until(lambda: bench.gateway.descriptors)
    assert all(channel.number >= OWN for channel in bench.gateway.descriptors[0])
    assert bench.gateway.hellos[0].eui == bytes.fromhex("0011223344556677")
    assert bench.stop() == 0
    assert f"\n{line}" in bench.output


@pytest.mark.parametrize("uart", [{"id": 9}, {"tx": 99}, {"id": 2, "rx": 60, "baud": 9600}])
def test_a_line_that_the_chip_has_not_never_stops_the_node_from_talking(bench, uart):
    bench.settings(**scenario("river", report_ms=20, batch_ms=200, uart=uart))
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 3)
    assert bench.stop() == 0
    assert "\nuart: " in bench.output


def test_an_absent_recording_never_stops_the_node_from_talking(bench):
    bench.settings(**replay())
    bench.start()
    bench.run_until(lambda: bench.gateway.descriptors)
    assert [channel.name for channel in bench.gateway.descriptors[0]][:2] == ["level", "flow"]
    bench.kill()
    assert "x.csv" in bench.output


def test_without_a_key_the_node_says_so_and_gives_up(bench):
    bench.settings(**scenario("river"))
    (bench.folder / "key.bin").unlink()
    bench.start()
    assert bench.wait() == 2
    assert bench.output.endswith("\nkey.bin: cannot be read; provision the node\n")


FAULTY = """
import gc
gc.threshold(32768)
import time
from lilong_firmware.app import App
from lilong_firmware.board import Board
from loader import Loader

class Faulty(Board):
    calls = 0

    def unix_ms(self):
        self.calls += 1
        if self.calls == 20:
            {fault}
        return 0

Loader().run(lambda boot: App(Faulty(), boot).run())
"""


def faulty(bench, fault):
    path = bench.folder / "faulty.py"
    path.write_text(FAULTY.format(fault=fault))
    return path


def test_an_unexpected_error_is_noted_and_its_cause_told_after_the_reset(bench):
    bench.settings(**scenario("river", report_ms=20))
    bench.start(faulty(bench, "raise ValueError('out of paper')"))
    assert bench.run_to_end() == 75
    assert "out of paper" in (bench.folder / "crash.txt").read_text()
    bench.start(cause=2)
    bench.run_until(lambda: len(bench.gateway.hellos) > 1)
    assert bench.gateway.hellos[-1].reset_cause == 16


UNABLE = """
import gc
gc.threshold(32768)
from lilong_firmware.app import App
from lilong_firmware.board import Board
from loader import Loader

class Unable(Board):
    def uart(self, running, usual):
        raise MemoryError("no room for the line")

Loader().run(lambda boot: App(Unable(), boot).run())
"""


def test_an_error_outside_of_all_duties_resets_the_node_too(bench):
    bench.settings(**scenario("river", report_ms=20))
    (bench.folder / "unable.py").write_text(UNABLE)
    bench.start(bench.folder / "unable.py")
    assert bench.run_to_end() == 75
    assert "no room for the line" in (bench.folder / "crash.txt").read_text()
    bench.start(cause=2)
    bench.run_until(lambda: bench.gateway.hellos)
    assert bench.gateway.hellos[-1].reset_cause == 16


def test_after_three_early_crashes_the_node_talks_without_its_sensors(bench):
    bench.settings(**scenario("river", report_ms=20))
    program = faulty(bench, "raise ValueError('out of paper')")
    for _ in range(3):
        bench.start(program)
        assert bench.run_to_end() == 75
    bench.start(program)
    described = len(bench.gateway.descriptors)
    bench.run_until(lambda: len(bench.gateway.descriptors) > described)
    assert bench.stop() == 0
    assert "sensors stay off" in bench.output


def test_a_node_that_hangs_is_ended_by_its_watchdog(bench):
    bench.settings(**scenario("river", report_ms=20, watchdog_ms=5000))
    bench.start(faulty(bench, "time.sleep(50)"))
    assert bench.run_to_end() == -14
    bench.start(cause=3)
    bench.run_until(lambda: len(bench.gateway.hellos) > 1)
    assert bench.gateway.hellos[-1].reset_cause == 3


def test_the_heap_holds_little_beside_the_code_and_does_not_grow(bench):
    bench.settings(**scenario("elevator", report_ms=10, batch_ms=500))
    bench.start()
    bench.run_until(lambda: len(bench.lines("m")) >= 3)
    assert bench.stop() == 0
    heap = [(int(words[0]), int(words[1])) for words in bench.lines("m")]
    assert max(used - imported for imported, used in heap) <= 40 * 1024
    assert heap[-1][1] - heap[1][1] < 2048
