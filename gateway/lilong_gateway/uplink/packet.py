"""What a message weighs on the wire, and what a broker says to it."""

from collections.abc import Callable
from typing import NamedTuple

from lilong_gateway.uplink.message import Message

_HEAD_BYTES = 16
"""Of a PUBLISH beside topic, payload and content type, at most (MQTT 5 section 3.3)."""
_FAILURE = 128
"""From here on a reason code is a refusal (MQTT 5 section 2.4)."""
_ABOUT_THE_MESSAGE = {0x90, 0x95, 0x99}
"""Topic name invalid, packet too large, payload format invalid: no better another time."""


class Answer(NamedTuple):
    """What a broker says to a message: a reason code of MQTT 5, and its meaning."""

    code: int
    meaning: str

    @property
    def refused(self) -> bool:
        """Whether the broker did not take it."""
        return self.code >= _FAILURE

    @property
    def final(self) -> bool:
        """Whether the broker will never take it."""
        return self.code in _ABOUT_THE_MESSAGE


Told = Callable[[Answer], None]
"""What is called with it."""


def packet_bytes(message: Message) -> int:
    """Return how long its packet is, at most."""
    topic = len(message.topic.encode())
    return _HEAD_BYTES + topic + len(message.payload) + len(message.content_type)
