"""Writes items of readings; blocks.py and times.py say their forms, and read them."""

from lilong_protocol import cbor
from lilong_protocol.column_encoder import MAX_COUNT, encode_column
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lilong_protocol.cbor import Encodable

SINGLE = 0
SERIES = 1
TABLE = 2

ITEM_LIMIT = 480
"""Bytes of one item on the wire; whoever encodes splits what came out longer."""

MAX_READINGS = 4096
"""Readings in one item: bounds what a few bytes of constant columns can swell to."""

MAX_CHANNEL = 255
MAX_BOOT = 0xFFFFFFFF


def encode_single(channel: int, time: int, value: int, boot: "int | None" = None) -> bytes:
    """Return the item of one reading. RangeError if a number is outside its range."""
    _check_channels([channel])
    return cbor.encode_sequence([SINGLE, channel, _start([time], boot), value])


def encode_series(
    channel: int,
    times: "Sequence[int]",
    values: "Sequence[int]",
    boot: "int | None" = None,
) -> bytes:
    """Return the item of 2 to 1024 readings of one channel. RangeError for any other."""
    _check_counts(times, [(channel, values)])
    start = _start(times, boot)
    return cbor.encode_sequence(
        [SERIES, channel, start, len(times), _time_steps(times), _column(values)]
    )


def encode_table(
    times: "Sequence[int]",
    columns: "Sequence[tuple[int, Sequence[int]]]",
    boot: "int | None" = None,
) -> bytes:
    """Return the item of channels sampled together, as (channel, values). RangeError if wrong."""
    _check_counts(times, columns)
    items: list[Encodable] = [TABLE, _start(times, boot), len(times), _time_steps(times)]
    for channel, values in columns:
        items.append(channel)
        items.append(_column(values))
    return cbor.encode_sequence(items)


def _check_channels(channels: "list[int]") -> None:
    if not channels or len(set(channels)) != len(channels):
        raise RangeError("block: no channel, or one twice")
    if min(channels) < 0 or max(channels) > MAX_CHANNEL:
        raise RangeError(f"block: a channel outside 0..{MAX_CHANNEL}")


def _check_counts(times: "Sequence[int]", columns: "Sequence[tuple[int, Sequence[int]]]") -> None:
    _check_channels([column[0] for column in columns])
    count = len(times)
    if not 2 <= count <= MAX_COUNT or count * len(columns) > MAX_READINGS:
        raise RangeError(f"block: {count} times of {len(columns)} channels")
    for channel, values in columns:
        if len(values) != count:
            raise RangeError(f"block: {count} times, {len(values)} values of channel {channel}")


def _column(values: "Sequence[int]") -> "Encodable":
    column = encode_column(values)
    return list(values) if column is None else column


def _start(times: "Sequence[int]", boot: "int | None") -> "Encodable":
    """Return the first time, with its boot if there is one. RangeError for a negative time."""
    if min(times) < 0:
        raise RangeError("block: a time before 2000")
    if boot is None:
        return times[0]
    if not 0 <= boot <= MAX_BOOT:
        raise RangeError("block: the boot id is not 32 bits")
    return [boot, times[0]]


def _time_steps(times: "Sequence[int]") -> "Encodable":
    """Return the shortest form of the steps between the times."""
    steps = [times[index] - times[index - 1] for index in range(1, len(times))]
    first = steps[0]
    if first >= 0 and min(steps) == first == max(steps):
        return first
    divisor = _divisor(steps)
    column = encode_column([step // divisor for step in steps] if divisor > 1 else steps)
    return steps if column is None else [divisor, column]


def _divisor(steps: "list[int]") -> int:
    """Return the greatest common divisor."""
    divisor = 0
    for step in steps:
        rest = abs(step)
        while rest:
            divisor, rest = rest, divisor % rest
        if divisor == 1:
            break
    return divisor
