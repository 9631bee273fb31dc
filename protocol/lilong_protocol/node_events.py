"""What a node's session tells its driver."""


class Event:
    """Something that happened on a link."""


class Synchronised(Event):
    """Node: the time is known. epoch_ms_at_boot is milliseconds since 2000 at uptime 0.

    It was measured at uptime `measured_ms`, the same as in the event before when the exchanges
    since then were no better.
    """

    def __init__(
        self, epoch_ms_at_boot: int, uncertainty_ms: int, measured_ms: int, *, first: bool
    ) -> None:
        self.epoch_ms_at_boot = epoch_ms_at_boot
        self.uncertainty_ms = uncertainty_ms
        self.measured_ms = measured_ms
        self.first = first


class Acknowledged(Event):
    """Node: everything of this stream below next is durable at a gateway."""

    def __init__(self, stream: int, next: int) -> None:  # noqa: A002 - the protocol's own word
        self.stream = stream
        self.next = next


class Lost(Event):
    """Node: the session is over; a new HELLO follows by itself."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Requested(Event):
    """Node: the gateway asks for something; do it, then call NodeSession.respond."""

    def __init__(self, number: int, method: int, body: bytes) -> None:
        self.number = number
        self.method = method
        self.body = body


class Opened(Event):
    """Either side: a fresh session is open."""

    def __init__(self, eui: bytes) -> None:
        self.eui = eui
