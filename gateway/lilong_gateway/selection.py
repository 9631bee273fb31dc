"""What one sink is sent: of which streams and nodes, and which channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lilong_gateway.config_uplink import STREAMS, Uplink


@dataclass(frozen=True, slots=True)
class Selection:
    """Streams by number, nodes by EUI, channels by patterns of names; no nodes or patterns: all.

    It only ever narrows what privacy lets through.
    """

    streams: frozenset[int] = frozenset(range(len(STREAMS)))
    nodes: frozenset[bytes] = frozenset()
    channels: Sequence[str] = ()

    @classmethod
    def of(cls, sink: Uplink) -> "Selection":
        """Return that of a configured sink."""
        return cls(sink.streams, sink.nodes, sink.channels)

    def takes(self, eui: bytes, stream: int) -> bool:
        """Whether anything of this node's stream goes there."""
        return stream in self.streams and (not self.nodes or eui in self.nodes)

    def takes_channel(self, name: str) -> bool:
        """Whether channels of this name go there."""
        return not self.channels or any(fnmatchcase(name, pattern) for pattern in self.channels)
