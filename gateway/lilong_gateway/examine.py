"""What sessions hand over -> what the store keeps; nothing undecodable passes as a batch."""

from lilong_gateway.keys import key_id
from lilong_gateway.store.records import Arrival, Description, Missing, Slot, Unreadable
from lilong_protocol.blocks import decode_block
from lilong_protocol.descriptor import decode_descriptor
from lilong_protocol.errors import DecodeError
from lilong_protocol.events import BatchReceived, Described

_UPTIME_LIMIT_MS = 1 << 48
_VERSION_LIMIT = (1 << 63) - 1
"""The largest integer of SQLite."""


def examine(event: BatchReceived, received_ms: int | None) -> Arrival | Unreadable | Missing:
    """Decode a batch to see that it can be; one that cannot is kept raw, for a person."""
    slot = Slot(event.eui, event.epoch, event.stream, event.seq)
    if not event.item:
        return Missing(slot, received_ms)
    try:
        block = decode_block(event.item)
    except DecodeError as error:
        return Unreadable(slot, event.item, str(error), received_ms)
    last_ms = max(block.times) if block.boot is not None else 0
    if last_ms >= _UPTIME_LIMIT_MS:
        return Unreadable(slot, event.item, "an uptime beyond all reason", received_ms)
    channels = tuple([number for number, _ in block.columns])
    return Arrival(slot, event.item, block.count, block.boot, last_ms, received_ms, channels)


def describe(event: Described, key: bytes) -> Description:
    """Decode a node's description, which came under key; DecodeError: unreadable channels."""
    version = 0
    if event.descriptor is not None:
        version, _ = decode_descriptor(event.descriptor)
    return Description(
        event.eui,
        event.boot_id,
        event.epoch_ms_at_boot,
        event.uncertainty_ms,
        event.descriptor_hash,
        min(version, _VERSION_LIMIT),
        event.descriptor,
        key_id(key),
    )
