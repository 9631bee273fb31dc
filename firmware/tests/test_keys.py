import os
import random
import shutil
import struct
import time
from binascii import crc32

import pytest

from lilong_firmware.device_class import device_class
from lilong_firmware.errors import SettingsError
from lilong_firmware.keys import read_keys
from lilong_protocol.request import DONE, FAILED, REFUSED, REKEY, UNKNOWN

OLD = bytes(range(16))
NEW = bytes(range(16, 32))
RIVER = {
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 20,
    "batch_ms": 100,
    "trace": "trace.log",
    "channels": [{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
}


def test_a_provisioned_key_is_sixteen_bytes(tmp_path):
    path = tmp_path / "key.bin"
    with pytest.raises(SettingsError, match="cannot be read; provision the node"):
        read_keys(str(path))
    for size in (0, 15, 17, 31, 32, 35, 37):
        path.write_bytes(bytes(size))
        with pytest.raises(SettingsError, match="16 bytes"):
            read_keys(str(path))
    path.write_bytes(OLD)
    keys = read_keys(str(path))
    assert (keys.current, keys.next) == (OLD, None)


def test_a_damaged_pair_is_no_key(tmp_path):
    path = tmp_path / "key.bin"
    good = OLD + NEW + struct.pack("<I", crc32(OLD + NEW))
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(SettingsError):
            read_keys(str(path))


def test_both_slots_outlive_a_reset(tmp_path):
    path = tmp_path / "key.bin"
    path.write_bytes(OLD)
    assert read_keys(str(path)).stage(NEW)
    keys = read_keys(str(path))
    assert (keys.current, keys.next) == (OLD, NEW)
    assert keys.proven(NEW)
    keys = read_keys(str(path))
    assert (keys.current, keys.next) == (NEW, None)
    assert path.read_bytes() == NEW


def test_the_current_key_clears_the_next_slot(tmp_path):
    path = tmp_path / "key.bin"
    path.write_bytes(OLD)
    keys = read_keys(str(path))
    assert keys.stage(NEW)
    assert keys.stage(OLD)
    assert read_keys(str(path)).next is None


def test_a_slot_that_flash_refuses_stays_as_it_was(tmp_path):
    folder = tmp_path / "flash"
    folder.mkdir()
    (folder / "key.bin").write_bytes(OLD)
    keys = read_keys(str(folder / "key.bin"))
    shutil.rmtree(folder)
    assert not keys.stage(NEW)
    assert (keys.current, keys.next) == (OLD, None)


def moved(bench, key):
    def asked_until_it_has():
        bench.gateway.request(REKEY, key)
        return bench.gateway.key == key

    return asked_until_it_has


def test_a_node_moves_to_its_new_key_and_delivers_everything(bench):
    bench.settings(**RIVER)
    bench.start()
    bench.gateway.keys = [OLD, NEW]
    bench.run_until(lambda: bench.gateway.request(REKEY, NEW))
    bench.run_until(lambda: bench.gateway.key == NEW)
    assert (REKEY, DONE, b"") in bench.gateway.responses
    assert (bench.folder / "key.bin").read_bytes() == NEW
    bench.gateway.keys = [NEW]
    assert bench.stop() == 0
    assert len(bench.gateway.readings(0)) == len(bench.lines("s"))


def test_a_node_killed_at_any_moment_of_its_move_is_reached_and_loses_nothing(bench):
    chance = random.Random(5)
    bench.settings(**RIVER)
    keys = [OLD]
    for _ in range(4):
        keys = [keys[-1], os.urandom(16)]
        bench.gateway.keys = keys
        bench.start()
        until = time.monotonic() + chance.uniform(0.3, 1.2)
        while time.monotonic() < until:
            bench.gateway.request(REKEY, keys[-1])
            bench.gateway.step(0.002)
        bench.kill()
        bench.start()
        bench.run_until(moved(bench, keys[-1]))
        bench.kill()
    bench.start()
    bench.run_until(lambda: len(bench.gateway.batches) > 5)
    assert bench.stop() == 0
    assert (bench.folder / "key.bin").read_bytes() == keys[-1]
    assert bench.gateway.given_up == {}


def test_a_gateway_without_the_new_key_is_still_served(bench):
    bench.settings(**RIVER)
    bench.start()
    bench.gateway.keys = [OLD]
    bench.run_until(lambda: bench.gateway.request(REKEY, NEW))
    bench.run_until(lambda: bench.gateway.responses)
    hellos = len(bench.gateway.hellos)
    bench.run_until(lambda: len(bench.gateway.hellos) > hellos)
    batches = len(bench.gateway.batches)
    bench.run_until(lambda: len(bench.gateway.batches) > batches + 3)
    assert bench.gateway.key == OLD
    assert bench.stop() == 0


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [(REKEY, b"short", REFUSED), (REKEY, bytes(17), REFUSED), (200, b"", UNKNOWN)],
)
def test_what_cannot_be_done_is_answered_so(bench, method, body, code):
    bench.settings(**RIVER)
    bench.start()
    bench.run_until(lambda: bench.gateway.request(method, body))
    bench.run_until(lambda: bench.gateway.responses)
    assert bench.gateway.responses == [(method, code, b"")]
    assert bench.stop() == 0


def test_a_key_that_cannot_be_kept_is_answered_so(bench):
    bench.settings(**RIVER)
    (bench.folder / "key.bin.new").mkdir()
    bench.start()
    bench.run_until(lambda: bench.gateway.request(REKEY, NEW))
    bench.run_until(lambda: bench.gateway.responses)
    assert bench.gateway.responses == [(REKEY, FAILED, b"")]
    bench.run_until(lambda: len(bench.gateway.batches) > 3)
    assert bench.gateway.key == OLD
    assert bench.stop() == 0


def test_who_copies_the_key_elsewhere_is_told_of_each_change_and_of_no_other(tmp_path):
    path = tmp_path / "key.bin"
    path.write_bytes(OLD)
    told = []
    keys = read_keys(str(path), lambda: told.append(path.read_bytes()))
    assert told == []
    assert keys.stage(NEW)
    assert keys.stage(NEW)
    assert keys.proven(NEW)
    assert [len(data) for data in told] == [36, 16]
    assert told[-1] == NEW


@pytest.mark.parametrize(
    ("platform", "machine", "told"),
    [
        ("linux", "linux [GCC 14.2.0] version", "lilong-unix"),
        ("esp32", "LILONG node with ESP32", "lilong-esp32"),
        ("esp32", "LILONG node with ESP32S3", "lilong-esp32s3"),
        ("esp32", "LILONG node with ESP32C3", "lilong-esp32c3"),
        ("esp32", "", "lilong-esp32"),
    ],
)
def test_a_node_takes_the_updates_of_its_chip(platform, machine, told):
    assert device_class(platform, machine) == told
