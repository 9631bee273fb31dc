import random
import subprocess
from pathlib import Path

import pytest

from lilong_firmware.crash import HARD, PANIC, PLANNED, CrashNotes
from lilong_firmware.sensors.catalogue import build_sensor
from lilong_firmware.sleep.retained import LOG_BYTES, Retained
from lilong_firmware.sleep.rounds import add_round, most_bytes, read_rounds
from lilong_firmware.sleep.state import ALARMED, KNOWN, State
from lilong_firmware.virtual.cut_memory import CutMemory, ResetError

ROOT = Path(__file__).parents[2]


def state(**changes):
    made = State(7, 9, 60_000)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def same(one, other):
    return (one.pack(), one.log) == (other.pack(), other.log)


def filled(made, rounds, channels=2, seed=1):
    """The rounds that a state took until one found no room."""
    chance = random.Random(seed)
    taken = []
    uptime_ms = 5000
    for _ in range(rounds):
        readings = [(number, 200 + chance.randint(-9, 9)) for number in range(channels)]
        if not add_round(made, uptime_ms, readings, LOG_BYTES):
            break
        taken.append((uptime_ms, readings))
        uptime_ms += 60_000 + chance.randint(-12, 12)
    return taken


def test_rounds_come_back_as_they_were_whatever_they_hold():
    made = state()
    chance = random.Random(3)
    taken = []
    uptime_ms = 1 << 40
    numbers = []
    for turn in range(60):
        numbers = chance.sample(range(200), chance.randint(1, 5)) if turn % 7 == 0 else numbers
        wide = 1 << chance.choice([3, 12, 40, 63])
        readings = [(number, chance.randint(-wide, wide)) for number in numbers]
        uptime_ms += chance.choice([1, 60_000, 59_990, 10_000_000])
        if add_round(made, uptime_ms, readings, LOG_BYTES):
            taken.append((uptime_ms, readings))
    assert len(taken) > 30
    assert list(read_rounds(made)) == taken
    assert made.rounds == len(taken)


def test_no_round_is_longer_than_its_limit():
    made = state()
    before = 0
    for turn, uptime_ms in enumerate([1 << 41, 1, 1 << 41]):
        wide = (1 << 63) - 1 if turn % 2 else -(1 << 63)
        add_round(made, uptime_ms, [(number, wide) for number in range(150, 156)], LOG_BYTES)
        assert len(made.log) - before <= most_bytes(6)
        before = len(made.log)
    assert made.channels == 6


def test_a_round_without_room_changes_nothing():
    made = state()
    taken = filled(made, 5000)
    kept = (made.log, made.rounds, made.round_ms, made.full_at)
    assert not add_round(made, made.round_ms + 1, [(0, 1 << 62)], LOG_BYTES)
    assert (made.log, made.rounds, made.round_ms, made.full_at) == kept
    assert list(read_rounds(made)) == taken


@pytest.mark.parametrize(
    ("kind", "channels", "least"),
    [("river", (0,), 500), ("river", (0, 2, 4), 250), ("river", range(6), 130)],
)
def test_so_many_rounds_of_a_sensor_fit(kind, channels, least):
    made = state()
    sensor = build_sensor(kind, 1)
    chance = random.Random(5)
    uptime_ms = 400
    while True:
        readings = [one for one in sensor.read(uptime_ms, None) if one[0] in channels]
        if not add_round(made, uptime_ms, readings, LOG_BYTES):
            break
        uptime_ms += 60_000 + chance.randint(-15, 15)
    print(f"{kind} {len(channels)} channels: {made.rounds} rounds in {LOG_BYTES} bytes")
    assert made.rounds >= least


def test_a_state_comes_back_as_it_was():
    memory = CutMemory()
    made = state(uptime_ms=1 << 40, rate_ppm=-31_000, told_ms=848_000_000_123, failures=3)
    made.mark(KNOWN, True)
    made.mark(ALARMED, False)
    taken = filled(made, 40)
    Retained(memory).save(made)
    found = Retained(memory).state
    assert same(found, made)
    assert list(read_rounds(found)) == taken
    assert found.has(KNOWN)
    assert not found.has(ALARMED)


def test_a_counter_that_runs_over_stays_at_its_most():
    memory = CutMemory()
    made = state(failed=1 << 40, slept_ms=1 << 33, uptime_ms=1 << 33)
    Retained(memory).save(made)
    found = Retained(memory).state
    assert (found.failed, found.slept_ms) == (0xFFFFFFFF, 0xFFFFFFFF)
    assert found.uptime_ms == 1 << 33


def test_a_write_that_is_cut_anywhere_leaves_what_was_there_or_what_was_to_be():
    for clears in (False, True):
        for share in range(0, 1001, 2):
            memory = CutMemory()
            made = state()
            taken = filled(made, 30)
            Retained(memory).save(made)
            following = Retained(memory)
            add_round(made, made.round_ms + 60_000, [(0, 1), (1, 2)], LOG_BYTES)
            after = list(read_rounds(made))
            if clears:
                made.clear(60)
                after = []
            memory.cut(0, share)
            with pytest.raises(ResetError):
                following.save(made)
            found = Retained(memory).state
            assert list(read_rounds(found)) in (taken, after)
            # What comes after it is as sound as if nothing had happened.
            Retained(memory).save(found)
            assert same(Retained(memory).state, found)


def test_the_newer_of_two_slots_counts_also_where_the_sequence_begins_anew():
    memory = CutMemory()
    retained = Retained(memory)
    retained._sequence = 0xFFFC
    made = state()
    for turn in range(9):
        made.uptime_ms = turn
        retained.save(made)
        assert Retained(memory).state.uptime_ms == turn
    assert retained._sequence == 5


def test_foreign_content_is_nothing():
    for content in (b"", b"LN", bytes(2048), b"\xff" * 2048, random.Random(1).randbytes(2048)):
        memory = CutMemory()
        memory.data = content
        assert Retained(memory).state is None
    memory = CutMemory()
    made = state()
    filled(made, 20)
    Retained(memory).save(made)
    sound = memory.data
    for place in range(8, len(sound)):
        if any(sound[place : place + 1]):
            memory.data = sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :]
            assert Retained(memory).state is None


def test_another_version_is_nothing():
    memory = CutMemory()
    retained = Retained(memory)
    retained.save(state())
    source = (ROOT / "firmware/lilong_firmware/sleep/retained.py").read_text()
    later = source.replace("_VERSION = const(1)", "_VERSION = const(2)")
    assert later != source
    names = {"__name__": "later"}
    exec(later, names)  # noqa: S102 - the next version of this very module
    assert names["Retained"](memory).state is None


def test_the_crash_record_and_the_rounds_do_not_touch_each_other(tmp_path):
    memory = CutMemory()
    paths = (str(tmp_path / "crash.txt"), str(tmp_path / "gone" / "reset.txt"))
    CrashNotes(*paths, memory)
    made = state()
    taken = filled(made, 30)
    Retained(memory).save(made)
    notes = CrashNotes(*paths, memory)
    assert notes.explain(HARD) == PANIC
    assert list(read_rounds(Retained(memory).state)) == taken
    notes.plan(PLANNED)
    Retained(memory).save(made)
    assert CrashNotes(*paths, memory).explain(HARD) == PLANNED
    assert list(read_rounds(Retained(memory).state)) == taken


def test_the_same_on_the_32_bits_of_a_device(micropython32):
    program = Path(__file__).with_name("sleep_rounds.py")
    done = subprocess.run(
        [micropython32, program],
        env={"MICROPYPATH": f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True 1752\n", "")
