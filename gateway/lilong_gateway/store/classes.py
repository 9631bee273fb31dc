"""What is described of a batch's channels: how private they are, and their names."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lilong_gateway.store.checksum import row_sum
from lilong_protocol.blocks import decode_block
from lilong_protocol.descriptor import MAX_PRIVACY, decode_descriptor
from lilong_protocol.errors import DecodeError

_KEPT = 4096
"""Descriptors that are in memory; a gateway serves some hundred nodes."""


class Described(NamedTuple):
    """One channel."""

    privacy: int
    name: str


class Classes:
    """The channels of each descriptor, by its row."""

    def __init__(self) -> None:
        self._known: dict[int, Mapping[int, Described]] = {}

    def strictest(
        self, connection: sqlite3.Connection, descriptor: int | None, channels: Iterable[int]
    ) -> int | None:
        """Return the class of a batch, None while its node has described nothing.

        A channel that is not described counts as the strictest.
        """
        if descriptor is None:
            return None
        known = self.channels(connection, descriptor)
        strictest = None
        for number in channels:
            channel = known.get(number)
            privacy = MAX_PRIVACY if channel is None else channel.privacy
            if strictest is None or privacy > strictest:
                strictest = privacy
        return strictest

    def channels(self, connection: sqlite3.Connection, descriptor: int) -> Mapping[int, Described]:
        """Return what a descriptor says of each channel, {} for one that cannot be read."""
        known = self._known.get(descriptor)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[descriptor] = _load(connection, descriptor)
        return known

    def forget(self) -> None:
        """Read descriptors anew; call it when one was replaced or deleted."""
        self._known.clear()


def channels_of(item: bytes) -> tuple[int, ...]:
    """Return the numbers of the channels of a batch, () if it cannot be decoded."""
    try:
        return tuple(number for number, _ in decode_block(item).columns)
    except DecodeError:
        return ()


def _load(connection: sqlite3.Connection, descriptor: int) -> dict[int, Described]:
    found = connection.execute(
        "SELECT node, body, sum FROM descriptor WHERE id = ?", (descriptor,)
    ).fetchone()
    if found is None or found[2] != row_sum(descriptor, *found[:2]):
        return {}
    try:
        _, channels = decode_descriptor(found[1])
    except (DecodeError, TypeError):
        return {}
    return {one.number: Described(one.privacy, one.name) for one in channels}
