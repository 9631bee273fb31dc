import asyncio

from lilong_firmware.clock import Clock
from lilong_firmware.crash import DUTY_FAILED, DUTY_STALLED, CrashNotes
from lilong_firmware.supervision import Supervisor


class Dog:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1


class Bench:
    """A supervisor on a clock that a test sets; a reset is counted and ends the watch."""

    def __init__(self, folder):
        self.now = 0
        self.resets = 0
        self.lines = []
        self.dog = Dog()
        self.clock = Clock(lambda: self.now, lambda a, b: a - b)
        self.paths = (str(folder / "crash.txt"), str(folder / "reset.txt"))
        self.supervisor = Supervisor(
            self.clock, self.dog, CrashNotes(*self.paths), self.reset, self.lines.append
        )

    def reset(self):
        self.resets += 1
        self.supervisor.finished = True

    def notes(self):
        return CrashNotes(*self.paths)


async def faithful(duty):
    while True:
        duty.beat()
        await asyncio.sleep(0.01)


async def lazy(_duty):
    await asyncio.sleep(60)


async def broken(_duty):
    await asyncio.sleep(0)
    raise ValueError("out of paper")


async def finishing(_duty):
    await asyncio.sleep(0)


async def test_the_watchdog_is_fed_while_all_duties_make_progress(tmp_path):
    bench = Bench(tmp_path)
    bench.supervisor.start("faithful", 1000, faithful)
    watch = asyncio.create_task(bench.supervisor.run())
    await asyncio.sleep(0.05)
    assert bench.dog.fed > 0
    bench.supervisor.finished = True
    await watch
    assert bench.resets == 0


async def test_a_duty_that_fails_is_noted_and_the_node_resets(tmp_path):
    bench = Bench(tmp_path)
    bench.supervisor.start("faithful", 1000, faithful)
    bench.supervisor.start("printing", 1000, broken)
    await bench.supervisor.run()
    assert bench.resets == 1
    assert bench.notes().cause == DUTY_FAILED
    assert "out of paper" in (tmp_path / "crash.txt").read_text()
    assert "printing" in bench.lines[0]


async def test_a_duty_that_makes_no_progress_starves_the_watchdog_and_is_noted(tmp_path):
    bench = Bench(tmp_path)
    bench.supervisor.start("lazy", 1000, lazy)
    bench.now = 1001
    await bench.supervisor.run()
    assert (bench.dog.fed, bench.resets) == (0, 1)
    assert bench.notes().cause == DUTY_STALLED


async def test_a_duty_that_is_done_is_not_missed(tmp_path):
    bench = Bench(tmp_path)
    bench.supervisor.start("once", 1000, finishing)
    await asyncio.sleep(0.01)
    bench.now = 100_000
    watch = asyncio.create_task(bench.supervisor.run())
    await asyncio.sleep(0.01)
    bench.supervisor.finished = True
    await watch
    assert bench.dog.fed > 0
    assert bench.resets == 0


def test_the_cause_of_a_reset_is_told_once(tmp_path):
    paths = (str(tmp_path / "crash.txt"), str(tmp_path / "reset.txt"))
    CrashNotes(*paths).write(DUTY_FAILED, "send", 100, "why")
    assert CrashNotes(*paths).cause == DUTY_FAILED
    assert CrashNotes(*paths).cause is None


def test_early_crashes_in_a_row_are_counted_and_a_late_one_starts_again(tmp_path):
    paths = (str(tmp_path / "crash.txt"), str(tmp_path / "reset.txt"))
    for early in range(3):
        notes = CrashNotes(*paths)
        assert notes.early == early
        notes.write(DUTY_FAILED, "collect", 100, "why")
    notes = CrashNotes(*paths)
    assert notes.early == 3
    notes.write(DUTY_FAILED, "collect", 70_000, "why")
    assert CrashNotes(*paths).early == 0


def test_crash_notes_are_bounded_and_the_newest_comes_first(tmp_path):
    notes = CrashNotes(str(tmp_path / "crash.txt"), str(tmp_path / "reset.txt"))
    for index in range(20):
        notes.write(DUTY_FAILED, f"duty{index}", 100, "x" * 5000)
    text = (tmp_path / "crash.txt").read_text()
    assert len(text) <= 2048
    assert text.startswith("duty19 at 100 ms")


def test_a_damaged_cause_is_none(tmp_path):
    (tmp_path / "reset.txt").write_text("what?")
    notes = CrashNotes(str(tmp_path / "crash.txt"), str(tmp_path / "reset.txt"))
    assert (notes.cause, notes.early) == (None, 0)
