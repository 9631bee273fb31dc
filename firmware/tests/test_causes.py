import pytest

from lilong_firmware.crash import (
    CLOCK_WRONG,
    DIPPED,
    DUTY_FAILED,
    HARD,
    PANIC,
    PLANNED,
    POWER,
    UPDATED,
    WATCHDOG,
    CrashNotes,
)


class Memory:
    """The retained memory of a chip."""

    def __init__(self):
        self.data = b""

    def retained(self):
        return self.data

    def retain(self, data):
        self.data = data


class Chip:
    """Boots again and again in one folder."""

    def __init__(self, folder, memory):
        self.paths = (str(folder / "crash.txt"), str(folder / "reset.txt"))
        self.memory = memory
        self.notes = None

    def boot(self, hardware):
        if hardware == POWER and self.memory is not None:
            self.memory.data = b""
        return self.restart(hardware)

    def restart(self, hardware):
        self.notes = CrashNotes(*self.paths, self.memory)
        return self.notes.explain(hardware)


@pytest.fixture(params=[True, False], ids=["retained", "flash only"])
def chip(request, tmp_path):
    return Chip(tmp_path, Memory() if request.param else None)


@pytest.mark.parametrize("cause", [PLANNED, UPDATED, CLOCK_WRONG])
def test_a_planned_reset_says_why_and_says_it_once(chip, cause):
    assert chip.boot(POWER) == POWER
    chip.notes.plan(cause)
    assert chip.boot(HARD) == cause
    assert chip.notes.early == 0
    assert chip.boot(HARD) == PANIC


def test_a_hard_reset_without_intent_is_a_panic_and_a_watchdog_is_one(chip):
    chip.boot(POWER)
    assert chip.boot(HARD) == PANIC
    assert chip.boot(WATCHDOG) == WATCHDOG
    assert chip.boot(POWER) == POWER


def test_a_hard_reset_of_a_chip_that_never_ran_this_is_none_of_ours(tmp_path):
    assert Chip(tmp_path, Memory()).boot(HARD) == HARD


def test_a_supply_that_fails_too_shortly_to_clear_the_memory_has_dipped(tmp_path):
    chip = Chip(tmp_path, Memory())
    assert chip.boot(POWER) == POWER
    assert chip.restart(POWER) == DIPPED
    assert chip.boot(POWER) == POWER


def test_the_cause_of_a_crash_outlives_a_flash_that_refuses(tmp_path):
    memory = Memory()
    chip = Chip(tmp_path / "gone", memory)
    chip.boot(POWER)
    chip.notes.write(DUTY_FAILED, "send", 100, "ValueError: out of paper")
    assert chip.boot(HARD) == DUTY_FAILED
    assert chip.notes.early == 1


@pytest.mark.parametrize("place", range(8))
def test_a_damaged_memory_says_nothing(tmp_path, place):
    memory = Memory()
    chip = Chip(tmp_path / "gone", memory)
    chip.boot(POWER)
    chip.notes.plan(PLANNED)
    data = bytearray(memory.data)
    data[place] ^= 4
    memory.data = bytes(data)
    assert chip.boot(HARD) == HARD


def test_the_same_error_has_the_same_code_and_another_has_another(tmp_path):
    notes = CrashNotes(str(tmp_path / "crash.txt"), str(tmp_path / "reset.txt"))
    assert notes.code == 0
    codes = []
    for uptime_ms, text in ((5, "ValueError: a"), (900, "ValueError: a"), (5, "OSError: 5")):
        trace = "Traceback (most recent call last):\n  File x\n" + text
        notes.write(DUTY_FAILED, "send", uptime_ms, trace)
        codes.append(notes.code)
    assert codes[0] == codes[1] != codes[2]
    assert all(0 < code < 1 << 16 for code in codes)
    notes.write(DUTY_FAILED, "send", 7, "no progress for 30000 ms")
    first = notes.code
    notes.write(DUTY_FAILED, "collect", 70_000, "no progress for 30000 ms")
    assert notes.code == first
