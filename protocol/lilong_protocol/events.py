"""What sessions tell their drivers; what a node's tells is in node_events.py."""

from lilong_protocol.node_events import (
    Acknowledged,
    Event,
    Lost,
    Opened,
    Requested,
    Synchronised,
)
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_protocol.description import Description
    from lilong_protocol.hello import Hello

__all__ = (
    "Acknowledged",
    "Advanced",
    "BatchReceived",
    "Closed",
    "Described",
    "Event",
    "HelloReceived",
    "Lost",
    "Opened",
    "Refused",
    "Requested",
    "Responded",
    "Synchronised",
    "Unanswered",
)


class HelloReceived(Event):
    """Gateway: an authentic HELLO; answer with GatewaySession.accept."""

    def __init__(self, hello: "Hello") -> None:
        self.hello = hello


class Refused(Event):
    """Gateway: a HELLO that gets no answer. eui is as claimed, None when unreadable."""

    def __init__(self, reason: str, eui: "bytes | None") -> None:
        self.reason = reason
        self.eui = eui


class Described(Event):
    """Gateway: the node's clock and channels; store them, then call GatewaySession.described.

    Its fields are those of the description, see there.
    """

    def __init__(self, eui: bytes, description: "Description") -> None:
        self.eui = eui
        self.boot_id = description.boot_id
        self.epoch_ms_at_boot = description.epoch_ms_at_boot
        self.uncertainty_ms = description.uncertainty_ms
        self.descriptor_hash = description.descriptor_hash
        self.descriptor = description.descriptor


class BatchReceived(Event):
    """Gateway: a new batch; commit it, then call GatewaySession.stored."""

    def __init__(self, eui: bytes, epoch: int, stream: int, seq: int, item: bytes) -> None:
        self.eui = eui
        self.epoch = epoch
        self.stream = stream
        self.seq = seq
        self.item = item


class Advanced(Event):
    """Gateway: the node holds nothing below first; missing batches will not come this way.

    Make the new position durable, then call GatewaySession.advanced.
    """

    def __init__(self, eui: bytes, epoch: int, stream: int, first: int, missing: int) -> None:
        self.eui = eui
        self.epoch = epoch
        self.stream = stream
        self.first = first
        self.missing = missing


class Closed(Event):
    """Gateway: the session is over."""

    def __init__(self, eui: bytes, reason: str) -> None:
        self.eui = eui
        self.reason = reason


class Responded(Event):
    """Gateway: what became of a request; code is one of lilong_protocol.request."""

    def __init__(self, eui: bytes, method: int, code: int, payload: bytes) -> None:
        self.eui = eui
        self.method = method
        self.code = code
        self.payload = payload


class Unanswered(Event):
    """Gateway: the node is there, and left a request without a response."""

    def __init__(self, eui: bytes, method: int) -> None:
        self.eui = eui
        self.method = method
