"""Logs: one line each, key=value, to stderr."""

import logging
import re
import sys
import time

_PLAIN = re.compile(r"[^\s\"=]+\Z")


def pairs(**fields: object) -> str:
    """Write fields as key=value, quoting what has spaces; control characters are escaped."""
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def _value(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    if _PLAIN.match(text) and text.isprintable():
        return text
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


def start_logging(level: str) -> None:
    """Send every record at or above level to stderr; time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class _OneLine(logging.Formatter):
    """A record never spans two lines, not even one with a traceback."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, layout: str) -> None:
        super().__init__(layout)
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", " | ")
