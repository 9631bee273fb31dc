"""Logs: one line each to stderr, key=value for people or JSON for machines."""

import json
import logging
import math
import re
import sys
import time
from typing import TextIO

JSON = "json"

_PLAIN = re.compile(r"[^\s\"=]+\Z")
_OWN = {"ts", "level", "logger", "event", "traceback"}


class Fields:
    """What a record tells besides its event; written only when the record is."""

    def __init__(self, values: dict[str, object]) -> None:
        self.values = values

    def __str__(self) -> str:
        return " ".join(f"{name}={_value(value)}" for name, value in self.values.items())


def pairs(**fields: object) -> Fields:
    """Give fields to a record: key=value, quoting what has spaces and escaping what is control."""
    return Fields(fields)


def _value(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    if _PLAIN.match(text) and text.isprintable():
        return text
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


def start_logging(level: str, form: str = "text", stream: TextIO | None = None) -> None:
    """Send every record at or above level to stderr as "text" or "json"; time in UTC."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(_OneObject() if form == JSON else _OneLine(layout))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class _Utc(logging.Formatter):
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)


class _OneLine(_Utc):
    """A record never spans two lines, not even one with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")


class _OneObject(_Utc):
    """One JSON object (RFC 8259) a line: ts, level, logger, event, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _parts(record)
        told: dict[str, object] = {
            "ts": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event,
        }
        for name, value in fields.items():
            told[f"{name}_" if name in _OWN else name] = _json_value(value)
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


def _parts(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """Return the event without its fields, and the fields."""
    given = record.args if isinstance(record.args, tuple) else ()
    fields: dict[str, object] = {}
    for value in given:
        if isinstance(value, Fields):
            fields |= value.values
    if not fields:
        return record.getMessage(), {}
    words = tuple("" if isinstance(value, Fields) else value for value in given)
    return (str(record.msg) % words).strip(), fields


def _json_value(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
