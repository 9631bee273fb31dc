from lilong_gateway.health.progress import Progress
from lilong_gateway.health.pulse import Pulses


class Time:
    def __init__(self) -> None:
        self.now_ms = 1000

    def __call__(self) -> int:
        return self.now_ms


def frozen(pulses: Pulses, time: Time) -> list[str]:
    return [beat.duty for beat in pulses.beats(time.now_ms) if beat.frozen]


def test_a_step_that_does_not_end_is_frozen_and_one_that_ends_is_not() -> None:
    time = Time()
    pulses = Pulses(20.0, time)
    pulse = pulses.add("ingest")
    pulse.work()
    time.now_ms += 20_000
    assert frozen(pulses, time) == []
    time.now_ms += 1
    assert frozen(pulses, time) == ["ingest"]
    pulse.work()
    assert frozen(pulses, time) == []


def test_rest_may_last_for_ever() -> None:
    time = Time()
    pulses = Pulses(20.0, time)
    pulse = pulses.add("ingest")
    pulse.work()
    pulse.rest()
    time.now_ms += 1_000_000_000
    assert frozen(pulses, time) == []


def test_a_repair_of_the_store_that_proceeds_excuses_all_who_wait_for_it() -> None:
    time = Time()
    pulses = Pulses(20.0, time)
    pulses.add("ingest").work()
    for _ in range(10):
        pulses.repair.work()
        time.now_ms += 15_000
        assert frozen(pulses, time) == []
    pulses.repair.rest()
    time.now_ms += 20_000
    assert frozen(pulses, time) == []
    time.now_ms += 1
    assert frozen(pulses, time) == ["ingest"]


def test_a_repair_that_stands_still_is_frozen_itself() -> None:
    time = Time()
    pulses = Pulses(20.0, time)
    pulses.add("ingest").work()
    pulses.repair.work()
    time.now_ms += 20_001
    assert frozen(pulses, time) == ["store repair"]


def test_a_duty_that_stopped_is_at_rest_with_all_its_parts() -> None:
    time = Time()
    pulses = Pulses(20.0, time)
    for name in ("uplink city", "uplink city live", "uplink citymap"):
        pulses.add(name).work()
    pulses.calm("uplink city")
    time.now_ms += 20_001
    assert frozen(pulses, time) == ["uplink citymap"]


def test_a_duty_that_is_gone_is_forgotten() -> None:
    pulses = Pulses(20.0, Time())
    pulses.add("station /dev/ttyUSB0")
    pulses.remove("station /dev/ttyUSB0")
    assert [beat.duty for beat in pulses.beats(0)] == ["store repair"]


def test_standing_still_counts_from_when_something_waits() -> None:
    progress = Progress()
    progress.note(5, 1000, waiting=False)
    assert (progress.moved_ms, progress.stands_ms) == (None, None)
    progress.note(5, 9000, waiting=True)
    progress.note(5, 9500, waiting=True)
    assert (progress.moved_ms, progress.stands_ms) == (None, 9000)
    progress.note(6, 9900, waiting=True)
    assert (progress.moved_ms, progress.stands_ms) == (9900, 9900)
    progress.note(7, 9999, waiting=False)
    assert (progress.moved_ms, progress.stands_ms) == (9999, None)
