"""Stores filled by the gateway's own code: nodes that it knows, batches that nobody has had."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace

from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.examine import describe, examine
from lilong_gateway.store.records import Entry, Slot
from lilong_gateway.store.store import Store
from lilong_protocol.description import Description, descriptor_hash
from lilong_protocol.events import BatchReceived, Described
from lilong_protocol.frame import DATA_STREAM
from lilong_tools.bench.gateway.line import BOOT, EPOCH, descriptor, eui_of, walk

_GROUP = 1000
_HOUR_MS = 3_600_000


def new_keys(nodes: int) -> dict[bytes, bytes]:
    """Return a key for each of so many nodes."""
    return {eui_of(number): os.urandom(16) for number in range(nodes)}


async def register(store: Store, keys: dict[bytes, bytes]) -> None:
    """Let the store know each node and its channels."""
    text = descriptor()
    told = Description(BOOT, _now_ms() - _HOUR_MS, 1, descriptor_hash(text), text)
    await _commit(store, (describe(Described(eui, told), key) for eui, key in keys.items()))


async def fill(store: Store, keys: dict[bytes, bytes], batches: int, readings: int) -> None:
    """Give each node so many batches of so many readings, a batch a minute until now."""
    await _commit(store, _arrivals(list(keys), batches, readings))


def _arrivals(euis: list[bytes], batches: int, readings: int) -> Iterator[Entry]:
    """Yield batches minute by minute; those of one minute hold the same values."""
    first_ms = _now_ms() - 60_000 * batches
    for seq in range(batches):
        start_ms = first_ms + 60_000 * seq
        item = walk(readings, seq, start_ms // 1000, 1)
        event = BatchReceived(euis[0], EPOCH, DATA_STREAM, seq, item)
        entry = examine(event, start_ms + 60_000)
        for eui in euis:
            yield replace(entry, slot=Slot(eui, EPOCH, DATA_STREAM, seq))


async def _commit(store: Store, entries: Iterator[Entry]) -> None:
    group: list[Entry] = []
    for entry in entries:
        group.append(entry)
        if len(group) == _GROUP:
            await store.commit(group)
            group = []
    await store.commit(group)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000 - UNIX_2000_MS
