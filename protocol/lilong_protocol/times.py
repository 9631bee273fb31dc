"""The times of an item: where they start, and the column of steps that follows.

A start counts from 2000 in the channel's unit, or is [boot, uptime_ms]. Steps are one period if
all are alike; or [g, R1 column of steps / g]; or plain integers.
"""

from lilong_protocol.block_encoder import MAX_BOOT
from lilong_protocol.columns import decode_column
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import integers, ranged
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.sums import running_sums

if TYPE_CHECKING:
    from lilong_protocol.cbor import Item

MAX_TIME = 0xFFFFFFFFFFFFFFFF


def decode_start(field: "Item") -> "tuple[int | None, int]":
    """Return (boot or None, first time). DecodeError for anything else."""
    boot = None
    if isinstance(field, list):
        if len(field) != 2:
            raise DecodeError("block: a time is a number or [boot, uptime]")
        boot = ranged(field[0], 0, MAX_BOOT, "boot id")
        field = field[1]
    return boot, ranged(field, 0, MAX_TIME, "time")


def decode_times(start: int, field: "Item", count: int) -> "list[int]":
    """Return the `count` times. DecodeError if the field does not give so many."""
    if isinstance(field, list):
        times = _stepped(start, field, count)
    else:
        period = ranged(field, 0, MAX_TIME, "period")
        times = [start + index * period for index in range(count)]
    if min(times) < 0 or max(times) > MAX_TIME:
        raise DecodeError("block: a time outside 64 bits")
    return times


def _stepped(start: int, field: "list[Item]", count: int) -> "list[int]":
    if len(field) == 2 and isinstance(field[1], bytes):
        unit = ranged(field[0], 1, MAX_TIME, "unit of steps")
        steps = decode_column(field[1], count - 1)
    else:
        unit = 1
        steps = integers(field, count - 1, "steps")
    if unit != 1:
        steps = [step * unit for step in steps]
    return running_sums(start, steps)
