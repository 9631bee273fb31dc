"""Time stamps of recordings, read as the node's replay sensor reads them, exact.

Calendar form (RFC 3339 section 5.6, T or a blank, offset optional and UTC without one) or UNIX
seconds, both with an optional decimal fraction.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

UNIX_2000_S = 946_684_800

_CALENDAR = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(?:\.(\d+))?"
    r"(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?\Z",
    re.ASCII,
)
_UNIX = re.compile(r"\d{9,10}(?:\.\d+)?\Z", re.ASCII)
_SIZE_LIMIT = 32


def parse_moment(text: str) -> Decimal | None:
    """Give UNIX seconds, None when the text is no time stamp. Before 2000 is for the caller."""
    if len(text) > _SIZE_LIMIT:
        return None
    if _UNIX.match(text):
        return Decimal(text)
    match = _CALENDAR.match(text)
    return _calendar(match) if match else None


def decimals(moment: Decimal) -> int:
    """Count the digits after the point that a time needs."""
    exponent = moment.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _calendar(match: re.Match[str]) -> Decimal | None:
    year, month, day, hour, minute = (int(match[group]) for group in range(1, 6))
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    zone = timezone(-offset if match[8] == "-" else offset) if match[8] else UTC
    try:
        moment = datetime(year, month, day, hour, minute, int(match[6] or 0), tzinfo=zone)
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return Decimal(seconds) + Decimal(f"0.{match[7] or 0}")
