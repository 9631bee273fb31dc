import os
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


def test_a_short_or_long_line_is_refused(csv):
    path = csv("time,a", "2018-06-01 04:00:00,1", "2018-06-01 04:00:01")
    assert "line 3: 1 columns, not 2" in refusal(path)
    path = csv("time,a", "2018-06-01 04:00:00,1,7")
    assert "line 2: 3 columns, not 2" in refusal(path)


def test_an_empty_cell_too_many_is_no_column(csv):
    assert scan(csv("time,a", "2018-06-01 04:00:00,1,")).readings == 1


def test_a_byte_order_mark_before_a_header_does_not_count(csv):
    recording = scan(csv("\ufeff2018,time", "3,2018-06-01 04:00:00"))
    assert [(c.header, c.name) for c in recording.columns] == [("2018", "2018")]


def test_a_byte_order_mark_before_the_first_row_is_refused_as_the_node_skips_that_row(csv):
    assert "line 1: '\\ufeff1527825600' is not ASCII" in refusal(csv("\ufeff1527825600,1"))


def test_blank_lines_before_the_header_are_passed_over(csv):
    recording = scan(csv("", "", "time,a", "2018-06-01 04:00:00,1"))
    assert [c.name for c in recording.columns] == ["a"]


def test_a_header_that_is_a_number_does_not_make_its_column_one_of_numbers(csv):
    recording = scan(csv("time,1,2", "2018-06-01 04:00:00,3,x"))
    assert [c.header for c in recording.columns] == ["1"]
    assert recording.remarks() == ["x.csv: column 2 holds no numbers and is left out"]


def test_no_two_columns_get_one_name(csv):
    recording = scan(csv("time,a,a.3,a," + "b" * 40 + "," + "b" * 41, "1527825600,1,2,3,4,5"))
    names = [c.name for c in recording.columns]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 32


@pytest.mark.parametrize("cell", ["\u4e0a\u6d77", "x\x7f", "3\u00a0"])
def test_a_row_that_is_not_ascii_is_refused_as_the_node_skips_it(csv, cell):
    assert "is not ASCII" in refusal(csv("time,a,b", "1527825600,1,2", f"1527825601,1,{cell}"))


@pytest.mark.parametrize("place", ['"1, 2"', '"x, y"', '"x'])
def test_a_quoted_comma_is_refused_and_never_shifts_the_columns(csv, place):
    path = csv("time,place,a", f"1527825600,{place},3")
    assert "line 2: a quoted comma" in refusal(path)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_separator_is_named(csv, mark):
    path = csv(f"time{mark}a", f"2018-06-01 04:00:00{mark}1,5")
    assert f"separated by {mark!r}" in refusal(path)


@pytest.mark.parametrize("text", ["1e-70", "1e65", "0x10", "1_000", "inf"])
def test_a_number_that_no_node_reads_is_refused(csv, text):
    assert f"{text!r} in column a is not a number" in refusal(
        csv("time,a", "1527825600,1", f"1527825601,{text}")
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2018-06-01T00:00:00+24:00", "no time"),
        ("2018-06-01T00:00:00+99:99", "no time"),
        ("2018-06-01T00:00:00+08:60", "no time"),
        ("1999-12-31T23:59:59-05:00", "before 2000"),
        ("9999-12-31T23:59:59-05:00", "after 9999"),
        ("1527825600000", "no time"),
    ],
)
def test_a_time_that_no_node_reads_is_refused(csv, text, problem):
    assert problem in refusal(csv("time,a", "2018-06-01T00:00:00,1", f"{text},1"))


def test_padding_counts_for_the_length_of_a_line(csv):
    assert "longer than 1023" in refusal(csv("time,a", "1527825600,1" + " " * 1012))
    assert scan(csv("time,a", "1527825600,1" + " " * 1011)).rows == 1


def test_what_is_no_text_is_refused_whatever_its_size(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("time,a\n1527825600,1\n", "utf-16")
    assert "not a text file" in refusal(path)
    path.write_bytes(b"x" * (1 << 20))
    assert "not a text file" in refusal(path)


def test_a_folder_a_pipe_and_a_device_are_refused_without_reading(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        assert "is not a file" in refusal(path)


def test_a_value_that_rounding_would_carry_over_the_limit_gets_another_exponent(csv):
    (column,) = scan(csv("time,a", f"1527825600,{2**64 - 1}.6")).columns
    assert round(Decimal(f"{2**64 - 1}.6").scaleb(-column.exponent)) < 2**64
