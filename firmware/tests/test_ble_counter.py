import json
import os
import subprocess
from pathlib import Path

import pytest

from lilong_firmware.ble.counter import Counter

ROOT = Path(__file__).parents[2]
PATH = [ROOT / "protocol", ROOT / "firmware", ROOT / "firmware" / "tests"]
YEAR_S = 31_557_600


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "advert.txt")


def counter(path, drawn=0):
    return Counter(path, lambda size: drawn.to_bytes(size, "little"))


def test_numbers_go_up_one_by_one_over_every_reserve(path):
    taken = counter(path)
    numbers = [taken.take(None) for _ in range(3000)]
    assert numbers == list(range(numbers[0], numbers[0] + 3000))


def test_a_reset_skips_what_may_have_been_used_and_repeats_nothing(path):
    used = set()
    for boot in range(30):
        taken = counter(path, drawn=boot)
        numbers = [taken.take(None) for _ in range(1 + boot * 100)]
        assert min(numbers) > max(used, default=-1)
        used |= set(numbers)
        assert taken.spare not in used
    assert len(used) == sum(1 + boot * 100 for boot in range(30))


def test_numbers_are_reserved_ahead_and_seldom(path):
    taken = counter(path)
    writes = set()
    for _ in range(2000):
        number = taken.take(None)
        ceiling = int(Path(path).read_text())
        assert ceiling > number
        writes.add(ceiling)
    assert len(writes) == 2


def test_a_number_is_no_lower_than_the_seconds_of_the_time(path):
    taken = counter(path, drawn=5000 << 3)
    now_s = 26 * YEAR_S
    first = taken.take(None)
    assert first == 5001
    assert taken.take(now_s * 1000) == now_s
    assert taken.take(now_s * 1000) == now_s + 1
    assert taken.take(None) == now_s + 2
    assert counter(path).take(None) > now_s + 2
    # Also when the file is lost, and with it what was used before.
    Path(path).unlink()
    assert counter(path, drawn=7 << 3).take((now_s + 60) * 1000) == now_s + 60


def test_a_first_number_is_below_all_that_the_time_gives(path):
    assert counter(path, drawn=0xFFFFFFFF).take(None) <= 1 << 29


def test_a_clock_beyond_all_reason_does_not_use_up_the_numbers(path):
    taken = counter(path)
    assert taken.take((1 << 40) * 1000) == 2 - 1
    assert taken.take(None) == 2


def test_there_is_an_end_and_nothing_comes_round(path):
    Path(path).write_text(str(0xFFFFFFFE))
    taken = counter(path)
    assert taken.take(None) == 0xFFFFFFFF
    assert taken.take(None) is None


@pytest.mark.parametrize("text", ["", "seven", "-5", "12 13"])
def test_a_file_with_anything_else_in_it_is_none(path, text):
    Path(path).write_text(text)
    assert counter(path, drawn=100 << 3).take(None) == 101


def test_without_flash_there_is_no_number_and_one_to_spare(tmp_path):
    taken = counter(str(tmp_path / "absent" / "advert.txt"), drawn=8)
    assert taken.take(None) is None
    assert taken.spare == 1
    (tmp_path / "absent").mkdir()
    assert taken.take(None) == 2


def test_a_power_cut_in_any_operation_of_the_flash_repeats_no_number(micropython32):
    done = subprocess.run(
        [micropython32, "-X", "heapsize=4m", Path(__file__).with_name("ble_counter_cuts.py")],
        env={**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, PATH)])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(next(line for line in done.stdout.splitlines() if line[:1] == "{"))
    assert found["problems"] == []
    assert found["tried"] >= 100
