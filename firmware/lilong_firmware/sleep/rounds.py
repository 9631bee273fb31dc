"""Rounds of readings in few bytes, to which more are added and nothing is changed.

    head        (time since the round before, less the period, in ms) * 2 + full
    full        number of channels, then channel and value of each
    otherwise   value less the one before, of the same channels in the same order

Numbers are base 128, least significant first; those with a sign are zigzag. At least every 16th
round is full, so that a few need to be read before one is added.
"""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lilong_firmware.sleep.state import State

    Readings = list[tuple[int, int]]

_FULL_EVERY = const(16)
_HEAD_BYTES = const(8)
_READING_BYTES = const(12)


def most_bytes(channels: int) -> int:
    """Return what one round takes at most, with values of up to 64 bits."""
    return _HEAD_BYTES + _READING_BYTES * channels


def add_round(state: "State", uptime_ms: int, readings: "Readings", limit: int) -> bool:
    """Add a round to the log of a state; False when it would be longer than `limit` bytes."""
    before = _latest(state)
    full = before is None or [one[0] for one in before] != [one[0] for one in readings]
    added = bytearray()
    late_ms = uptime_ms - state.round_ms - state.period_ms
    _put(added, _zigzag(late_ms) * 2 + full)
    if full:
        _put(added, len(readings))
    for index, (channel, value) in enumerate(readings):
        if full:
            _put(added, channel)
        _put(added, _zigzag(value if full or before is None else value - before[index][1]))
    if len(state.log) + len(added) > limit:
        return False
    if full:
        state.full_at = len(state.log)
    state.log += added
    state.round_ms = uptime_ms
    state.rounds += 1
    state.channels = min(255, max(state.channels, len(readings)))
    return True


def read_rounds(state: "State") -> "Iterator[tuple[int, Readings]]":
    """Give (uptime in ms, readings) of each round of a log, the oldest first."""
    uptime_ms = 0
    for late_ms, readings in _parse(state.log, 0):
        uptime_ms += state.period_ms + late_ms
        yield uptime_ms, readings


def _latest(state: "State") -> "Readings | None":
    """Return the latest round, None when the next one must be full."""
    count = 0
    latest = None
    for _, readings in _parse(state.log, state.full_at):
        latest = readings
        count += 1
    return latest if count < _FULL_EVERY else None


def _parse(log: bytes, place: int) -> "Iterator[tuple[int, Readings]]":
    readings: Readings = []
    while place < len(log):
        head, place = _take(log, place)
        if head & 1:
            count, place = _take(log, place)
            readings = [(0, 0)] * count
        before, readings = readings, []
        for channel, value in before:
            if head & 1:
                channel, place = _take(log, place)  # noqa: PLW2901 - it stands in front
            number, place = _take(log, place)
            readings.append((channel, value + _signed(number)))
        yield _signed(head >> 1), readings


def _put(data: bytearray, number: int) -> None:
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _take(log: bytes, place: int) -> "tuple[int, int]":
    """Return a number and the place behind it."""
    number = shift = 0
    while log[place] & 0x80:
        number |= (log[place] & 0x7F) << shift
        shift += 7
        place += 1
    return number | log[place] << shift, place + 1


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _signed(number: int) -> int:
    return -(number >> 1) - 1 if number & 1 else number >> 1
