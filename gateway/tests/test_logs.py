import io
import json
import logging
import math
from collections.abc import Iterator

import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.logs import pairs, start_logging

LOG = logging.getLogger("lilong_gateway.somewhere")


@pytest.fixture
def root() -> Iterator[None]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def written(form: str) -> io.StringIO:
    stream = io.StringIO()
    start_logging("debug", form, stream)
    return stream


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (b"\x0a\x1b", "0a1b"),
        ("two words", '"two words"'),
        ('a "quote"', '"a \\"quote\\""'),
        ("line\nbreak\x1b[31m", '"line\\nbreak\\x1b[31m"'),
        ("", '""'),
        (7, "7"),
    ],
)
def test_a_value_can_neither_break_the_line_nor_forge_a_key(value: object, text: str) -> None:
    assert str(pairs(key=value)) == f"key={text}"


@pytest.mark.usefixtures("root")
def test_text_is_the_event_and_its_pairs_on_one_line() -> None:
    stream = written("text")
    LOG.warning("port %s", pairs(name="/dev/ttyUSB0", state="not there"))
    line = stream.getvalue()
    assert line.endswith('port name=/dev/ttyUSB0 state="not there"\n')
    assert line.count("\n") == 1


@pytest.mark.usefixtures("root")
def test_json_keeps_the_kinds_of_values_and_the_event_alone() -> None:
    stream = written("json")
    LOG.info(
        "session open %s",
        pairs(
            eui=b"\x0a\x1b",
            count=3,
            well=True,
            rate=0.5,
            odd=math.nan,
            none=None,
            error=OSError("x"),
        ),
    )
    told = json.loads(stream.getvalue())
    assert told.pop("ts").endswith("Z")
    assert told == {
        "level": "info",
        "logger": "lilong_gateway.somewhere",
        "event": "session open",
        "eui": "0a1b",
        "count": 3,
        "well": True,
        "rate": 0.5,
        "odd": "nan",
        "none": None,
        "error": "x",
    }


@pytest.mark.usefixtures("root")
def test_a_field_cannot_pass_for_one_of_the_records_own() -> None:
    stream = written("json")
    LOG.info("visit %s", pairs(level="high", ts=1, event="forged"))
    told = json.loads(stream.getvalue())
    assert (told["level"], told["event"]) == ("info", "visit")
    assert (told["level_"], told["ts_"], told["event_"]) == ("high", 1, "forged")


@pytest.mark.usefixtures("root")
def test_json_is_one_line_whatever_was_said_and_whoever_said_it() -> None:
    stream = written("json")
    try:
        int("two\nlines")
    except ValueError:
        LOG.exception("task failed %s", pairs(task="a\nb"))
    logging.getLogger("foreign").warning("100 %s\n%d", "percent", 7)
    LOG.warning("plain words: 100%")
    failed, foreign, plain = map(json.loads, stream.getvalue().splitlines())
    assert failed["task"] == "a\nb"
    assert failed["traceback"].count("\n") > 1
    assert foreign["event"] == "100 percent\n7"
    assert plain["event"] == "plain words: 100%"


def test_waiting_grows_to_its_bound_and_starts_again_after_success() -> None:
    backoff = Backoff(lambda: 0.5, 1.0, 8.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_waiting_is_never_nothing() -> None:
    assert Backoff(lambda: 0.0, 1.0, 8.0).next_s() == 0.25
