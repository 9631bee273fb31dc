"""JSON (RFC 8259) in which numbers keep all their digits."""

import json
from collections.abc import Mapping
from math import isfinite

from lilong_gateway.senml import Exact, digits
from lilong_gateway.uplink.message import Figures

TYPE = "application/json"


def write(value: object) -> str:
    """Return an object, list, text, number, Exact, truth value or None, without blanks."""
    if isinstance(value, Exact):
        return digits(value)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(name)}:{write(member)}" for name, member in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def encode(value: object) -> bytes:
    """Return the same in UTF-8."""
    return write(value).encode()


def finite(figures: Figures) -> dict[str, float | str | None]:
    """Return the figures, with None for numbers that JSON has not."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in figures.items()
    }


def known(figures: Figures) -> dict[str, float | str]:
    """Return the figures that have a value, for platforms without a word for none."""
    return {name: value for name, value in finite(figures).items() if value is not None}
