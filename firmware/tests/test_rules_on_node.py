"""Rules on a real node: MicroPython, a journal, a line; its pins are in pins.log."""

import time

from lilong_protocol.blocks import decode_block
from lilong_protocol.frame import ALARM_STREAM

LEVEL, FLOOD, SIREN = range(3)
PIN = "25"


def channel(number, name, source="", interval_ms=100):
    entry = {"number": number, "name": name, "privacy": 0, "source": source}
    return {**entry, "interval_ms": interval_ms}


def watch_the_level(bench, values, **rule):
    rows = [f"2024-01-01 00:00:{index:02},{value}\n" for index, value in enumerate(values)]
    (bench.folder / "levels.csv").write_text("time,level\n" + "".join(rows))
    limit = {"name": "flood", "kind": "limit", "channel": "level", "above": 30, **rule}
    bench.settings(
        channels=[
            channel(LEVEL, "level"),
            channel(FLOOD, "flood", "rules.flood"),
            channel(SIREN, "siren", "outputs.siren"),
        ],
        sensor={"kind": "replay", "file": "levels.csv", "value_columns": [1], "speed": 5},
        batch_ms=60000,
        health_ms=0,
        trace="trace.log",
        rules=[{**limit, "outputs": ["siren"]}],
        outputs={"siren": {"pin": int(PIN), "longest_s": 60, "allow": ["flood"]}},
    )


def levels(bench):
    """Return what the siren's pin was set to."""
    path = bench.folder / "pins.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(words[2]) for words in map(str.split, lines) if words[1] == PIN]


def alarms(bench):
    blocks = [
        decode_block(item)
        for (_, stream, _), item in sorted(bench.gateway.batches.items())
        if stream == ALARM_STREAM
    ]
    return [block.columns[0] for block in blocks]


def wait_without_a_gateway(bench, wanted):
    deadline = time.monotonic() + 60
    while levels(bench) != wanted:
        assert time.monotonic() < deadline, levels(bench)
        assert bench.process.poll() is None, bench.console()
        time.sleep(0.02)


def test_an_output_is_switched_without_a_gateway_and_a_gateway_that_comes_learns_of_it(bench):
    watch_the_level(bench, [1, 1, 50, 50, 50, 1, 1], for_ms=100)
    bench.start()
    wait_without_a_gateway(bench, [0, 1, 0])
    bench.run_until(lambda: len(alarms(bench)) == 6)
    assert alarms(bench) == [
        (FLOOD, [1]),
        (LEVEL, [50]),
        (SIREN, [1]),
        (FLOOD, [0]),
        (LEVEL, [1]),
        (SIREN, [0]),
    ]
    assert bench.stop() == 0


def test_time_alone_switches_an_output_and_the_orderly_end_switches_it_off(bench):
    watch_the_level(bench, [1, 50], for_ms=500)
    bench.start()
    wait_without_a_gateway(bench, [0, 1])
    assert bench.stop() == 0
    assert levels(bench) == [0, 1, 0]


def test_outputs_are_switched_off_and_stay_so_when_sensors_stay_off(bench):
    watch_the_level(bench, [50] * 59)
    (bench.folder / "reset.txt").write_text("0 3\n")
    bench.start()
    wait_without_a_gateway(bench, [0])
    bench.run_until(lambda: bench.gateway.turns > 0)
    assert "sensors stay off" in bench.console()
    assert bench.stop() == 0
    assert levels(bench) == [0]
