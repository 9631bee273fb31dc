"""Time stamps of recordings as integers since 2000-01-01T00:00:00Z."""

from lilong_firmware.clock import UNIX_AT_2000_S
from lilong_firmware.decimal import scaled
from lilong_firmware.errors import RowError
from lilong_protocol.portable import const

_DAY_S = const(86400)
_HOUR_S = const(3600)
_MINUTE_S = const(60)
_AFTER_9999_S = 252455616000
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_timestamp(text: str, time_exponent: int) -> int:
    """Return units of 10**time_exponent seconds since 2000.

    Takes `YYYY-MM-DD HH:MM:SS` with T or a blank, an optional fraction and an optional Z or
    offset (+hh:mm, +hhmm, +hh), or unix seconds. Without an offset the time is taken as UTC.
    RowError for anything else and for times before 2000 or after 9999.
    """
    seconds, fraction = _calendar(text) if text[4:5] == "-" else _unix(text)
    if seconds < 0:
        raise RowError("time", text + " is before 2000")
    if seconds >= _AFTER_9999_S:
        raise RowError("time", text + " is after the year 9999")
    digits = seconds * 10 ** len(fraction) + (int(fraction) if fraction else 0)
    return scaled(digits, -len(fraction), time_exponent)


def _unix(text: str) -> "tuple[int, str]":
    whole, _, fraction = text.partition(".")
    if len(text) > 32 or not (whole + fraction).isdigit() or not whole:
        raise RowError("time", repr(text[:32]) + " is no time stamp")
    return int(whole) - UNIX_AT_2000_S, fraction


def _calendar(text: str) -> "tuple[int, str]":
    date, clock = text[:10], text[11:]
    if len(text) > 40 or text[7:8] != "-" or text[10:11] not in (" ", "T"):
        raise RowError("time", repr(text[:40]) + " is no time stamp")
    clock, offset_s = _split_offset(clock)
    clock, _, fraction = clock.partition(".")
    if fraction and not fraction.isdigit():
        raise RowError("time", repr(text) + " has no usable fraction")
    days = _days(_field(date[:4], 2000, 9999), _field(date[5:7], 1, 12), date[8:10])
    return days * _DAY_S + _time_of_day_s(clock) - offset_s, fraction


def _split_offset(clock: str) -> "tuple[str, int]":
    """Split HH:MM:SS+hh:mm into the clock and the offset in seconds."""
    if clock.endswith("Z"):
        return clock[:-1], 0
    for sign, factor in (("+", 1), ("-", -1)):
        clock_part, mark, zone = clock.partition(sign)
        if mark:
            zone = zone.replace(":", "")
            hours = _field(zone[:2], 0, 23)
            minutes = _field(zone[2:4], 0, 59) if len(zone) == 4 else 0
            if len(zone) not in (2, 4):
                raise RowError("time", repr(clock) + " has no usable offset")
            return clock_part, factor * (hours * _HOUR_S + minutes * _MINUTE_S)
    return clock, 0


def _time_of_day_s(clock: str) -> int:
    parts = clock.split(":")
    if len(parts) not in (2, 3):
        raise RowError("time", repr(clock) + " is no time of day")
    seconds = _field(parts[2], 0, 59) if len(parts) == 3 else 0
    return _field(parts[0], 0, 23) * _HOUR_S + _field(parts[1], 0, 59) * _MINUTE_S + seconds


def _days(year: int, month: int, day_text: str) -> int:
    """Return the days from 2000-01-01 to a date of the Gregorian calendar."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 29 if leap and month == 2 else _DAYS_IN_MONTH[month - 1]
    day = _field(day_text, 1, longest)
    past = year - 2000
    days = past * 365 + (past + 3) // 4 - (past + 99) // 100 + (past + 399) // 400
    days += sum(_DAYS_IN_MONTH[: month - 1])
    return days + (1 if leap and month > 2 else 0) + day - 1


def _field(text: str, lowest: int, highest: int) -> int:
    if not text.isdigit() or not lowest <= int(text) <= highest:
        raise RowError("time", repr(text) + " is outside " + str(lowest) + ".." + str(highest))
    return int(text)
