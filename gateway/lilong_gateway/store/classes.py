"""How private a batch is: the strictest class among its channels."""

import sqlite3
from collections.abc import Iterable

from lilong_protocol.descriptor import MAX_PRIVACY, decode_descriptor
from lilong_protocol.errors import DecodeError

_KEPT = 4096
"""Descriptors whose classes are in memory; a gateway serves some hundred nodes."""


class Classes:
    """The privacy classes of the channels of each descriptor, by its row."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, int]] = {}

    def strictest(
        self, connection: sqlite3.Connection, descriptor: int | None, channels: Iterable[int]
    ) -> int | None:
        """Return the class of a batch, None while its node has described nothing.

        A channel that is not described counts as the strictest.
        """
        if descriptor is None:
            return None
        classes = self._known.get(descriptor)
        if classes is None:
            classes = self._load(connection, descriptor)
        return max((classes.get(number, MAX_PRIVACY) for number in channels), default=None)

    def forget(self) -> None:
        """Read descriptors anew; call it when one was replaced or deleted."""
        self._known.clear()

    def _load(self, connection: sqlite3.Connection, descriptor: int) -> dict[int, int]:
        found = connection.execute("SELECT body FROM descriptor WHERE id = ?", (descriptor,))
        if len(self._known) >= _KEPT:
            self._known.clear()
        try:
            _, channels = decode_descriptor(bytes(found.fetchone()[0]))
        except (DecodeError, TypeError):
            channels = []
        classes = {channel.number: channel.privacy for channel in channels}
        self._known[descriptor] = classes
        return classes
