"""Items of readings: single, series and table, as CBOR sequences (RFC 8742).

single: 0, ch, t, v        series: 1, ch, t, n, T, V        table: 2, t, n, T, ch, V, ch, V...
t: unsigned, or [boot, uptime_ms] before the node knows the time. T: the period; or [g, R1 column
of the n - 1 steps / g]; or the steps. V: R1 column of the n values; or the values.
"""

from lilong_protocol import cbor
from lilong_protocol.block_encoder import (
    ITEM_LIMIT,
    MAX_CHANNEL,
    MAX_READINGS,
    SERIES,
    SINGLE,
    TABLE,
    encode_series,
    encode_single,
    encode_table,
)
from lilong_protocol.columns import MAX_COUNT, decode_column
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import integer, integers, ranged
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.times import decode_start, decode_times

if TYPE_CHECKING:
    from lilong_protocol.cbor import Item

__all__ = (
    "ITEM_LIMIT",
    "MAX_CHANNEL",
    "MAX_READINGS",
    "SERIES",
    "SINGLE",
    "TABLE",
    "Block",
    "decode_block",
    "encode_series",
    "encode_single",
    "encode_table",
)


class Block:
    """The readings of one item.

    boot: the boot whose uptime in ms `times` count, or None: they count from 2000, in the
    channel's unit. columns: (channel, values), one value for each of the times.
    """

    def __init__(
        self,
        boot: "int | None",
        times: "list[int]",
        columns: "list[tuple[int, list[int]]]",
    ) -> None:
        self.boot = boot
        self.times = times
        self.columns = columns
        self.count = len(times) * len(columns)


def decode_block(item: bytes) -> Block:
    """Return the readings of an item. DecodeError for any other bytes."""
    fields = cbor.decode_sequence(item)
    kind = ranged(fields[0], SINGLE, TABLE, "kind") if fields else SINGLE
    if kind == SERIES and len(fields) == 6:
        boot, start = decode_start(fields[2])
        count = ranged(fields[3], 2, MAX_COUNT, "count")
        times = decode_times(start, fields[4], count)
        return Block(boot, times, [_read_column(fields[1], fields[5], count)])
    if kind == TABLE and len(fields) >= 6 and len(fields) % 2 == 0:
        return _read_table(fields)
    if kind == SINGLE and len(fields) == 4:
        boot, start = decode_start(fields[2])
        channel = ranged(fields[1], 0, MAX_CHANNEL, "channel")
        return Block(boot, [start], [(channel, [integer(fields[3], "value")])])
    raise DecodeError("block: wrong number of fields")


def _read_table(fields: "list[Item]") -> Block:
    boot, start = decode_start(fields[1])
    count = ranged(fields[2], 2, MAX_COUNT, "count")
    if count * (len(fields) - 4) > 2 * MAX_READINGS:
        raise DecodeError(f"block: more than {MAX_READINGS} readings")
    times = decode_times(start, fields[3], count)
    columns = [
        _read_column(fields[index], fields[index + 1], count) for index in range(4, len(fields), 2)
    ]
    if len({channel for channel, _ in columns}) != len(columns):
        raise DecodeError("block: a channel twice")
    return Block(boot, times, columns)


def _read_column(channel: "Item", field: "Item", count: int) -> "tuple[int, list[int]]":
    number = ranged(channel, 0, MAX_CHANNEL, "channel")
    if isinstance(field, bytes):
        return number, decode_column(field, count)
    if isinstance(field, list):
        return number, integers(field, count, "values")
    raise DecodeError(f"block: channel {number} has no column")
