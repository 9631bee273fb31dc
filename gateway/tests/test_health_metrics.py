import re
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families
from snapshots import CITY, LIMITS, NOW_MS, PORT_0, WELL

from lilong_gateway.health.metrics import Metrics
from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.health.verdict import judge

Sample = tuple[str, tuple[tuple[str, str], ...]]


def scraped(snapshot: Snapshot, now_ms: int = NOW_MS) -> dict[Sample, float]:
    text = Metrics().text(snapshot, judge(snapshot, now_ms, LIMITS), now_ms).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_what_is_so_with_sources_sinks_and_store() -> None:
    found = scraped(WELL)
    port = ("source", "/dev/ttyUSB0")
    assert found["lilong_source_last_data_age_seconds", (port,)] == 3.0
    assert found["lilong_source_batches_total", (port,)] == 9
    assert found["lilong_source_refused_total", (("reason", "damaged"), port)] == 4
    assert found["lilong_ports", ()] == found["lilong_adapters", ()] == 1
    assert found["lilong_sink_connected", (("sink", "city"),)] == 1
    assert found["lilong_sink_waiting_batches", (("sink", "city"),)] == 1
    assert found["lilong_sink_last_confirmation_age_seconds", (("sink", "city"),)] == 2.0
    assert found["lilong_ingest_readings_total", ()] == 720
    assert found["lilong_store_autonomy_seconds", ()] == 360_000
    assert found["lilong_store_size_bytes", ()] == 4096
    assert found["lilong_store_expired_batches_total", (("class", "P2"),)] == 5
    assert found["lilong_nodes", (("known", "registered"),)] == 2
    assert found["process_resident_memory_bytes", ()] > 1_000_000
    assert found["process_start_time_seconds", ()] > 0


def test_one_state_is_1_and_the_others_are_0() -> None:
    for snapshot, state in ((WELL, "healthy"), (replace(WELL, sources=()), "degraded")):
        found = scraped(snapshot)
        assert {
            name: found["lilong_health_state", (("state", name),)]
            for name in ("healthy", "degraded", "dead")
        } == {name: float(name == state) for name in ("healthy", "degraded", "dead")}


def test_what_never_happened_has_no_age() -> None:
    found = scraped(replace(WELL, sinks=(replace(CITY, moved_ms=None, waiting=None),)))
    names = {name for name, _ in found}
    assert "lilong_sink_last_confirmation_age_seconds" not in names
    assert "lilong_sink_waiting_batches" not in names
    assert "lilong_sink_connected" in names


def test_names_carry_base_units_and_each_family_is_told_once() -> None:
    text = Metrics().text(WELL, judge(WELL, NOW_MS, LIMITS), NOW_MS).decode()
    names = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(dict(names)) == len(names)
    for name, kind in names:
        assert (kind == "counter") == name.endswith("_total")
        assert not re.search(r"_(ms|s|h|min|kb|mb|percent)\b", name)


def test_a_name_of_a_port_cannot_forge_a_line() -> None:
    odd = replace(PORT_0, name='/dev/"x"} 1\nlilong_ports 99')
    found = scraped(replace(WELL, sources=(odd,)))
    assert found["lilong_ports", ()] == 1
    assert found["lilong_source_up", (("kind", "port"), ("source", odd.name))] == 1
