import csv
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from lilong_firmware.decimal import parse_scaled
from lilong_firmware.errors import RowError, SensorError
from lilong_firmware.fields import Fields
from lilong_firmware.sensors.replay import Replay
from lilong_firmware.settings import ChannelSetting, ReplaySetting
from lilong_firmware.timestamp import parse_timestamp

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDINGS = ROOT.parent / "shared" / "data"
EPOCH_2000 = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_replay():
    """Replays that are closed when the test is over."""
    replays = []

    def make(*arguments, **sensor):
        replays.append(open_replay(*arguments, **sensor))
        return replays[-1]

    yield make
    for replay in replays:
        replay.close()


def open_replay(path, text=None, exponents=(-2,), mark=(0, 0, 0), log=None, **sensor):
    if text is not None:
        path.write_text(text)
    channels = [
        ChannelSetting(
            Fields(
                {
                    "number": number,
                    "name": f"c{number}",
                    "privacy": 0,
                    "exponent": exponent,
                    "time_exponent": sensor.pop("time_exponent", 0),
                }
            ),
            1000,
        )
        for number, exponent in enumerate(exponents)
    ]
    columns = list(range(1, len(exponents) + 1))
    fields = Fields({"file": str(path), "value_columns": columns, **sensor})
    return Replay(ReplaySetting(fields, channels), channels, mark, log or (lambda _line: None))


def play(replay):
    rows = []
    uptime_ms = 0
    while not replay.ended:
        rows += replay.rows(uptime_ms)
        uptime_ms += replay.wait_ms(uptime_ms)
    return rows


@pytest.mark.parametrize(
    ("name", "exponents"),
    [
        ("water/deadrun_2018-06_5min.csv", (-2, -2)),
        ("noise/laeq_1min.csv", (-15,)),
        ("nab/realTraffic/occupancy_6005.csv", (-2,)),
    ],
)
@pytest.mark.parametrize("interpreter", ["cpython", "micropython", "micropython32"])
def test_real_recordings_are_replayed_exactly(request, interpreter, name, exponents):
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not on this machine")
    if interpreter == "cpython":
        program, variable = sys.executable, "PYTHONPATH"
    else:
        program, variable = request.getfixturevalue(interpreter), "MICROPYPATH"
    channels = [
        {"number": n, "name": f"c{n}", "privacy": 0, "exponent": e, "time_exponent": 0}
        for n, e in enumerate(exponents)
    ]
    columns = list(range(1, len(exponents) + 1))
    sensor = {"file": str(path), "value_columns": columns, "speed": 1e6}
    done = subprocess.run(
        [program, HERE / "replay_rows.py"],
        input=json.dumps({"channels": channels, "sensor": sensor}) + "\n",
        env={variable: f".frozen:{ROOT / 'protocol'}:{ROOT / 'firmware'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == list(expected_lines(path, exponents))


def expected_lines(path, exponents):
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for time, *cells in rows:
            moment = datetime.fromisoformat(time)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = (moment - EPOCH_2000) // (moment.resolution * 1_000_000)
            for channel, (cell, exponent) in enumerate(zip(cells, exponents, strict=True)):
                if cell:
                    value = Decimal(cell).scaleb(-exponent)
                    assert value == int(value)
                    yield f"{channel} {seconds} {int(value)}"


@pytest.mark.parametrize(
    ("text", "exponent", "value"),
    [
        ("0", 0, 0),
        ("-0.0", -2, 0),
        ("12.34", -2, 1234),
        ("12.345", -2, 1234),
        ("12.355", -2, 1236),
        ("-12.345", -2, -1234),
        ("-12.3451", -2, -1235),
        ("+7", -3, 7000),
        (".5", 0, 0),
        ("1.5", 0, 2),
        ("2.5", 0, 2),
        ("1500", 3, 2),
        ("2500", 3, 2),
        ("1.5e3", 0, 1500),
        ("1.5E-3", -4, 15),
        ("18446744073709551615", 0, 2**64 - 1),
        ("-18446744073709551616", 0, -(2**64)),
        ("47.360417742144985", -15, 47360417742144985),
    ],
)
def test_decimal_text_becomes_a_scaled_integer(text, exponent, value):
    assert parse_scaled(text, exponent) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "1.2.3", "--1", "1e", "1e999", "inf", "0x10", "1_000", "18446744073709551616", "."],
)
def test_what_is_no_decimal_number_is_refused(text):
    with pytest.raises(RowError):
        parse_scaled(text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "2018-06-01 04:00:00",
        "2018-06-01T04:00:00",
        "2018-06-01T04:00:00Z",
        "2018-06-01 04:00:00+00:00",
        "2018-06-01 12:00:00+08:00",
        "2018-05-31 22:30:00-0530",
        "2018-06-01 06:00:00.000+02",
        "2018-06-01 04:00",
        "1527825600",
        "1527825600.0",
    ],
)
def test_time_stamps_mean_the_same_in_every_form(text):
    assert parse_timestamp(text, 0) == 1527825600 - 946684800
    assert parse_timestamp(text, -3) == (1527825600 - 946684800) * 1000


