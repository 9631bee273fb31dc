"""The edge to the person: one line for each error, and what the options share."""

import argparse
import io
import math
import os
import sys
from pathlib import Path

from lilong_tools.errors import ToolError

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def report(error: ToolError) -> int:
    """Say the error in one line and its advice in another; give the exit status."""
    sys.stderr.write(f"lilong: {error.problem}\n  -> {error.advice}\n")
    return MISUSED


def prepare_output() -> None:
    """Let every text be written: to a closed stream, and where the encoding lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def positive_seconds(text: str) -> float:
    """Read a positive number of seconds, for argparse."""
    return _positive(text, "seconds")


def positive_factor(text: str) -> float:
    """Read a positive number, for argparse."""
    return _positive(text, "a factor")


def count(text: str) -> int:
    """Read a whole number of 1 or more, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _positive(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number ({what})")
    return number
