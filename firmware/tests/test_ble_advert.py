import importlib
import os
import sys
from pathlib import Path

import pytest

from lilong_firmware.ble.advertiser import Advertiser
from lilong_firmware.ble.content import Content
from lilong_firmware.ble.counter import Counter
from lilong_firmware.clock import Clock
from lilong_firmware.journal import Journal
from lilong_firmware.virtual.nor import Nor
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.block_encoder import encode_series, encode_single
from lilong_protocol.frame import ALARM_STREAM, CONTROL_STREAM, DATA_STREAM
from lilong_protocol.node_keys import NodeKeys

sys.path.insert(0, str(Path(__file__).parent))
loop = importlib.import_module("ble_loop")

EUI = bytes(range(8))
KEY, NEXT_KEY = bytes(16), bytes(range(16))
SIREN = 5


class Bench:
    """An advertiser on a journal; `run` lets time pass, and steps when it wants to be."""

    def __init__(self, folder, interval_ms=1000, *, path="advert.txt"):
        self.ticks = 0
        self.clock = Clock(lambda: self.ticks, lambda a, b: a - b)
        self.radio = loop.LoopRadio()
        self.journal = Journal(Nor(8), os.urandom)
        self.keys = NodeKeys(KEY)
        self.supply_mv = 3300
        self.counter = Counter(str(folder / path), os.urandom)
        self.content = Content(self.journal, lambda: self.supply_mv, 3, (SIREN,))
        parts = (self.radio, self.content, self.counter, self.keys, EUI, self.clock)
        self.advertiser = Advertiser(*parts, interval_ms)
        self.connected = False
        self.steps = 0

    def step(self):
        self.steps += 1
        return self.advertiser.step(self.clock.uptime_ms(), connected=self.connected)

    def run(self, span_ms):
        end = self.ticks + span_ms
        while (wait_ms := self.step()) and self.ticks + wait_ms < end:
            self.ticks += wait_ms
        self.ticks = end
        self.step()

    def put(self, stream=DATA_STREAM, item=b"\0"):
        return self.journal.append(stream, item)

    def alarm(self, channel=SIREN, value=1):
        return self.put(ALARM_STREAM, encode_single(channel, 1000, value))

    @property
    def interval_ms(self):
        return None if self.radio.on_air is None else self.radio.on_air[0]

    def told(self, key=KEY):
        return AdvertOpener(key).open(self.radio.on_air[1][7:])

    def numbers(self):
        said = [what[1][7:] for what in self.radio.said if what is not None]
        return [read_advert(data)[1] for data in said]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_what_is_on_the_air_at_first(bench):
    bench.step()
    interval_ms, data, connectable = bench.radio.on_air
    assert (interval_ms, connectable) == (1000, True)
    assert data[:7].hex() == "0201061bffffff"
    assert read_advert(data[7:])[0] == EUI
    told = bench.told()
    assert (told.alarm, told.raised, told.waiting, told.age_s) == (False, False, 0, 0)
    assert (told.device_class, told.supply_mv, told.channel, told.seq) == (3, 3300, 0, 0)


def test_what_waits_and_for_how_long(bench):
    bench.run(1000)
    for _ in range(5):
        bench.put()
    bench.put(CONTROL_STREAM)
    bench.run(1000)
    assert bench.told().waiting == 4
    bench.run(40_000)
    assert bench.told().age_s == 32
    bench.journal.acknowledged(DATA_STREAM, 5)
    bench.journal.acknowledged(CONTROL_STREAM, 1)
    bench.run(2000)
    assert (bench.told().waiting, bench.told().age_s) == (0, 0)
    bench.put()
    bench.run(2500)
    assert (bench.told().waiting, bench.told().age_s) == (1, 2)


def test_the_age_counts_anew_when_all_was_taken_in_a_visit(bench):
    bench.put()
    bench.run(100_000)
    bench.connected = True
    bench.journal.acknowledged(DATA_STREAM, 1)
    bench.step()
    bench.put()
    bench.step()
    bench.connected = False
    bench.run(1000)
    assert bench.told().age_s <= 1