def test_time_stamps_agree_with_the_calendar_on_every_day():
    for day in range(0, 40_000, 7):
        moment = datetime.fromtimestamp(946684800 + day * 86400, UTC)
        assert parse_timestamp(moment.strftime("%Y-%m-%d %H:%M:%S"), 0) == day * 86400


def test_fractions_of_a_second_are_kept_as_far_as_the_unit_goes():
    assert parse_timestamp("2000-01-01 00:00:01.2345", -3) == 1234
    assert parse_timestamp("946684801.5", -3) == 1500
    assert parse_timestamp("946684801.5", 0) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "1999-12-31 23:59:59",
        "2018-02-29 00:00:00",
        "2018-13-01 00:00:00",
        "2018-06-01 24:00:00",
        "2018-06-01",
        "2018-06-01 00:00:00+9",
        "2018-06-01 00:00:00.",
        "-5",
        "5",
        "99999999999999999999",
        "9999-12-31 23:59:59-10",
    ],
)
def test_what_is_no_time_stamp_is_refused(text):
    if text.endswith("."):
        assert parse_timestamp(text, 0) == parse_timestamp(text[:-1], 0)
        return
    with pytest.raises(RowError):
        parse_timestamp(text, 0)


def test_gaps_are_left_out_and_malformed_rows_counted_with_a_line(tmp_path, make_replay):
    lines = []
    text = (
        "time,a,b\n"
        "2020-01-01 00:00:00,1,2\n"
        "2020-01-01 00:00:01,,3\n"
        "2020-01-01 00:00:02,nan,NaN\n"
        "2020-01-01 00:00:03,5\n"
        "yesterday,1,2\n"
        "\n"
        "2020-01-01 00:00:05,6,six\n"
        f"2020-01-01 00:00:05,{'9' * 2000},7\n"
        "2020-01-01 00:00:05,\xb2,7\n"
        '"2020-01-01 00:00:06", 8 ,9'
    )
    replay = make_replay(tmp_path / "x.csv", text, exponents=(0, 0), log=lines.append)
    readings = [row.readings for row in play(replay)]
    assert readings == [[(0, 1), (1, 2)], [(1, 3)], [(0, 8), (1, 9)]]
    assert replay.malformed == len(lines) == 5


def test_rows_come_when_their_time_divided_by_the_speed_has_passed(tmp_path, make_replay):
    text = "".join(f"2020-01-01 00:0{minute}:00,1\n" for minute in (0, 1, 2, 5))
    replay = make_replay(tmp_path / "x.csv", text, speed=60)
    assert len(replay.rows(500)) == 1
    assert replay.wait_ms(500) == 1000
    assert replay.rows(1499) == []
    assert len(replay.rows(1500)) == 1
    assert len(replay.rows(99_000)) == 2


def test_lateness_does_not_shift_the_rows_that_follow(tmp_path, make_replay):
    text = "".join(f"2020-01-01 00:0{minute}:00,1\n" for minute in range(5))
    replay = make_replay(tmp_path / "x.csv", text, speed=60)
    replay.rows(0)
    assert len(replay.rows(2700)) == 2
    assert replay.wait_ms(2700) == 300


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_replay_goes_on_exactly_behind_its_mark(tmp_path, make_replay, line_end):
    rows = [f"2020-01-01 00:00:{second:02},{second},{-second}" for second in range(20)]
    text = line_end.join(["time,a,b", *rows, ""])
    path = tmp_path / "x.csv"
    with path.open("w", newline="") as file:
        file.write(text)
    first = make_replay(path, exponents=(0, 0), speed=1e6)
    whole = play(first)
    for row in whole:
        mark = (first.mark[0], row.position, 0)
        rest = play(make_replay(path, exponents=(0, 0), speed=1e6, mark=mark))
        assert [r.readings for r in rest] == [r.readings for r in whole if r.time > row.time]
    half = play(
        make_replay(path, exponents=(0, 0), speed=1e6, mark=(first.mark[0], whole[4].position, 1))
    )
    assert (half[0].readings, half[0].part) == ([(1, -5)], 1)
    assert (half[1].readings, half[1].part) == ([(0, 6), (1, -6)], 0)


def test_the_mark_of_another_recording_is_not_followed(tmp_path, make_replay):
    mark = (make_replay(tmp_path / "a.csv", "2020-01-01 00:00:00,1\n").mark[0], 5, 0)
    replay = make_replay(tmp_path / "b.csv", "2020-01-01 00:00:00,1\n", mark=mark)
    assert len(play(replay)) == 1


def test_an_absent_recording_is_a_sensor_error(tmp_path, make_replay):
    with pytest.raises(SensorError, match=r"x\.csv"):
        make_replay(tmp_path / "x.csv")
