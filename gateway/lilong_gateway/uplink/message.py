"""What a sink is sent, and what turns batches into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lilong_gateway.senml import Telemetry

Figures = Mapping[str, float | str | None]
"""The gateway's own state, by names that carry their units."""


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message; content_type is told to brokers of MQTT 5."""

    topic: str
    payload: bytes
    content_type: str = ""
    retain: bool = False


class Format(Protocol):
    """One sink's way of putting things; no network and no clock, used by one task.

    status_topic holds "online" or "offline", retained; None where the platform has no such topic.
    batch_limit is how many batches messages() takes at once.
    """

    status_topic: str | None
    batch_limit: int

    def subscriptions(self) -> Sequence[str]:
        """Return the topics that are to be heard."""
        ...

    def begin(self) -> Sequence[Message]:
        """Forget what an earlier connection was told; return what a new one is greeted with."""
        ...

    def heard(self, topic: str, payload: bytes) -> Sequence[Message]:
        """Return the answers to what came on a subscription."""
        ...

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return what carries these batches; once all of it is acknowledged they are delivered."""
        ...

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return what tells of the gateway itself."""
        ...
