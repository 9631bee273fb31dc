from decimal import Decimal
from pathlib import Path

import pytest

from lilong_tools.errors import ToolError
from lilong_tools.moment import parse_moment
from lilong_tools.recording import rows_of, scan
from lilong_tools.resolution import parse_resolution


@pytest.fixture
def csv(tmp_path: Path):
    def write(*lines: str) -> Path:
        path = tmp_path / "x.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(ToolError) as error:
        scan(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_exponent_makes_every_value_exact(csv):
    path = csv("time,a,b", "2018-06-01 04:00:00,0.93,1e-3", "2018-06-01 04:05:00,12,-2.5e2")
    recording = scan(path)
    assert [(c.name, c.exponent, c.rounded) for c in recording.columns] == [
        ("a", -2, False),
        ("b", -3, False),
    ]
    for row in rows_of(recording):
        for column, value in zip(recording.columns, row.values, strict=True):
            assert value.scaleb(-column.exponent) % 1 == 0


def test_trailing_zeros_cost_no_exponent(csv):
    assert scan(csv("t,a", "2018-06-01 04:00:00,1.500")).columns[0].exponent == -1


def test_whole_numbers_keep_the_exponent_zero(csv):
    assert scan(csv("t,a", "2018-06-01 04:00:00,23000")).columns[0].exponent == 0


def test_a_value_too_large_for_its_digits_is_rounded_and_says_so(csv):
    recording = scan(csv("t,a", "2018-06-01 04:00:00,50.123456789012345678901"))
    (column,) = recording.columns
    assert column.rounded
    assert Decimal("50.123456789012345678901").scaleb(-column.exponent) < 2**64
    assert Decimal("50.123456789012345678901").scaleb(-column.exponent + 1) >= 2**64
    assert recording.remarks() == [f"x.csv: a is rounded to 10^{column.exponent}"]


def test_digits_beyond_decimal_precision_are_not_taken_for_exact(csv):
    (column,) = scan(csv("t,a", f"2018-06-01 04:00:00,0.{'1' * 40}")).columns
    assert column.rounded


def test_a_resolution_that_is_asked_for_is_used(csv):
    path = csv("t,a b,c", "2018-06-01 04:00:00,0.935,0.1")
    columns = scan(path, parse_resolution(["0.01", "a b=0.1"])).columns
    assert [(c.exponent, c.rounded) for c in columns] == [(-1, True), (-2, False)]


@pytest.mark.parametrize("word", ["0.05", "x", "a=", "-0.1", "0", "nan", "1e99"])
def test_a_resolution_that_is_no_power_of_ten_is_refused(word):
    with pytest.raises(ToolError, match="power of ten"):
        parse_resolution([word])


def test_headers_become_senml_names(csv):
    path = csv("date,LEQ dB -A,é,LEQ dB -A", "2018-06-01 04:00:00,1,2,3")
    assert [c.name for c in scan(path).columns] == ["LEQ_dB_-A", "value2", "LEQ_dB_-A.3"]


def test_a_file_without_header_is_read_from_its_first_line(csv):
    recording = scan(csv("1527825600,0.93", "1527825900,0.92"))
    assert (recording.rows, recording.header, recording.time_column) == (2, False, 0)
    assert recording.span_s == 300


def test_the_column_named_time_wins_over_another_that_looks_like_one(csv):
    recording = scan(csv("id,timestamp,v", "1527825600,2018-06-01 04:00:00,1"))
    assert recording.time_column == 1
    assert [c.header for c in recording.columns] == ["id", "v"]


def test_fractions_of_a_second_need_milliseconds(csv):
    recording = scan(csv("t,a", "2018-06-01T04:00:00.5Z,1", "2018-06-01T04:00:01Z,1"))
    assert recording.time_exponent == -3
    assert recording.span_s == 0.5


def test_text_columns_and_empty_cells_are_left_out(csv):
    recording = scan(csv("t,place,a", "2018-06-01 04:00:00,lane,", "2018-06-01 04:01:00,lane,3"))
    assert [c.header for c in recording.columns] == ["a"]
    assert (recording.rows, recording.readings) == (1, 1)


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("2018-06-01 04:00:00+00:00", "1527825600"),
        ("2018-06-01T04:00:00Z", "1527825600"),
        ("2018-06-01 12:00:00+08:00", "1527825600"),
        ("2018-06-01 00:00:00.25-0400", "1527825600.25"),
        ("2018-06-01 04:00", "1527825600"),
        ("1527825600.125", "1527825600.125"),
    ],
)
def test_every_form_of_time_stamp_is_the_same_moment(text, unix):
    assert parse_moment(text) == Decimal(unix)


@pytest.mark.parametrize("text", ["", "2018-02-30 00:00:00", "04:00:00", "12", "2018-06-01", "x"])
def test_what_is_no_time_stamp_is_none(text):
    assert parse_moment(text) is None


def test_an_empty_file_is_refused(csv):
    assert "is empty" in refusal(csv(""))


def test_a_header_alone_is_refused(csv):
    assert "no rows" in refusal(csv("time,a"))


def test_a_missing_file_is_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.csv")


def test_a_file_without_times_is_refused(csv):
    assert "line 2: no column holds a time" in refusal(csv("a,b", "1,2"))


def test_a_file_without_numbers_is_refused(csv):
    assert "no column but the time" in refusal(csv("time,a", "2018-06-01 04:00:00,x"))


def test_a_time_before_2000_is_refused_with_its_line(csv):
    path = csv("time,a", "2018-06-01 04:00:00,1", "1999-12-31 23:59:59,1")
    assert "line 3: 1999-12-31 23:59:59 is before 2000" in refusal(path)


def test_a_broken_number_is_refused_with_line_and_column(csv):
    path = csv("time,a", "2018-06-01 04:00:00,1", "2018-06-01 04:00:01,1x")
    assert "line 3: '1x' in column a is not a number" in refusal(path)


def test_a_short_line_is_refused(csv):
    path = csv("time,a", "2018-06-01 04:00:00,1", "2018-06-01 04:00:01")
    assert "line 3: 1 columns, not 2" in refusal(path)
