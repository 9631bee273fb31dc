from dataclasses import replace

import pytest
from snapshots import CITY, HCI0, INGESTED, LIMITS, NOW_MS, PORT_0, STORED, WELL

from lilong_gateway.health.pulse import Beat
from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.health.verdict import DEAD, DEGRADED, HEALTHY, Verdict, judge


def verdict(snapshot: Snapshot, now_ms: int = NOW_MS) -> Verdict:
    return judge(snapshot, now_ms, LIMITS)


def test_when_data_moves_all_is_well() -> None:
    assert verdict(WELL) == Verdict(HEALTHY, ())
    assert verdict(WELL).text == "healthy"


SILENT = replace(PORT_0, moved_ms=NOW_MS - 1_300_000)
DOWN = replace(CITY, connected=None, trouble="cannot be reached (Connection refused)")


@pytest.mark.parametrize(
    ("snapshot", "what", "remedy"),
    [
        (replace(WELL, sinks=(DOWN,)), "Connection refused", "batches wait, none is lost"),
        (
            replace(WELL, sinks=(replace(CITY, stands_ms=NOW_MS - 180_000),)),
            "sink city has confirmed nothing for 3 min",
            "receiver",
        ),
        (
            replace(WELL, sources=(SILENT, HCI0)),
            "port /dev/ttyUSB0 gave no data for 21 min",
            "its node has power",
        ),
        (
            replace(WELL, sources=(replace(HCI0, moved_ms=None),)),
            "adapter hci0 gave no data for 2 h",
            "its nodes have power",
        ),
        (
            replace(WELL, sources=(replace(PORT_0, well=False, state="held by minicom"),)),
            "held by minicom",
            "free it",
        ),
        (replace(WELL, sources=()), "no port", "serial.ports"),
        (
            replace(WELL, ingest=replace(INGESTED, trouble="no room on the disk")),
            "nothing can be stored: no room on the disk",
            "make room",
        ),
        (
            replace(WELL, ingest=replace(INGESTED, queued=7, stands_ms=NOW_MS - 21_000)),
            "7 entries wait",
            "disk",
        ),
        (replace(WELL, store=replace(STORED, figures={"autonomy_h": 1.25})), "1.2 h", "max_bytes"),
        (replace(WELL, store=replace(STORED, full="cap")), "store is full", "max_bytes"),
        (replace(WELL, store=replace(STORED, full="disk")), "disk is full", "make room"),
        (
            replace(WELL, store=replace(STORED, figures={"traces": 2})),
            "2 deleted",
            "lilong-gateway store",
        ),
        (replace(WELL, clock_set=False), "clock", "NTP"),
        (replace(WELL, keys_trouble="nodes.toml:3: not TOML"), "nodes.toml:3", "correct it"),
        (replace(WELL, downlink_troubles=2), "2 files", "check"),
        (replace(WELL, serving=False), "store is being opened", "wait"),
        (replace(WELL, failing={"uplink city": 5}), "uplink city failed 5 times", "log"),
    ],
)
def test_what_a_restart_would_not_help_is_degraded_and_says_what_to_do(
    snapshot: Snapshot, what: str, remedy: str
) -> None:
    found = verdict(snapshot)
    assert found.state == DEGRADED
    (reason,) = found.reasons
    assert what in reason.what
    assert remedy in reason.remedy


def test_a_frozen_duty_is_dead_and_told_first() -> None:
    beat = Beat("ingest", busy=True, since_ms=NOW_MS - 25_000, frozen=True)
    found = verdict(replace(WELL, beats=(beat,), sinks=(DOWN,)))
    assert found.state == DEAD
    assert [reason.state for reason in found.reasons] == [DEAD, DEGRADED]
    assert found.reasons[0].what == "ingest has been at one step for 25 s"


def test_a_snapshot_is_worth_less_the_older_it_is() -> None:
    assert verdict(WELL, WELL.taken_ms + 20_000).state == HEALTHY
    found = verdict(WELL, WELL.taken_ms + 20_001)
    assert found.state == DEAD
    assert "event loop" in found.reasons[0].what


def test_ingest_that_fails_again_and_again_is_dead() -> None:
    assert verdict(replace(WELL, failing={"ingest": 4})).state == HEALTHY
    assert verdict(replace(WELL, failing={"ingest": 5})).state == DEAD


def test_without_any_node_no_source_is_expected_to_speak() -> None:
    found = verdict(replace(WELL, sources=(SILENT,), nodes={"registered": 0, "heard": 0}))
    assert found.state == HEALTHY


def test_a_gateway_that_stops_blames_nobody_else() -> None:
    found = verdict(replace(WELL, stopping=True, sources=(SILENT,), sinks=(DOWN,)))
    assert [reason.what for reason in found.reasons] == ["it is stopping"]