def test_nothing_new_is_said_while_nothing_changes(bench):
    bench.run(300)
    said, numbers = len(bench.radio.said), set(bench.numbers())
    bench.run(50_000)
    assert len(bench.radio.said) == said
    bench.run(20_000)
    # It is said again, under the same number: a radio may have forgotten.
    assert len(bench.radio.said) == said + 1
    assert set(bench.numbers()) == numbers


def test_each_change_takes_a_number_and_none_comes_twice_or_goes_back(bench):
    for count in range(12):
        for _ in range(1 << count if count < 6 else 3):
            bench.put()
        bench.run(700)
    numbers = bench.numbers()
    assert numbers == sorted(numbers)
    contents = {what[1] for what in bench.radio.said}
    assert len(contents) == len(set(numbers)) > 4


def test_the_content_changes_at_most_four_times_a_second(bench):
    bench.run(1000)
    before = len(set(bench.numbers()))
    for change in range(400):
        if change % 2:
            bench.put()
        else:
            bench.journal.acknowledged(DATA_STREAM, bench.journal.next(DATA_STREAM))
        bench.step()
        bench.ticks += 10
    assert 10 <= len(set(bench.numbers())) - before <= 17


def test_an_alarm_is_said_at_once_and_often(bench):
    bench.run(1000)
    bench.put()
    bench.step()
    bench.ticks += 1
    seq = bench.alarm()
    bench.step()
    told = bench.told()
    assert (told.alarm, told.raised, told.channel, told.seq) == (True, True, SIREN, seq)
    assert bench.interval_ms == 100
    bench.ticks += 1
    seq = bench.alarm(value=0)
    bench.step()
    assert (bench.told().raised, bench.told().seq) == (False, seq)
    bench.journal.acknowledged(ALARM_STREAM, seq + 1)
    bench.run(1000)
    assert (bench.told().alarm, bench.told().channel, bench.interval_ms) == (False, 0, 1000)


def test_the_reading_that_decided_does_not_hide_the_state_that_it_led_to(bench):
    state = bench.alarm(value=0)
    bench.alarm(channel=2, value=77)
    bench.run(100)
    told = bench.told()
    assert (told.alarm, told.raised, told.channel, told.seq) == (True, False, SIREN, state)


@pytest.mark.parametrize(
    "item",
    [
        encode_single(9, 5, 0, 77),
        encode_series(9, [1, 2, 3], [0, 0, 0]),
        bytes([2, 1, 2, 1, 9, 0x41, 0]),
    ],
)
def test_an_alarm_of_another_source_is_raised_on_its_channel(bench, item):
    seq = bench.put(ALARM_STREAM, item)
    bench.run(100)
    told = bench.told()
    assert (told.alarm, told.raised, told.channel, told.seq) == (True, True, 9, seq)


@pytest.mark.parametrize("item", [b"", b"\xff", b"\x00", b"\x00\x41a\x01\x01", b"\x1c"])
def test_an_alarm_that_cannot_be_read_is_one_all_the_same(bench, item):
    seq = bench.put(ALARM_STREAM, item)
    bench.run(100)
    told = bench.told()
    assert (told.alarm, told.raised, told.seq) == (True, True, seq)


def test_alarms_that_a_reset_has_left_are_found_again(bench, tmp_path):
    seq = bench.alarm()
    again = Bench(tmp_path)
    again.content = Content(bench.journal, lambda: None, 3, (SIREN,))
    parts = (again.radio, again.content, again.counter, again.keys, EUI, again.clock)
    again.advertiser = Advertiser(*parts, 1000)
    again.step()
    told = again.told()
    assert (told.alarm, told.raised, told.channel, told.seq) == (True, True, SIREN, seq)
    assert told.supply_mv is None


