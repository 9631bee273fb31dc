import json

import pytest

from lilong_firmware.settings import Settings, read_settings

BOARD = bytes.fromhex("a0b1c2d3e4f50617")
CHANNEL = {"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}
GOOD = {
    "eui": "0011223344556677",
    "scenario": "river",
    "report_ms": 500,
    "channels": [CHANNEL],
    "sensor": {"kind": "river"},
}
REPLAY = {"kind": "replay", "file": "x.csv", "value_columns": [1]}


def test_a_good_file_is_taken_as_it_is():
    settings = Settings(GOOD, BOARD)
    assert settings.problem is None
    assert settings.eui == bytes.fromhex("0011223344556677")
    assert settings.sampling.channels[0].interval_ms == 500
    assert (settings.sampling.batch_readings, settings.running.trace) == (60, "")


def test_a_replay_takes_its_columns_and_speed():
    settings = Settings({**GOOD, "sensor": {**REPLAY, "speed": 2.5}}, BOARD)
    assert settings.problem is None
    assert settings.sampling.sensor.replay.speed_permille == 2500


@pytest.mark.parametrize(
    ("speed", "permille"),
    [(0.001, 1), (1.001, 1001), (4.1, 4100), (1e6, 1_000_000_000), (7, 7000)],
)
def test_a_speed_is_taken_to_the_nearest_thousandth(speed, permille):
    settings = Settings({**GOOD, "sensor": {**REPLAY, "speed": speed}}, BOARD)
    assert settings.sampling.sensor.replay.speed_permille == permille


def test_the_usual_line_stays_known_whatever_the_file_says():
    settings = Settings({**GOOD, "uart": {"id": 9, "baud": 9600, "tx": 99}}, BOARD)
    running, usual = settings.running, settings.usual
    assert (running.uart, running.baud, running.tx_pin, running.rx_pin) == (9, 9600, 99, 4)
    assert (usual.uart, usual.baud, usual.tx_pin, usual.rx_pin) == (1, 115200, 5, 4)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"eui": "12"}, "eui"),
        ({"eui": "zz11223344556677"}, "eui"),
        ({"report_ms": 0}, "report_ms"),
        ({"report_ms": "fast"}, "report_ms"),
        ({"report_ms": True}, "report_ms"),
        ({"batch_readings": 5000}, "batch_readings"),
        ({"channels": None}, "channels"),
        ({"channels": []}, "channels"),
        ({"channels": [CHANNEL, CHANNEL]}, "channels"),
        ({"channels": [{**CHANNEL, "exponent": -30}]}, "channels[0].exponent"),
        ({"channels": [{**CHANNEL, "name": None}]}, "channels[0].name"),
        ({"channels": [{**CHANNEL, "name": "no blanks"}]}, "channels"),
        ({"channels": [CHANNEL, 7]}, "channels[1]"),
        ({"sensor": None}, "sensor.kind"),
        ({"sensor": []}, "sensor"),
        ({"sensor": {**REPLAY, "file": None}}, "sensor.file"),
        ({"sensor": {**REPLAY, "value_columns": [1, 2]}}, "sensor.value_columns"),
        ({"sensor": {**REPLAY, "value_columns": ["a"]}}, "sensor.value_columns"),
        ({"sensor": {**REPLAY, "speed": 0}}, "sensor.speed"),
        ({"sensor": {**REPLAY, "exit_at_end": 1}}, "sensor.exit_at_end"),
        ({"trace": 1}, "trace"),
        ({"uart": {"baud": 1}}, "uart.baud"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_and_nothing_is_sampled(change, key):
    settings = Settings({**GOOD, **change}, BOARD)
    assert settings.problem.key == key
    assert "\n" not in str(settings.problem)
    assert settings.sampling is None
    assert settings.running.baud == 115200


def test_channels_of_a_replay_share_one_unit_of_time():
    channels = [CHANNEL, {**CHANNEL, "number": 1, "name": "q", "time_exponent": 0}]
    sensor = {**REPLAY, "value_columns": [1, 2]}
    problem = Settings({**GOOD, "channels": channels, "sensor": sensor}, BOARD).problem
    assert problem.key == "channels"


def test_a_bad_channel_leaves_identity_and_link_usable():
    settings = Settings({**GOOD, "channels": [], "uart": {"baud": 9600}}, BOARD)
    assert settings.eui == bytes.fromhex("0011223344556677")
    assert settings.running.baud == 9600


@pytest.mark.parametrize("text", [None, "", "{", "[]", '"x"', "\x00\xff", "null", '{"a": "}"'])
def test_an_unusable_file_leaves_the_identity_of_the_board(tmp_path, text):
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    settings = read_settings(str(path), BOARD)
    assert settings.problem.key == "settings.json"
    assert (settings.eui, settings.sampling) == (BOARD, None)


@pytest.mark.parametrize("name", ["level", "}", '\\" {[', "\\\\"])
def test_a_good_file_is_read_whatever_its_texts_hold(tmp_path, name):
    path = tmp_path / "settings.json"
    channel = {**CHANNEL, "quantity": name}
    path.write_text(json.dumps({**GOOD, "channels": [channel]}))
    assert read_settings(str(path), BOARD).problem is None
