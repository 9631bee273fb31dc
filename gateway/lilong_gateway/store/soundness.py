"""Whether a row of the table batch holds what was written."""

from collections.abc import Sequence
from typing import Any

from lilong_gateway.store import timing
from lilong_gateway.store.checksum import checksum
from lilong_gateway.store.records import Slot

COLUMNS = """b.pos, n.eui, b.epoch, b.stream, b.seq, b.quality, b.offset_ms, b.item, b.descriptor,
    b.one_in, b.sum, b.node"""
"""What is_sound takes, in its order; n is the node, of which there may be none."""

ITEM = 7
NODE = 11
_LEVELS = {1, 2, 4, 8, 16, 32, 64}


def is_sound(fields: Sequence[Any], unsummed: int) -> bool:
    """Whether these fields are what was stored; batches up to unsummed have no checksum."""
    pos, eui, epoch, stream, seq, quality, offset_ms, item, descriptor, one_in, sum_ = fields[:11]
    if not isinstance(eui, bytes) or not isinstance(item, bytes) or one_in not in _LEVELS:
        return False
    for number in (epoch, stream, seq):
        if not isinstance(number, int) or not 0 <= number < 1 << 32:
            return False
    if not _is_dated(quality, offset_ms):
        return False
    if sum_ is None:
        return bool(pos <= unsummed)
    slot = Slot(eui, epoch, stream, seq)
    return bool(sum_ == checksum(slot, descriptor, quality, offset_ms, item))


def _is_dated(quality: object, offset_ms: object) -> bool:
    if quality in timing.DATED:
        return isinstance(offset_ms, int)
    return quality in {timing.SYNCED, timing.PENDING} and offset_ms is None