def test_nothing_is_on_the_air_while_somebody_is_connected(bench):
    bench.run(1000)
    bench.connected = True
    bench.put()
    bench.run(5000)
    assert bench.radio.on_air is None
    bench.connected = False
    bench.step()
    assert bench.radio.on_air[2]


def test_an_alarm_that_a_visitor_leaves_waiting_is_told_to_others_who_cannot_connect(bench):
    bench.connected = True
    bench.run(1000)
    bench.alarm()
    bench.run(990)
    assert bench.radio.on_air is None
    bench.run(20)
    interval_ms, _, connectable = bench.radio.on_air
    assert (interval_ms, connectable) == (100, False)
    assert bench.told().alarm
    bench.journal.acknowledged(ALARM_STREAM, 1)
    bench.step()
    assert bench.radio.on_air is None


def test_a_visitor_who_takes_one_alarm_after_the_other_is_left_alone(bench):
    bench.connected = True
    for seq in range(20):
        bench.alarm()
        bench.alarm()
        bench.run(600)
        bench.journal.acknowledged(ALARM_STREAM, seq + 1)
    assert [what for what in bench.radio.said if what is not None] == []


def test_a_radio_that_stopped_by_itself_is_told_again(bench):
    bench.run(1000)
    bench.radio.on_air = None
    bench.advertiser.doubt()
    bench.step()
    assert bench.radio.on_air is not None


def test_a_radio_that_refuses_is_asked_again_and_again_but_not_all_the_time(bench):
    bench.radio.refusing = True
    for _ in range(1000):
        bench.step()
        bench.ticks += 10
    assert 20 <= bench.advertiser.refused <= 41
    assert bench.advertiser.sound_ms == 0
    bench.radio.refusing = False
    bench.run(1000)
    assert bench.radio.on_air is not None
    assert bench.advertiser.sound_ms > 9000


def test_a_new_key_seals_what_is_said_from_then_on(bench):
    bench.run(1000)
    bench.keys.stage(NEXT_KEY)
    bench.run(1000)
    assert bench.told(KEY).device_class == 3
    bench.keys.proven(NEXT_KEY)
    bench.run(1000)
    assert bench.told(NEXT_KEY).device_class == 3
    numbers = bench.numbers()
    assert numbers[-1] > numbers[0]


def test_the_supply_is_looked_at_each_minute_and_its_noise_is_no_news(bench):
    bench.run(100)
    bench.supply_mv = 3330
    bench.run(130_000)
    assert bench.told().supply_mv == 3300
    bench.supply_mv = 2990
    bench.run(61_000)
    assert bench.told().supply_mv == 2980


@pytest.mark.parametrize("interval_ms", [20, 10_000])
def test_the_interval_is_that_of_the_setting_and_for_an_alarm_no_longer_one(tmp_path, interval_ms):
    bench = Bench(tmp_path, interval_ms)
    bench.run(100)
    assert bench.interval_ms == interval_ms
    bench.alarm()
    bench.run(100)
    assert bench.interval_ms == min(100, interval_ms)


def test_a_flash_that_refuses_leaves_the_node_on_the_air_with_nothing_to_tell(tmp_path):
    first, second = (Bench(tmp_path / "absent") for _ in range(2))
    for bench in (first, second):
        bench.counter.spare = 9
        bench.run(500)
    second.alarm()
    second.put()
    second.run(5000)
    # The same number under the same key: so it has to say the same, byte for byte.
    assert second.radio.on_air[1] == first.radio.on_air[1]
    assert second.interval_ms == 100
    assert second.steps < 30


def test_a_flash_that_takes_again_lets_the_node_tell_again(tmp_path):
    bench = Bench(tmp_path / "later")
    bench.put()
    bench.run(500)
    assert bench.told().waiting == 0
    spare = bench.numbers()[-1]
    (tmp_path / "later").mkdir()
    bench.run(70_000)
    assert bench.told().waiting == 1
    assert bench.numbers()[-1] > spare
