"""What formats have in common that send only."""

from collections.abc import Sequence

from lilong_gateway.uplink.message import Message


class Deaf:
    """Hears nothing, and has nothing to say before there are batches."""

    def subscriptions(self) -> Sequence[str]:
        """None."""
        return ()

    def begin(self) -> Sequence[Message]:
        """Nothing."""
        return ()

    def heard(self, topic: str, payload: bytes) -> Sequence[Message]:  # noqa: ARG002 - a Format's
        """Nothing."""
        return ()
